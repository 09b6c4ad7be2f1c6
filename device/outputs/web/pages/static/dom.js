"use strict";
// Helpers of all that follows. Text from the server is only ever set as text.

const $ = id => document.getElementById(id);

function make(tag, options = {}) {
  return Object.assign(document.createElement(tag), options);
}

/** Set a node's text; the same text again touches nothing. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function digits(value, count) {
  const options = {minimumFractionDigits: count, maximumFractionDigits: count};
  return value.toLocaleString(undefined, options);
}

function percent(score) {
  return Math.round(score * 100) + "%";
}

/** Return an address with the page's own query, which holds the token in another page's frame. */
function withToken(path) {
  if (!location.search) return path;
  return path + (path.includes("?") ? "&" : "?") + location.search.slice(1);
}

/** Return a bar that `setBar` fills. */
function makeBar() {
  const bar = make("div", {className: "bar", ariaHidden: "true"});
  bar.append(make("i"));
  return bar;
}

function setBar(bar, score) {
  bar.firstChild.style.transform = `translateX(${(score - 1) * 100}%)`;
}
