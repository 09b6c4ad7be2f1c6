// What is asked of the server, and what was chosen: a query, a day, an hour, filters.

const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone || "";

/** What is chosen: `day` as "2026-11-28" or null for all, `hour` from 0 to 23 or null. */
const chosen = {query: "", like: null, day: null, hour: null};

/** Return the JSON of an address; throw an Error with the server's line if there is none. */
async function ask(path, values = {}, options = {}) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== "" && value !== null && value !== undefined) parts.set(name, value);
  }
  const query = parts.toString();
  const answer = await fetch(withToken(query ? `${path}?${query}` : path), options);
  if (answer.status === 401) location.reload();
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(data.error || `the server answers ${answer.status}`);
  return data;
}

function fields() {
  const values = {};
  for (const name of ["class", "word", "confidence", "camera"]) values[name] = $(name).value.trim();
  return values;
}

/** Return begin and end of the chosen day or hour, in seconds since the epoch; null: all. */
function span() {
  if (chosen.day === null) return null;
  const [year, month, day] = chosen.day.split("-").map(Number);
  const begin = new Date(year, month - 1, day, chosen.hour ?? 0);
  const end = chosen.hour === null ? new Date(year, month - 1, day + 1)
    : new Date(year, month - 1, day, chosen.hour + 1);
  return [begin, end];
}

/** Return the filters as values of a query, with the chosen time. */
function wanted() {
  const times = span();
  if (times === null) return fields();
  return {...fields(), since: times[0] / 1000, until: times[1] / 1000};
}

function isSearch() {
  return Boolean(chosen.query) || chosen.like !== null;
}
