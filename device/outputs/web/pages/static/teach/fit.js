// The fit: what it says of itself, and which classes the live loop uses.

// A table of more classes is no help to anybody.
const MOST_CLASSES = 20;
const MOST_CONFUSIONS = 5;

function progressText() {
  if (state.fitting && state.waiting) return `Looking at pictures: ${state.waiting} to go`;
  if (state.fitting) return "Fitting";
  if (state.problem) return state.problem;
  if (state.waiting) return `Looking at pictures: ${state.waiting} to go`;
  return state.classes.some(({images}) => images.length) ? "" : "Two classes of three pictures or more can be fitted.";
}

/** Return the pairs of classes that were confused, most often first: [count, total, shown, taken]. */
function confusionsOf({labels, confusion}) {
  const pairs = [];
  confusion.forEach((row, shown) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    row.forEach((count, taken) => {
      if (count && shown !== taken) pairs.push([count, total, labels[shown], labels[taken]]);
    });
  });
  return pairs.sort((left, right) => right[0] - left[0]);
}

function makeTable({labels, confusion}) {
  const table = make("table");
  const head = make("tr");
  head.append(make("th", {textContent: "shown", scope: "col"}));
  head.append(...labels.map(label => make("th", {textContent: label, scope: "col", title: label})));
  table.append(head);
  confusion.forEach((row, shown) => {
    const line = make("tr");
    line.append(make("th", {textContent: labels[shown], scope: "row", title: labels[shown]}));
    row.forEach((count, taken) => {
      const cell = make("td", {textContent: count || ""});
      if (count) cell.className = shown === taken ? "right-answer" : "wrong-answer";
      line.append(cell);
    });
    table.append(line);
  });
  return table;
}

function showResult(summary) {
  const key = JSON.stringify(summary);
  if ($("result").dataset.key === key) return;
  $("result").dataset.key = key;
  $("result").hidden = !summary || !summary.labels;
  if ($("result").hidden) return;
  const {accuracy, labels, counts, seconds, other_share: share} = summary;
  const unknown = labels.length === 1
    ? "One class, distinguished from other things."
    : "There are too few pictures to say how well it does.";
  const figure = accuracy === null
    ? unknown
    : `${percent(accuracy)} of a class's pictures classified correctly, by classifiers that did not learn from them.`;
  const classes = labels.map((label, index) => `${label} ${counts[index]}`).join(", ");
  setText($("accuracy"), `${figure} (${classes}; ${digits(seconds, 1)} s)`);
  const isKnown = typeof share === "number";
  $("other").hidden = !isKnown;
  if (isKnown) setText($("other"), `Of pictures of other things about ${percent(share)} get a class.`);
  const pairs = confusionsOf(summary).slice(0, MOST_CONFUSIONS).map(([count, total, shown, taken]) =>
    `${count} of ${total} pictures of ${shown} taken for ${taken}`);
  $("confusions").replaceChildren(...pairs.map(text => make("li", {textContent: text})));
  $("warnings").replaceChildren(...summary.warnings.map(text => make("li", {textContent: text})));
  $("details").hidden = labels.length > MOST_CLASSES;
  $("table").replaceChildren(makeTable(summary));
}

function namesOf(summary) {
  return (summary && summary.labels) ? summary.labels.join(", ") : "";
}

function showFit() {
  const {fitted, live, before, bundle} = state;
  setText($("progress"), progressText());
  $("progress").classList.toggle("bad", Boolean(state.problem) && !state.fitting);
  $("fit").disabled = state.fitting;
  setText($("fit"), fitted && fitted.is_current ? "Fit again" : "Fit");
  // Home Assistant, say, may have picked another bundle since.
  const isReplaced = Boolean(live) && !bundle.is_taught;
  $("live").disabled = !(fitted || isReplaced) || state.fitting;
  setText($("live"), useText(fitted, isReplaced));
  $("back").hidden = !live || isReplaced;
  $("back").disabled = state.fitting;
  setText($("back"), before ? `Go back to ${namesOf(before)}` : "Go back to the bundle of the settings");
  showResult(fitted || live);
  const names = namesOf(live);
  const classes = bundle.is_taught && names ? names : `${bundle.classes} classes`;
  const note = isReplaced ? `; ${names || "what you taught"}: not in use, another bundle was picked` : "";
  setText($("bundle"), `${bundle.name} (${classes})${note}`);
}

function useText(fitted, isReplaced) {
  if (fitted && !fitted.is_current) return "Use these classes (not the last changes)";
  return isReplaced && !fitted ? "Use these classes again" : "Use these classes";
}

$("fit").onclick = async () => {
  const answer = await post("/teach/fit");
  if (answer.ok) poll();
};
$("live").onclick = async () => {
  const answer = await post("/teach/live");
  if (answer.ok) say(`In use now: ${namesOf(state.live)}.`);
};
$("back").onclick = async () => {
  const answer = await post("/teach/back");
  if (answer.ok) say(`In use now: ${state.bundle.is_taught ? namesOf(state.live) : state.bundle.name}.`);
};
