// The connection: what comes, what state it is in, and what is read aloud of it.

// After so many milliseconds without a frame the picture is no longer live, and longer if slow.
const PATIENCE = 5000;
const RETRY = 5000;
// A connection that takes longer than this may never come.
const SLOW = 8000;
// A caption is read aloud once it has stayed so long, and not more often than that.
const STEADY = 1500;
const QUIET = 10_000;

let events = null;
let connectedAt = Date.now();
let isFresh = false;
let lastFrame = 0;
let patience = PATIENCE;
let source = null;
let size = null;
let file = "";
let refusal = "";
let spoken = {text: "", at: 0};
let pending = {text: "", since: 0};

function show(data) {
  lastFrame = Date.now();
  patience = Math.max(PATIENCE, 3000 / (data.fps || 1));
  size = data.size;
  setShape(size);
  showHeadline($("caption"), data);
  showConfidence($("confidence"), data.caption);
  showList($("tags"), data.tags.map(tag => tag.name));
  showClasses($("classes"), $("guesses"), data);
  const certain = shownClasses(data).rows.filter(({isGuess}) => !isGuess);
  showList($("certain-names"), certain.map(({name, score}) => `${name} ${percent(score)}`));
  showFigures(data);
  const text = $("caption").textContent;
  if (text !== pending.text) pending = {text, since: Date.now()};
  file = data.file || "";
  tick();
}

/** Read a new caption aloud, if it has stayed for a moment, and seldom. */
function announce() {
  const now = Date.now();
  const isDue = now - pending.since >= STEADY && now - spoken.at >= QUIET;
  if (!pending.text || pending.text === spoken.text || !isDue) return;
  spoken = {text: pending.text, at: now};
  setText($("announcement"), pending.text);
}

function state(word, look, title = word, reason = "") {
  return {word, look, title, reason};
}

/** Return the state of the page: a word and its look, and, if not live, a title and a reason. */
function currentState() {
  const isOpen = Boolean(events) && events.readyState === EventSource.OPEN;
  if (!isOpen) return disconnectedState();
  const name = source ? source.model || source.name : "the camera";
  if (source && source.problem) {
    const reason = `${sentence(source.problem)} The camera is tried again by itself.`;
    return state("No picture", "bad", `No picture from ${name}`, reason);
  }
  if (source && source.is_paused) {
    return state("Paused", "", "Paused", "Nothing is recognised until somebody lets it go on.");
  }
  if (!lastFrame) return state("Waiting", "", `Waiting for ${name}`, "No frame has come yet.");
  const silent = Date.now() - lastFrame;
  if (silent >= patience) {
    const seconds = Math.round(silent / 1000);
    const reason = `No frame comes from ${name}, and it reports no error.`;
    return state("No new picture", "", `No new picture for ${seconds} s`, reason);
  }
  return state("Live", "live", "");
}

function disconnectedState() {
  const again = "This page tries again by itself.";
  if (refusal) return state("Refused", "bad", refusal, again);
  if (!lastFrame && !source) return state("Connecting", "", "Connecting", delay());
  const reason = `picaption does not answer. ${again}`;
  return state("Connection lost", "bad", "Connection lost", reason);
}

/** Say what may be the matter with a connection that takes long: browsers open six to a server. */
function delay() {
  if (Date.now() - connectedAt < SLOW) return "";
  return "This takes long. If this browser shows the page several times, close the others.";
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

function tick() {
  const {look, word, title, reason} = currentState();
  $("state").className = "state " + look;
  setText($("state"), word);
  const isLive = look === "live";
  // Some browsers tell of a stream of pictures only once it has ended.
  if ($("picture").naturalWidth) $("picture").hidden = false;
  setText($("notice-title"), title || "Waiting for the picture");
  setText($("notice-reason"), reason);
  $("notice").hidden = isLive && !$("picture").hidden;
  $("snapshot").hidden = !isLive;
  document.body.classList.toggle("stale", !isLive);
  if (isLive) announce();
  else clearFigures();
  showSource();
}

function showSource() {
  if (!source) return;
  // Another bundle may have taken over meanwhile.
  const title = [...new Set(["picaption", source.bundle])].join(" · ");
  setText(document.querySelector("h1"), title);
  if (document.title !== title) document.title = title;
  const parts = [camera, source.model, source.name, file.split("/").pop()];
  if (size) parts.push(size.join(" × "));
  setText($("source"), parts.filter(Boolean).join(" · "));
}

function connect() {
  connectedAt = Date.now();
  events = new EventSource(ofCamera("/events"));
  events.onopen = () => {
    refusal = "";
    isFresh = true;
    points = [];
    watchPicture();
    tick();
  };
  events.onerror = () => {
    tick();
    // After a refusal the browser gives up; the page does not.
    if (events.readyState === EventSource.CLOSED) findReason();
  };
  events.onmessage = event => show(JSON.parse(event.data));
  events.addEventListener("source", event => {
    source = JSON.parse(event.data);
    tick();
  });
  events.addEventListener("history", event => {
    if (isFresh) clearHistory();
    isFresh = false;
    addHistory(JSON.parse(event.data));
  });
  events.addEventListener("chart", event => addPoints(JSON.parse(event.data)));
}

/** Start over with another camera: nothing of the one before stays. */
function reconnect() {
  if (events) events.close();
  leavePicture();
  source = null;
  size = null;
  lastFrame = 0;
  clearHistory();
  $("nothing").hidden = false;
  connect();
  tick();
}

/** Learn why the events were refused: no login any more, or too many pages. */
async function findReason() {
  let status = 0;
  try {
    status = (await fetch(withToken("/favicon.svg"))).status;
  } catch {
    status = 0;
  }
  if (status === 401) location.reload();
  refusal = status ? "Too many pages are open" : "";
  tick();
  setTimeout(() => { if (!document.hidden) connect(); }, RETRY);
}

$("picture").onload = tick;
$("picture").onerror = () => setTimeout(() => { if (!document.hidden) watchPicture(); }, RETRY);
// A page that nobody sees costs the board nothing.
document.addEventListener("visibilitychange", () => {
  if (events) events.close();
  if (document.hidden) leavePicture();
  else connect();
});
setInterval(tick, 1000);
// Nor does a tab that is opened behind another one.
if (!document.hidden) connect();
