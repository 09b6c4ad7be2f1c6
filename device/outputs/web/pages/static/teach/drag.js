// Pictures dragged to another class: at once by a mouse, after a long press by a finger.

const THRESHOLD = 8;
const LONG_PRESS = 350;
// Near the edge of the window the page scrolls.
const EDGE = 70;
const SCROLL = 14;

let drag = null;
// A click follows the end of a drag, and selects nothing.
let wasDragged = false;

function cardAt(x, y) {
  const node = document.elementFromPoint(x, y);
  return node && node.closest(".class");
}

function beginDrag() {
  const {item} = drag;
  clearTimeout(drag.timer);
  drag.isOn = true;
  if (!selected.has(item.dataset.key)) {
    selected.clear();
    selected.add(item.dataset.key);
    showSelection();
  }
  $("selection").hidden = true;
  $("ghost").hidden = false;
  drag.scroller = setInterval(scrollAtEdge, 30);
  moveDrag(drag.x, drag.y);
}

function moveDrag(x, y) {
  drag.x = x;
  drag.y = y;
  const card = cardAt(x, y);
  if (card !== drag.card) {
    if (drag.card) drag.card.classList.remove("target");
    if (card) card.classList.add("target");
    drag.card = card;
  }
  const where = card ? ` to ${card.dataset.label}` : "";
  setText($("ghost"), countText(selected.size) + where);
  $("ghost").style.transform = `translate(${x + 14}px, ${y + 10}px)`;
}

function scrollAtEdge() {
  if (drag.y < EDGE) scrollBy(0, -SCROLL);
  else if (drag.y > innerHeight - EDGE) scrollBy(0, SCROLL);
}

function endDrag(isDrop) {
  if (!drag) return;
  clearTimeout(drag.timer);
  clearInterval(drag.scroller);
  const {isOn, card} = drag;
  drag = null;
  $("ghost").hidden = true;
  if (!isOn) return;
  wasDragged = true;
  setTimeout(() => { wasDragged = false; });
  if (card) card.classList.remove("target");
  if (isDrop && card) moveSelected(card.dataset.label);
  showSelection();
}

$("cards").addEventListener("pointerdown", event => {
  const item = itemOf(event.target);
  if (!item || event.button || drag) return;
  drag = {item, x: event.clientX, y: event.clientY, id: event.pointerId, isOn: false, card: null};
  if (event.pointerType !== "mouse") drag.timer = setTimeout(beginDrag, LONG_PRESS);
});
document.addEventListener("pointermove", event => {
  if (!drag || event.pointerId !== drag.id) return;
  const distance = Math.hypot(event.clientX - drag.x, event.clientY - drag.y);
  if (drag.isOn) moveDrag(event.clientX, event.clientY);
  else if (distance > THRESHOLD && event.pointerType === "mouse") beginDrag();
  else if (distance > THRESHOLD) endDrag(false);
});
document.addEventListener("pointerup", event => {
  if (drag && event.pointerId === drag.id) endDrag(true);
});
document.addEventListener("pointercancel", () => endDrag(false));
document.addEventListener("keydown", event => {
  if (event.key === "Escape") endDrag(false);
});
// A finger that drags does not scroll; and a long press opens no menu.
document.addEventListener("touchmove", event => {
  if (drag && drag.isOn) event.preventDefault();
}, {passive: false});
$("cards").addEventListener("contextmenu", event => {
  if (itemOf(event.target)) event.preventDefault();
});
