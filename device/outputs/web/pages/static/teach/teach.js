// What is shown of the state, and the beginning.

function showState() {
  showCards();
  showSelection();
  showFit();
  const title = [...new Set(["picaption", state.bundle.name])].join(" · ");
  setText(document.querySelector("h1"), title);
  if (document.title !== `${title} · Teach`) document.title = `${title} · Teach`;
  $("undo").disabled = !state.undo;
  setText($("undo").lastElementChild, state.undo ? `Undo: ${state.undo}` : "Undo");
  $("left-out").replaceChildren(...state.left_out.map(text => make("li", {textContent: text})));
}

say("Getting ready");
poll().then(() => {
  if (state && $("message").textContent === "Getting ready") say("");
});
