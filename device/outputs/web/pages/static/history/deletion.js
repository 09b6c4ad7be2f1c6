// Deletion: of a scene or a span of time, once it is confirmed.

let doomed = null;
let counted = 0;

function localTime(date) {
  const local = new Date(date - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

function confirmScene(scene) {
  doomed = {ids: [scene.id]};
  $("span").hidden = true;
  for (const name of ["from", "to"]) $(name).disabled = true;
  setText($("deletion-title"), "Delete this scene for good?");
  setText($("deletion-text"), `“${sceneText(scene)}”, ${sceneTimes(scene)}`);
  showDeletion(1);
}

function confirmSpan() {
  const [begin, end] = span() ?? [dayDate(isoDay(new Date())), new Date()];
  $("span").hidden = false;
  for (const name of ["from", "to"]) $(name).disabled = false;
  $("from").value = localTime(begin);
  $("to").value = localTime(end);
  setText($("deletion-title"), "Delete a span of time for good?");
  showDeletion(0);
  countSpan();
}

function showDeletion(count) {
  $("delete").disabled = !count;
  setText($("delete"), count > 1 ? `Delete ${plural(count, "scene")}` : "Delete");
  if (!$("deletion").open) $("deletion").showModal();
}

/** Say how many scenes a span has, whatever the filters are. */
async function countSpan() {
  const [since, until] = ["from", "to"].map(name => new Date($(name).value) / 1000);
  showDeletion(0);
  if (!(since < until)) {
    setText($("deletion-text"), "The span ends before it begins.");
    return;
  }
  counted += 1;
  const asked = counted;
  try {
    const {count} = await ask("/history/scenes.json", {since, until, limit: 1});
    if (asked !== counted) return;
    doomed = {since, until};
    setText($("deletion-text"), count ? `It has ${plural(count, "scene")}.` : "It has no scenes.");
    showDeletion(count);
  } catch (error) {
    setText($("deletion-text"), error.message);
  }
}

async function deleteDoomed() {
  const options = {method: "POST", body: JSON.stringify(doomed)};
  const {deleted} = await ask("/history/delete", {}, options);
  await reload();
  setText($("status"), `${plural(deleted, "scene")} deleted. ${statusText()}`);
}

$("delete-span").onclick = confirmSpan;
$("from").onchange = countSpan;
$("to").onchange = countSpan;
$("keep").onclick = () => $("deletion").close();
$("deletion-form").onsubmit = event => {
  event.preventDefault();
  $("deletion").close();
  attempt(deleteDoomed);
};
