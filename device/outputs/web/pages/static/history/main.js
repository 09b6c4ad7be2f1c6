// What happens when something else is chosen, and the beginning.

/** Do something that may fail: then the reason stands above the scenes. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    setText($("status"), error.message);
  }
}

/** Choose something else, and show it. */
function choose(changes) {
  Object.assign(chosen, changes);
  return attempt(show);
}

async function show() {
  $("clear").hidden = !isSearch();
  setText($("results-title"), title());
  if (days.length) drawDays();
  showLinks();
  await Promise.all([loadScenes(), loadDigest()]);
}

/** Ask for everything again. */
async function reload() {
  await loadDays();
  await show();
}

async function loadNames() {
  const {classes, cameras} = await ask("/history/last-seen.json");
  $("classes").replaceChildren(...classes.map(({name}) => make("option", {value: name})));
  $("cameras").hidden = cameras.length < 2;
  $("camera").append(...cameras.map(name => make("option", {value: name, textContent: name})));
}

$("search").onsubmit = event => {
  event.preventDefault();
  const query = $("query").value.trim();
  // Words beside "More like this" look for both.
  choose(query ? {query, day: null, hour: null} : {query, like: null});
};
$("clear").onclick = () => {
  $("query").value = "";
  choose({query: "", like: null});
};
$("filters").onchange = () => attempt(reload);

attempt(async () => {
  await loadDays();
  const latest = days.findLast(({scenes}) => scenes);
  if (latest) chosen.day = latest.day;
  await Promise.all([show(), loadNames()]);
});
