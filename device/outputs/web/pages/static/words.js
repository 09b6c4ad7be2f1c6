// What is said of a picture: headline, confidence, tags and classes; live, and in the history.

/** Return the classes as people are shown them: best first, and which of them are guesses. */
function shownClasses(data) {
  const byScore = [...data.classes].sort((left, right) => right.score - left.score);
  const classes = byScore.map(({name, score, certain}) =>
    ({name, score, isGuess: certain === undefined ? data.unsure : !certain}));
  if (data.names.length && classes.every(({isGuess}) => isGuess)) {
    const names = data.names.map(({name, score}) => ({name, score, isGuess: false}));
    return {rows: names, guesses: classes};
  }
  return {rows: classes, guesses: []};
}

/** Return the sentence for people, or why there is none. */
function headline(data) {
  if (data.silence) return data.silence;
  if (data.caption) {
    const doubt = data.caption.unsure ? document.body.dataset.doubt + " " : "";
    return doubt + data.caption.text;
  }
  const [best] = shownClasses(data).rows;
  return best ? best.name + (best.isGuess ? "?" : "") : "";
}

function isDoubted(data) {
  return Boolean(data.silence || (data.caption && data.caption.unsure));
}

function showHeadline(node, data) {
  setText(node, headline(data));
  node.classList.toggle("unsure", isDoubted(data));
}

function showConfidence(node, caption) {
  const isKnown = Boolean(caption) && typeof caption.confidence === "number";
  node.hidden = !isKnown;
  if (!isKnown) return;
  if (!node.firstChild) node.append(make("span"), makeBar());
  const [text, bar] = node.children;
  setText(text, `Confidence ${percent(caption.confidence)}`);
  setBar(bar, caption.confidence);
  node.classList.toggle("doubted", caption.unsure);
}

function showList(list, texts) {
  const key = JSON.stringify(texts);
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  list.replaceChildren(...texts.map(text => make("li", {textContent: text})));
  list.hidden = !texts.length;
}

function showClasses(list, note, data) {
  const {rows, guesses} = shownClasses(data);
  while (list.children.length > rows.length) list.lastChild.remove();
  while (list.children.length < rows.length) {
    const row = make("li");
    row.append(make("span"), make("b"), makeBar());
    list.append(row);
  }
  rows.forEach(({name, score, isGuess}, index) => {
    const row = list.children[index];
    const [label, figure, bar] = row.children;
    row.classList.toggle("doubted", isGuess);
    setText(label, name + (isGuess ? "?" : ""));
    label.title = name;
    setText(figure, percent(score));
    setBar(bar, score);
  });
  list.hidden = !rows.length;
  const others = guesses.map(({name, score}) => `${name}? ${percent(score)}`);
  let text = others.length ? "Guesses: " + others.join(", ") : "";
  if (!rows.length) text = "No class is named.";
  if (data.silence) text = "Nothing is named in such a picture.";
  setText(note, text);
  note.hidden = !text;
}
