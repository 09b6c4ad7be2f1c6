// The operators' page: asks the server every few seconds, and changes only what has changed.

const PERIOD_MS = 3000;
const UNKNOWN = "–";
const STATE_CLASSES = {taken: "good", taking: "doubtful", failed: "bad", "went back": "doubtful"};

/** What stands in a column: its title, the text of a device, and the cell's class. */
const COLUMNS = [
  ["Picture", null],
  ["Device", device => device.name],
  ["State", device => device.online ? "online" : "offline", device => device.online ? "good" : "bad"],
  ["Roll-out", device => device.rollout_state || UNKNOWN, device => STATE_CLASSES[device.rollout_state] ?? ""],
  ["Version", device => device.version || UNKNOWN],
  ["Bundle", device => [device.bundle, device.bundle_hash].filter(Boolean).join(" ") || UNKNOWN],
  ["Frames/s", device => number(device.fps, 1), () => "number"],
  ["Age, ms", device => number(device.age_ms, 0), () => "number"],
  ["°C", device => number(device.temperature, 0), () => "number"],
  ["Unsure", device => device.unsure === null ? UNKNOWN : percent(device.unsure), () => "number"],
  ["Throttled", device => device.throttled.join(", ") || UNKNOWN],
  ["Last error", device => device.error || UNKNOWN, () => "long"],
];

const rows = new Map();
/** What a row shows, as JSON. */
const shown = new WeakMap();

function number(value, count) {
  return value === null ? UNKNOWN : digits(value, count);
}

function makeRow(device) {
  const row = make("tr");
  for (const [title] of COLUMNS) {
    const cell = make(title === "Device" ? "th" : "td");
    if (title === "Device") cell.scope = "row";
    row.append(cell);
  }
  $("devices").append(row);
  rows.set(device.name, row);
  return row;
}

function showPicture(cell, device) {
  const address = device.picture === null ? "" :
    withToken(`/pictures/${device.name}.jpg?version=${device.picture}`);
  if (cell.dataset.address === address) return;
  cell.dataset.address = address;
  const image = make("img", {alt: `What ${device.name} sees`, loading: "lazy", src: address});
  cell.replaceChildren(...(address ? [image] : []));
}

function showDevice(row, device) {
  // Of a thousand devices few have said something new.
  const state = JSON.stringify(device);
  if (shown.get(row) === state) return;
  shown.set(row, state);
  COLUMNS.forEach(([title, text, className], index) => {
    const cell = row.cells[index];
    if (!text) return showPicture(cell, device);
    setText(cell, text(device));
    cell.className = className ? className(device) : "";
  });
}

function showDevices(devices) {
  const names = new Set(devices.map(device => device.name));
  for (const [name, row] of rows) {
    if (names.has(name)) continue;
    row.remove();
    rows.delete(name);
  }
  for (const device of devices) showDevice(rows.get(device.name) ?? makeRow(device), device);
  const order = devices.map(device => rows.get(device.name));
  // A new device goes where its name belongs.
  if (order.some((row, index) => $("devices").rows[index] !== row)) $("devices").append(...order);
  filterRows();
}

function filterRows() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows.values()) {
    const text = words.length ? row.textContent.toLowerCase() : "";
    row.hidden = !words.every(word => text.includes(word));
    count += !row.hidden;
  }
  $("none").hidden = count > 0;
}

function rolloutText(rollout) {
  const begun = new Date(rollout.begun * 1000).toLocaleString();
  return `${rollout.label} (${rollout.artifact}): ${rollout.state} at ${rollout.share} %, begun ${begun}`;
}

function showRollout(rollout, history) {
  $("rollout").hidden = !rollout;
  if (!rollout) return;
  setText($("rollout-text"), rolloutText(rollout));
  const counts = Object.entries(rollout.counts).map(([state, count]) => `${count} ${state}`);
  setText($("rollout-counts"), counts.join(", ") || "no device has it yet");
  $("rollout-note").hidden = !rollout.note;
  setText($("rollout-note"), rollout.note);
  $("earlier").hidden = history.length === 0;
  const texts = history.map(entry => [rolloutText(entry), entry.note].filter(Boolean).join(" · "));
  const list = $("history");
  if ([...list.children].map(node => node.textContent).join("\n") === texts.join("\n")) return;
  list.replaceChildren(...texts.map(text => make("li", {textContent: text})));
}

function showProblem(text) {
  $("problem").hidden = !text;
  setText($("problem"), text);
}

async function update() {
  let fleet;
  try {
    const response = await fetch(withToken("/fleet.json"));
    if (!response.ok) throw new Error(`it answers ${response.status}`);
    fleet = await response.json();
  } catch (error) {
    showProblem(`The server is away: ${error.message}`);
    return;
  }
  showProblem(fleet.problem);
  setText($("summary"), fleet.summary);
  showRollout(fleet.rollout, fleet.history);
  showDevices(fleet.devices);
}

async function keepUpdating() {
  if (!document.hidden) await update();
  setTimeout(keepUpdating, PERIOD_MS);
}

$("columns").append(...COLUMNS.map(([title]) => make("th", {scope: "col", textContent: title})));
$("filter").addEventListener("input", filterRows);
keepUpdating();
