// The live picture, what is recognised in it now, and pictures that are taken of it.

// Pictures that one press takes at most, and the timer takes; milliseconds from one to the next.
const MOST = 40;
const TIMER_COUNT = 15;
const PAUSE = 220;
const COUNTDOWN = 3;
// A picture that does not change for so long is not live.
const STILL = 4000;
const RETRY = 5000;

let taking = null;
let events = null;

function sleep(milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}

function showCountdown(text) {
  $("countdown").hidden = !text;
  setText($("countdown"), String(text));
}

/** Take pictures for a class, until `stop` or the count; a countdown of seconds before. */
async function take(label, button, count, seconds = 0) {
  if (taking) return;
  const current = {left: count, number: 0, newest: performance.now()};
  taking = current;
  button.classList.add("busy");
  for (let left = seconds; left > 0 && taking === current; left -= 1) {
    showCountdown(left);
    say(`Pictures of ${label} are taken in ${left} s.`);
    await sleep(1000);
  }
  const step = newTake();
  current.newest = performance.now();
  while (taking === current && current.left > 0) {
    const started = performance.now();
    showCountdown(current.left);
    await takeOne(current, label, step);
    await sleep(Math.max(0, PAUSE - (performance.now() - started)));
  }
  button.classList.remove("busy");
  if (taking === current) taking = null;
  showCountdown("");
  if (!current.error) say(`${current.number} pictures of ${label} taken.`);
}

async function takeOne(current, label, step) {
  const headers = {"Content-Type": "application/json"};
  const body = JSON.stringify({class: label, take: step});
  const answer = await ask("/teach/collect", {method: "POST", headers, body});
  const isDouble = answer.status === 409 && /the very same picture/.test(answer.error);
  if (answer.ok) {
    current.left -= 1;
    current.number += 1;
    current.newest = performance.now();
    say(`${current.number} pictures of ${label}`);
  } else if (!isDouble || performance.now() - current.newest > STILL) {
    current.error = isDouble ? "The live picture does not change." : answer.error;
    say(current.error, true);
    stopTaking();
  }
}

function stopTaking() {
  taking = null;
}

/** Let a button take pictures while it is held, by mouse, finger, or the space bar. */
function makeHold(button, label) {
  const start = event => {
    event.preventDefault();
    button.focus();
    take(label(), button, MOST);
  };
  button.onpointerdown = event => {
    if (event.button) return;
    button.setPointerCapture(event.pointerId);
    start(event);
  };
  button.onpointerup = button.onpointercancel = button.onlostpointercapture = stopTaking;
  button.oncontextmenu = event => event.preventDefault();
  button.onkeydown = event => {
    if (event.repeat && [" ", "Enter"].includes(event.key)) event.preventDefault();
    else if ([" ", "Enter"].includes(event.key)) start(event);
  };
  button.onkeyup = button.onblur = stopTaking;
}

/** Let a button take pictures after a countdown; pressed again, it stops. */
function makeTimer(button, label) {
  button.onclick = () => {
    if (taking) stopTaking();
    else take(label(), button, TIMER_COUNT, COUNTDOWN);
  };
}

function watch() {
  $("picture").src = withToken(`/picture.mjpeg?overlay=0&${Date.now()}`);
  events = new EventSource(withToken("/events"));
  events.onmessage = event => {
    if ($("picture").naturalWidth) $("picture").hidden = false;
    showClasses($("classes"), $("guesses"), JSON.parse(event.data));
  };
  events.onerror = () => {
    if (events.readyState === EventSource.CLOSED) setTimeout(watchAgain, RETRY);
  };
}

function watchAgain() {
  if (events) events.close();
  $("picture").removeAttribute("src");
  if (!document.hidden) watch();
}

$("picture").onload = () => { $("picture").hidden = false; };
document.addEventListener("visibilitychange", () => {
  stopTaking();
  watchAgain();
});
if (!document.hidden) watch();
