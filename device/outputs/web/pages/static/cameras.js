// Several cameras: a grid of all, and which of them is the large one. Of a single one: nothing.

const LOOK = 1000;
const cameraNames = JSON.parse(document.body.dataset.cameras);
let camera = chosenCamera();

/** Return the camera to begin with: the address names one, or a visit before, or it is the first. */
function chosenCamera() {
  const asked = new URLSearchParams(location.search).get("camera");
  return [asked, recall("camera"), ...cameraNames].find(name => cameraNames.includes(name)) || "";
}

/** Return an address of a camera's. */
function ofCamera(path, name = camera) {
  if (!name) return withToken(path);
  const mark = path.includes("?") ? "&" : "?";
  return withToken(`${path}${mark}camera=${encodeURIComponent(name)}`);
}

function makeTile(name) {
  const picture = make("img", {alt: "", decoding: "async"});
  const words = make("span", {className: "tile-words"});
  words.append(make("strong", {textContent: name}), make("span"));
  const button = make("button", {type: "button"});
  button.append(picture, words);
  button.onclick = () => showCamera(name);
  picture.onload = () => button.classList.remove("blank");
  picture.onerror = () => button.classList.add("blank");
  const tile = make("li");
  tile.append(button);
  return tile;
}

/** Make that camera the large one. */
function showCamera(name) {
  if (name === camera) return;
  remember("camera", name);
  camera = name;
  markTile();
  reconnect();
}

function markTile() {
  cameraNames.forEach((name, index) => {
    const button = $("camera-grid").children[index].firstChild;
    button.ariaPressed = String(name === camera);
  });
}

/** Show what every camera sees now. */
async function updateTiles() {
  if (document.hidden) return;
  let states = [];
  try {
    states = await (await fetch(withToken("/cameras.json"))).json();
  } catch {
    return;  // The state of the page says so.
  }
  for (const {name, text, problem} of states) {
    const tile = $("camera-grid").children[cameraNames.indexOf(name)];
    if (!tile) continue;
    const [picture, words] = tile.firstChild.children;
    const state = problem || text || "";
    setText(words.lastChild, state);
    tile.firstChild.title = state;
    tile.firstChild.classList.toggle("bad", Boolean(problem));
    // An address of its own each time: browsers would show the picture of before.
    if (!problem) picture.src = ofCamera(`/snapshot.jpg?width=320&${Date.now()}`, name);
  }
}

if (cameraNames.length) {
  $("cameras").hidden = false;
  document.body.classList.add("several");
  $("camera-grid").append(...cameraNames.map(makeTile));
  markTile();
  updateTiles();
  setInterval(updateTiles, LOOK);
}
