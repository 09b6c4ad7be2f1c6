// The picture, the words on it, and what can be done with it.

/** The setting that holds: full screen has one of its own, since nothing else shows the words. */
function overlaySetting() {
  return document.fullscreenElement ? "overlay-full" : "overlay";
}

function isOverlayOn() {
  const stored = recall(overlaySetting());
  return stored === null ? Boolean(document.fullscreenElement) : stored === "on";
}

function applyOverlay() {
  $("stage").classList.toggle("over", isOverlayOn());
  document.body.classList.toggle("overlaid", isOverlayOn());
  $("overlay").ariaPressed = String(isOverlayOn());
  $("full").ariaPressed = String(Boolean(document.fullscreenElement));
}

function watchPicture() {
  $("picture").src = ofCamera(`/picture.mjpeg?overlay=0&${Date.now()}`);
}

function leavePicture() {
  $("picture").removeAttribute("src");
}

/** Give the picture's box the picture's shape, before it is there. */
function setShape([width, height]) {
  const ratio = Math.min(Math.max(width / height, 0.5), 2.4).toFixed(4);
  if (document.body.dataset.ratio === ratio) return;
  document.body.dataset.ratio = ratio;
  document.body.style.setProperty("--ratio", ratio);
}

$("overlay").onclick = () => {
  remember(overlaySetting(), isOverlayOn() ? "off" : "on");
  applyOverlay();
};
$("full").onclick = () => {
  if (document.fullscreenElement) document.exitFullscreen();
  else $("stage").requestFullscreen().catch(() => {});
};
$("full").hidden = !document.fullscreenEnabled;
document.addEventListener("fullscreenchange", applyOverlay);
$("snapshot").onclick = () => {
  $("snapshot").href = ofCamera(`/snapshot.jpg?overlay=${isOverlayOn() ? 1 : 0}`);
  $("snapshot").download = fileName(new Date());
};
applyOverlay();
