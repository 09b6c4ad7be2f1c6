// The scenes that were asked for, as cards.

const PAGE = 24;
let shown = [];
let total = 0;
let revision = 0;

function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, {timeStyle: "short"});
}

/** Return when a scene was there: with the day, unless all scenes are of one day. */
function sceneTimes(scene) {
  const [begin, end] = [clock(scene.begin), clock(scene.end)];
  const times = begin === end ? begin : `${begin} – ${end}`;
  if (chosen.day !== null) return times;
  const options = {weekday: "short", day: "numeric", month: "short"};
  return `${new Date(scene.begin * 1000).toLocaleDateString(undefined, options)}, ${times}`;
}

function sceneText(scene) {
  if (scene.silence) return scene.silence;
  if (!scene.caption) return scene.classes.map(({name}) => name).join(", ") || "a scene";
  return scene.unsure ? `${document.body.dataset.doubt} ${scene.caption}` : scene.caption;
}

function makeCard(scene) {
  const text = sceneText(scene);
  const caption = make("p", {className: "caption", textContent: text});
  caption.classList.toggle("doubted", Boolean(scene.unsure || scene.silence));
  const time = make("time", {textContent: sceneTimes(scene)});
  time.dateTime = new Date(scene.begin * 1000).toISOString();
  time.title = new Date(scene.begin * 1000).toLocaleString();
  const words = make("div", {className: "scene-words"});
  words.append(caption, time);
  if (scene.caption && scene.confidence !== null) {
    const text = `Confidence ${percent(scene.confidence)}`;
    words.append(make("p", {className: "confidence", textContent: text}));
  }
  if (scene.classes.length) {
    const tags = make("ul", {className: "tags", ariaLabel: "Classes"});
    const texts = scene.classes.map(({name, score}) => `${name} ${percent(score)}`);
    tags.append(...texts.map(textContent => make("li", {textContent})));
    words.append(tags);
  }
  const actions = make("div", {className: "row"});
  if (scene.can_compare) {
    const like = make("button", {type: "button", textContent: "More like this"});
    like.onclick = () => searchLike(scene);
    actions.append(like);
  }
  const remove = make("button", {type: "button", textContent: "Delete"});
  remove.onclick = () => confirmScene(scene);
  actions.append(remove);
  for (const button of actions.children) button.ariaLabel = `${button.textContent}: ${text}`;
  words.append(actions);
  const card = make("li", {className: "card"});
  if (scene.thumbnail) {
    const image = make("img", {alt: "", loading: "lazy", decoding: "async"});
    image.src = withToken(scene.thumbnail);
    card.append(image);
  }
  card.append(words);
  return card;
}

function searchLike(scene) {
  $("query").value = "";
  $("results-title").focus();
  choose({query: "", like: scene, day: null, hour: null});
}

/** Ask for the scenes that are chosen; `isMore`: for those after the ones that are shown. */
async function loadScenes(isMore = false) {
  revision += 1;
  const asked = revision;
  const values = {...wanted(), limit: PAGE, offset: isMore ? shown.length : 0};
  setText($("status"), "Looking …");
  let path = "/history/scenes.json";
  if (isSearch()) {
    path = "/history/search.json";
    values.q = chosen.query || null;
    values.like = chosen.like && chosen.like.id;
  }
  let data;
  try {
    data = await ask(path, values);
  } catch (error) {
    // What was asked for before would stand below what is asked for now.
    if (asked === revision && !isMore) clearScenes();
    throw error;
  }
  // Something else may have been chosen meanwhile.
  if (asked !== revision) return;
  if (!isMore) clearScenes();
  shown.push(...data.scenes);
  $("scenes").append(...data.scenes.map(makeCard));
  total = data.count ?? shown.length;
  $("more").hidden = data.has_more === undefined ? shown.length >= total : !data.has_more;
  setText($("status"), statusText());
}

function clearScenes() {
  shown = [];
  $("scenes").replaceChildren();
  $("more").hidden = true;
}

function statusText() {
  if (!total) return isSearch() ? "Nothing fits." : "No scenes.";
  if (isSearch()) return "The best ones first.";
  return `${plural(total, "scene")}, the newest first.`;
}

function title() {
  if (chosen.like) {
    const like = `Like “${sceneText(chosen.like)}”`;
    return chosen.query ? `${like}, and “${chosen.query}”` : like;
  }
  if (chosen.query) return `“${chosen.query}”`;
  if (chosen.day === null) return "All days";
  const name = dayName(chosen.day);
  return chosen.hour === null ? name : `${name}, ${chosen.hour}:00 to ${chosen.hour + 1}:00`;
}

async function loadDigest() {
  const isDay = chosen.day !== null && chosen.hour === null && !isSearch();
  const isPlain = Object.values(fields()).every(value => !value);
  $("digest").hidden = true;
  if (!isDay || !isPlain) return;
  const day = chosen.day;
  const digest = await ask("/history/digest.json", {day, tz: ZONE});
  if (day !== chosen.day || isSearch()) return;
  setText($("digest"), `${digest.text}.`);
  $("digest").hidden = !digest.scenes;
}

/** Show the files of what is shown; a search is none of them. */
function showLinks() {
  $("files").hidden = isSearch();
  for (const format of ["csv", "jsonl", "zip"]) {
    const parts = new URLSearchParams({format, tz: ZONE});
    for (const [name, value] of Object.entries(wanted())) if (value !== "") parts.set(name, value);
    $(`export-${format}`).href = withToken(`/history/export?${parts}`);
  }
}

$("more").onclick = () => attempt(() => loadScenes(true));
