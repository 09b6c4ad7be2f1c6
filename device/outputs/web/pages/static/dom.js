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
  const query = new URLSearchParams(location.search);
  query.delete("camera");  // That is the page's: other addresses name the camera they are of.
  if (!String(query)) return path;
  return `${path}${path.includes("?") ? "&" : "?"}${query}`;
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

// Some frames and private windows have no storage: then a setting lasts as long as the page.
const settings = {};

function recall(name) {
  try {
    return localStorage.getItem("picaption-" + name);
  } catch {
    return settings[name] ?? null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem("picaption-" + name, value);
  } catch {
    settings[name] = value;
  }
}
