// The figures of camera and board, and what they were in the last five minutes.

const CHART_SECONDS = 300;
let points = [];

function showFigures(data) {
  const camera = data.camera || {};
  showFigure("fps", data.fps, value => digits(value, 1), "fps");
  showFigure("latency", data.latency_ms, value => digits(value, 0), "ms");
  showFigure("temperature", data.temperature, value => digits(value, 1), "°C");
  showFigure("lux", camera.Lux, value => digits(value, value < 10 ? 1 : 0), "lx");
  showFigure("exposure", camera.ExposureTime, exposure, "s");
  showFigure("gain", camera.AnalogueGain, value => digits(value, 1), "×");
  // Of a frame's way, in order.
  const stages = Object.entries(data.timings_ms).filter(([stage]) => stage !== "total");
  setText($("stages"), "Milliseconds: "
    + stages.map(([stage, value]) => `${stage} ${digits(value, 1)}`).join(", "));
  showPower(data.throttled);
}

/** Say that nothing is measured now. */
function clearFigures() {
  showFigure("fps", null);
  showFigure("latency", null);
}

/** Return microseconds as a photographer writes them. */
function exposure(microseconds) {
  return microseconds < 3e5 ? "1/" + digits(1e6 / microseconds, 0) : digits(microseconds / 1e6, 1);
}

function showFigure(id, value, format, unit) {
  const node = $(id);
  const isKnown = typeof value === "number";
  const box = node.closest("div");
  if (!box.classList.contains("charted")) box.hidden = !isKnown;
  const text = isKnown ? format(value) : "–";
  if (node.dataset.text === text) return;
  node.dataset.text = text;
  node.replaceChildren(text, ...(isKnown ? [make("small", {textContent: unit})] : []));
}

function showPower(throttled) {
  const node = $("power");
  const [now, since] = throttled || [[], []];
  node.hidden = !throttled;
  node.classList.toggle("now", now.length > 0);
  node.classList.toggle("since", !now.length && since.length > 0);
  let text = "Power and heat are fine";
  if (now.length) text = "Held back now: " + now.join(", ");
  else if (since.length) text = "Held back since it started: " + since.join(", ");
  setText(node, text);
}

function addPoints(newPoints) {
  points.push(...newPoints);
  const end = points[points.length - 1][0];
  points = points.filter(([time]) => time > end - CHART_SECONDS);
  drawChart($("fps-chart"), 1, "fps", 1);
  drawChart($("latency-chart"), 2, "ms", 0);
}

function drawChart(svg, column, unit, places) {
  const values = points.map(point => point[column]);
  const [start, end] = [points[0][0], points[points.length - 1][0]];
  // One wild value does not flatten all others.
  const sorted = [...values].sort((left, right) => left - right);
  const top = sorted[Math.floor(0.98 * (sorted.length - 1))] * 1.2 || 1;
  const minutes = Math.min(CHART_SECONDS / 60, Math.max(1, Math.ceil((end - start) / 60)));
  const line = points.map(point => {
    const x = 100 + (point[0] - end) / (minutes * 60) * 100;
    const y = 100 - Math.min(point[column] / top, 1) * 100;
    return `${x.toFixed(2)} ${y.toFixed(2)}`;
  }).join("L");
  const first = line.slice(0, line.indexOf(" "));
  const shapes = {floor: "M0 100H100", area: `M${first} 100L${line}L100 100Z`, line: "M" + line};
  for (const [name, shape] of Object.entries(shapes)) {
    let path = svg.querySelector("." + name);
    if (!path) {
      path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", name);
      svg.append(path);
    }
    path.setAttribute("d", shape);
  }
  const mean = values.reduce((left, right) => left + right, 0) / values.length;
  const average = `${digits(mean, places)} ${unit} on average`;
  svg.setAttribute("aria-label", `${average} in the last ${minutes} min`);
  setText(svg.nextElementSibling.firstElementChild, `${minutes} min ago`);
  svg.parentNode.title = average;
}
