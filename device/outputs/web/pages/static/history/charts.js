// The charts of days and hours: every bar is a button; the arrow keys lead from one to the next.

const DAYS = 28;
let days = [];
let lastDay = null;

function dayDate(day) {
  const [year, month, date] = day.split("-").map(Number);
  return new Date(year, month - 1, date);
}

function dayName(day) {
  const options = {weekday: "long", day: "numeric", month: "long"};
  return dayDate(day).toLocaleDateString(undefined, options);
}

function isoDay(date) {
  const parts = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  return parts.map(part => String(part).padStart(2, "0")).join("-");
}

function plural(count, name) {
  return `${count.toLocaleString()} ${name}${count === 1 ? "" : "s"}`;
}

/** Draw bars of {name, mark, count, isChosen}; a click calls `choose` with a bar's index. */
function drawChart(node, bars, choose) {
  const most = Math.max(1, ...bars.map(({count}) => count));
  const hadFocus = node.contains(document.activeElement);
  const buttons = bars.map(({name, mark, count, isChosen}, index) => {
    const fill = make("i");
    fill.style.height = count ? `${Math.max(6, 100 * count / most)}%` : "0";
    const column = make("span");
    column.append(fill);
    const button = make("button", {type: "button", title: `${name}: ${plural(count, "scene")}`});
    button.ariaLabel = button.title;
    button.ariaPressed = String(isChosen);
    button.append(column, mark);
    button.onclick = () => choose(index);
    button.tabIndex = -1;
    return button;
  });
  const current = Math.max(0, bars.findIndex(({isChosen}) => isChosen));
  const target = bars.some(({isChosen}) => isChosen) ? current : bars.length - 1;
  buttons[target].tabIndex = 0;
  node.replaceChildren(...buttons);
  if (hadFocus) buttons[target].focus();
  node.onkeydown = event => moveFocus(event, buttons);
}

function moveFocus(event, buttons) {
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!step) return;
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  if (!next) return;
  event.preventDefault();
  for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
  next.focus();
}

/** Ask for the days up to `lastDay`, and draw them. */
async function loadDays() {
  const values = {...fields(), until: lastDay, days: DAYS, tz: ZONE};
  days = (await ask("/history/days.json", values)).days;
  drawDays();
}

function drawDays() {
  const bars = days.map(({day, scenes}) => ({
    name: dayName(day),
    mark: String(dayDate(day).getDate()),
    count: scenes,
    isChosen: day === chosen.day,
  }));
  drawChart($("days"), bars, index => choose({day: days[index].day, hour: null}));
  $("all-days").ariaPressed = String(chosen.day === null);
  $("later").disabled = lastDay === null || lastDay >= isoDay(new Date());
  const first = dayDate(days[0].day);
  const last = dayDate(days.at(-1).day);
  const options = {day: "numeric", month: "short"};
  const [from, to] = [first, last].map(date => date.toLocaleDateString(undefined, options));
  setText($("days-title"), `${from} – ${to}`);
  drawHours();
}

function drawHours() {
  const entry = days.find(({day}) => day === chosen.day);
  $("hours-box").hidden = !entry;
  if (!entry) return;
  const bars = entry.hours.map((count, hour) => ({
    name: `${hour}:00 to ${hour + 1}:00`,
    mark: String(hour),
    count,
    isChosen: hour === chosen.hour,
  }));
  const toggle = hour => choose({hour: hour === chosen.hour ? null : hour});
  drawChart($("hours"), bars, toggle);
}

/** Show the days before or after those that are shown. */
async function moveDays(count) {
  const end = dayDate(lastDay ?? isoDay(new Date()));
  end.setDate(end.getDate() + count);
  const today = isoDay(new Date());
  lastDay = isoDay(end) < today ? isoDay(end) : null;
  await attempt(loadDays);
}

$("earlier").onclick = () => moveDays(-DAYS);
$("later").onclick = () => moveDays(DAYS);
$("all-days").onclick = () => choose({day: null, hour: null});
