// The classes: a card for each, with its pictures and what can be done with them.

const cards = new Map();

function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

function tool(name, text, action) {
  const button = make("button", {className: `tool ${name}`, type: "button", title: text, onclick: action});
  button.ariaLabel = text;
  button.append(icon(name));
  return button;
}

function countText(count) {
  return count === 1 ? "1 picture" : `${count} pictures`;
}

function makeCard(label) {
  const card = make("section", {className: "card class"});
  card.dataset.label = label;
  const head = make("div", {className: "class-head"});
  const title = make("h3", {textContent: label});
  const count = make("small");
  title.append(count);
  const hold = tool("hold", `Hold to take pictures of ${label}`);
  makeHold(hold, () => label);
  const timer = tool("timer", `Take ${TIMER_COUNT} pictures of ${label} in ${COUNTDOWN} seconds`);
  makeTimer(timer, () => label);
  head.append(title, hold, timer, tool("upload", `Upload pictures of ${label}`, () => chooseFiles(label)));
  if (label !== state.none) {
    head.append(
      tool("rename", `Rename ${label}`, () => askRename(label)),
      tool("remove", `Delete ${label}`, () => post("/teach/remove", {class: label})),
    );
  }
  const images = make("ul", {className: "images"});
  images.role = "listbox";
  images.ariaMultiSelectable = "true";
  images.ariaLabel = `Pictures of ${label}`;
  card.append(head, images);
  card.ariaLabel = label;
  return card;
}

function makeImage(key) {
  const item = make("li", {tabIndex: -1});
  item.role = "option";
  item.ariaSelected = "false";
  item.dataset.key = key;
  const address = withToken(`/teach/images/${key}.jpg`);
  item.append(make("img", {alt: "", loading: "lazy", src: address, draggable: false}));
  return item;
}

/** Make a list have these children, without touching those that it has in their places. */
function arrange(list, children) {
  children.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] || null);
  });
  while (list.children.length > children.length) list.lastChild.remove();
}

function showCards() {
  const labels = state.classes.map(({name}) => name);
  for (const label of cards.keys()) {
    if (!labels.includes(label)) cards.delete(label);
  }
  const ordered = state.classes.map(({name, images}) => {
    if (!cards.has(name)) cards.set(name, makeCard(name));
    const card = cards.get(name);
    const list = card.querySelector(".images");
    const items = new Map([...list.children].map(item => [item.dataset.key, item]));
    // The newest is seen first.
    const keys = [...images].reverse();
    arrange(list, keys.map(key => items.get(key) || makeImage(key)));
    [...list.children].forEach((item, index) => {
      item.ariaLabel = `Picture ${images.length - index} of ${name}`;
    });
    setText(card.querySelector("small"), countText(images.length));
    return card;
  });
  arrange($("cards"), ordered);
}

// --- Names

$("add").onsubmit = async event => {
  event.preventDefault();
  const label = $("name").value.trim();
  if (!label) return $("name").focus();
  const answer = await post("/teach/classes", {class: label});
  if (!answer.ok) return;
  $("name").value = "";
  const card = [...cards.values()].find(({dataset}) => dataset.label.toLowerCase() === label.toLowerCase());
  if (card) card.querySelector(".hold").focus({preventScroll: true});
  if (card) card.scrollIntoView({block: "nearest"});
};

function askRename(label) {
  setText($("ask-title"), `Rename ${label}`);
  $("ask-name").value = label;
  $("ask-form").onsubmit = async event => {
    event.preventDefault();
    $("ask").close();
    await post("/teach/rename", {class: label, to: $("ask-name").value});
  };
  $("ask").showModal();
  $("ask-name").select();
}

$("ask-no").onclick = () => $("ask").close();
$("undo").onclick = () => post("/teach/undo");

// --- Files

let uploadLabel = "";

function chooseFiles(label) {
  uploadLabel = label;
  $("files").value = "";
  $("files").click();
}

$("files").onchange = () => upload(uploadLabel, [...$("files").files]);

/** Send files one after the other; say which were not taken, and why. */
async function upload(label, files) {
  const query = new URLSearchParams({class: label, take: newTake()});
  const problems = [];
  for (const [index, file] of files.entries()) {
    say(`Uploading ${index + 1} of ${files.length}`);
    const answer = await ask(`/teach/upload?${query}`, {method: "POST", body: file});
    if (!answer.ok) problems.push(`${file.name}: ${answer.error}`);
    if (answer.status === 0 || answer.status === 507) break;
  }
  if (problems.length) {
    const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : "";
    say(problems[0] + more, true);
  } else {
    say(`${countText(files.length)} uploaded to ${label}.`);
  }
}

document.addEventListener("dragover", event => event.preventDefault());
document.addEventListener("drop", event => {
  event.preventDefault();
  const card = event.target.closest && event.target.closest(".class");
  const files = [...event.dataTransfer.files];
  if (card && files.length) upload(card.dataset.label, files);
});
