// The scenes that were captioned, newest first, and one of them larger.

const MAX_SCENES = 50;
let scenes = [];
let openScene = null;

/** Forget the scenes: all of them come again. */
function clearHistory() {
  scenes = [];
  $("history").replaceChildren();
}

function addHistory(entries) {
  for (const entry of entries) {
    scenes.unshift(entry);
    $("history").prepend(makeRow(entry));
  }
  scenes.length = Math.min(scenes.length, MAX_SCENES);
  while ($("history").children.length > MAX_SCENES) $("history").lastChild.remove();
  $("nothing").hidden = true;
  if (openScene) showStep();
}

function makeRow(entry) {
  const thumbnail = make("img", {alt: "", loading: "lazy", decoding: "async"});
  thumbnail.src = withToken(`/thumbnails/${entry.number}.jpg`);
  const words = make("span");
  words.append(make("span", {className: "text", textContent: entry.text}), makeTime(entry.time));
  const button = make("button", {type: "button", title: "Look at this scene"});
  button.append(thumbnail, words);
  button.onclick = () => showScene(entry);
  const row = make("li");
  row.append(button);
  return row;
}

function makeTime(seconds) {
  const time = make("time");
  setTime(time, seconds);
  return time;
}

function setTime(node, seconds, isLong = false) {
  const date = new Date(seconds * 1000);
  node.dateTime = date.toISOString();
  node.title = date.toLocaleString();
  const long = {dateStyle: "long", timeStyle: "medium"};
  setText(node, isLong ? date.toLocaleString(undefined, long) : date.toLocaleTimeString());
}

function showScene(entry) {
  openScene = entry;
  const address = withToken(`/scenes/${entry.number}.jpg`);
  $("scene-picture").src = address;
  $("scene-save").href = address;
  $("scene-save").download = fileName(new Date(entry.time * 1000));
  showHeadline($("scene-caption"), entry);
  setTime($("scene-time"), entry.time, true);
  showConfidence($("scene-confidence"), entry.caption);
  showList($("scene-tags"), entry.tags.map(tag => tag.name));
  showClasses($("scene-classes"), $("scene-guesses"), entry);
  showStep();
  if (!$("scene").open) $("scene").showModal();
}

/** Allow a step to a newer and an older scene, where there is one. */
function showStep() {
  const index = scenes.findIndex(({number}) => number === openScene.number);
  $("newer").disabled = index <= 0;
  $("older").disabled = index < 0 || index === scenes.length - 1;
}

function step(offset) {
  const index = scenes.findIndex(({number}) => number === openScene.number);
  const entry = scenes[index + offset];
  if (index >= 0 && entry) showScene(entry);
}

/** Return what a picture of that time is called in the downloads. */
function fileName(date) {
  const local = new Date(date - date.getTimezoneOffset() * 60_000);
  return `picaption-${local.toISOString().slice(0, 19).replaceAll(/[T:]/g, "-")}.jpg`;
}

$("newer").onclick = () => step(-1);
$("older").onclick = () => step(1);
$("close").onclick = () => $("scene").close();
$("scene").onclose = () => { openScene = null; };
$("scene").onclick = event => { if (event.target === $("scene")) $("scene").close(); };
$("scene").onkeydown = event => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
};
