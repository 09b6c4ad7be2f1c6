// What the server is asked, and the state that it answers with.

const POLL = 1000;
const BUSY_POLL = 300;

let state = null;
let asked = 0;
let shown = 0;
let poller = 0;

/** Ask; show the state that comes, unless a newer one is shown. Returns {ok, status, error}. */
async function ask(path, options = {}) {
  const number = ++asked;
  let answer = null;
  let data = null;
  try {
    answer = await fetch(withToken(path), options);
    data = await answer.json();
  } catch {
    const error = "picaption does not answer. This page tries again by itself.";
    return {ok: false, status: answer ? answer.status : 0, error};
  }
  if (answer.status === 401) location.reload();
  if (answer.ok && number > shown) {
    shown = number;
    state = data;
    showState();
  }
  return {ok: answer.ok, status: answer.status, error: answer.ok ? "" : data.error};
}

/** Post values; say what is wrong, if something is. */
async function post(path, values = {}) {
  const headers = {"Content-Type": "application/json"};
  const answer = await ask(path, {method: "POST", headers, body: JSON.stringify(values)});
  say(answer.error, true);
  return answer;
}

/** Say something in one line; what is wrong stays until something else is said. */
function say(text, isBad = false) {
  setText($("message"), text);
  $("message").classList.toggle("bad", Boolean(text) && isBad);
}

/** Return a text that tells one step from every other; not all pages may use crypto.randomUUID. */
function newTake() {
  return `${Date.now()}-${Math.random().toString(36).slice(2)}`;
}

function isBusy() {
  return Boolean(state) && (state.fitting || state.waiting > 0);
}

async function poll() {
  clearTimeout(poller);
  if (document.hidden) return;
  const answer = await ask("/teach/state.json");
  if (!answer.ok) say(answer.error, true);
  else if (state && $("message").textContent.startsWith("picaption does not answer")) say("");
  clearTimeout(poller);
  poller = setTimeout(poll, isBusy() ? BUSY_POLL : POLL);
}

document.addEventListener("visibilitychange", poll);
