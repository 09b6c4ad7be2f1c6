// Which pictures are selected: by click, Shift and click, keys, or touch; and what is done with them.

const selected = new Set();
let anchor = null;

function itemOf(node) {
  return node instanceof Element ? node.closest(".images li") : null;
}

function allItems() {
  return [...document.querySelectorAll(".images li")];
}

function showSelection() {
  const items = allItems();
  const keys = new Set(items.map(({dataset}) => dataset.key));
  for (const key of selected) {
    if (!keys.has(key)) selected.delete(key);
  }
  for (const item of items) {
    const isSelected = String(selected.has(item.dataset.key));
    if (item.ariaSelected !== isSelected) item.ariaSelected = isSelected;
  }
  for (const list of document.querySelectorAll(".images")) {
    const current = list.querySelector("[tabindex='0']");
    if (!current && list.firstChild) list.firstChild.tabIndex = 0;
  }
  setText($("selected"), `${countText(selected.size)} selected`);
  const labels = state.classes.map(({name}) => name);
  const isNew = Boolean(selected.size) && $("selection").hidden;
  $("selection").hidden = !selected.size;
  if (isNew) proposeTarget();
  if ($("target").dataset.labels !== JSON.stringify(labels)) {
    $("target").dataset.labels = JSON.stringify(labels);
    $("target").replaceChildren(...labels.map(label => make("option", {textContent: label, value: label})));
    proposeTarget();
  }
}

/** Propose a class that the selected pictures are not in already. */
function proposeTarget() {
  const from = state.classes.filter(({images}) => images.some(key => selected.has(key)));
  const other = state.classes.find(({name}) => from.every(label => label.name !== name));
  if (other) $("target").value = other.name;
}

function focusItem(item) {
  for (const sibling of item.parentElement.children) sibling.tabIndex = -1;
  item.tabIndex = 0;
  item.focus();
}

/** Select from the anchor to an item of the same class. */
function extend(item) {
  const items = [...item.parentElement.children];
  const from = items.findIndex(({dataset}) => dataset.key === anchor);
  const to = items.indexOf(item);
  const first = from < 0 ? to : Math.min(from, to);
  for (const other of items.slice(first, Math.max(from, to) + 1)) selected.add(other.dataset.key);
}

function toggle(item) {
  const {key} = item.dataset;
  if (!selected.delete(key)) selected.add(key);
  anchor = key;
}

function clearSelection() {
  selected.clear();
  showSelection();
}

async function moveSelected(label) {
  const images = [...selected];
  if (!images.length) return;
  const answer = await post("/teach/move", {images, class: label});
  if (!answer.ok) return;
  say(`${countText(images.length)} moved to ${label}.`);
  clearSelection();
}

async function deleteSelected() {
  const images = [...selected];
  if (!images.length) return;
  const answer = await post("/teach/delete", {images});
  if (!answer.ok) return;
  say(`${countText(images.length)} deleted; Undo brings them back.`);
  clearSelection();
}

$("cards").addEventListener("click", event => {
  const item = itemOf(event.target);
  if (!item || wasDragged) return;
  if (event.shiftKey) extend(item);
  else toggle(item);
  focusItem(item);
  showSelection();
});

/** Return the item that an arrow key leads to from an item of a grid. */
function neighbour(item, key) {
  const items = [...item.parentElement.children];
  const index = items.indexOf(item);
  const columns = items.filter(({offsetTop}) => offsetTop === items[0].offsetTop).length;
  const steps = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns};
  if (key === "Home") return items[0];
  if (key === "End") return items[items.length - 1];
  return items[index + steps[key]];
}

$("cards").addEventListener("keydown", event => {
  const item = itemOf(event.target);
  if (!item) return;
  const {key} = event;
  if (/^(Arrow|Home|End)/.test(key)) {
    const next = neighbour(item, key);
    if (!next) return;
    if (event.shiftKey) {
      if (!selected.size) anchor = item.dataset.key;
      extend(next);
    }
    focusItem(next);
  } else if (key === " " || key === "Enter") {
    if (event.shiftKey) extend(item);
    else toggle(item);
  } else if (key === "a" && (event.ctrlKey || event.metaKey)) {
    for (const other of item.parentElement.children) selected.add(other.dataset.key);
  } else if (key === "Delete" || key === "Backspace") {
    if (!selected.size) selected.add(item.dataset.key);
    deleteSelected();
  } else if (key === "Escape") {
    clearSelection();
  } else {
    return;
  }
  event.preventDefault();
  showSelection();
});

$("move").onclick = () => moveSelected($("target").value);
$("delete").onclick = deleteSelected;
$("clear").onclick = clearSelection;
