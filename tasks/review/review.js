"use strict";
// One caption at a time. All that comes from the server is put in as text: nothing in a caption can become markup.

const $ = (selector) => document.querySelector(selector);
const who = $("#who");
const remembered = (key) => localStorage.getItem(`earthscribe.review.${key}`) ?? "";
const remember = (key, value) => localStorage.setItem(`earthscribe.review.${key}`, value);
const forget = (key) => localStorage.removeItem(`earthscribe.review.${key}`);

let entries = [];      // the whole queue
let shown = [];        // those of it that the filter lets through
let at = 0;            // the place in `shown`
let item = null;       // what is on the page
let mode = "read";     // read, edit or reject
const given = new Set(); // names of what I judged on this visit, the newest last: entries are loaded anew
let givenBy = "";
const fetched = new Map(); // items asked for ahead

const reviewer = () => who.reviewer.value.trim();
const name = (entry) => `${entry.captioner} ${entry.tile_id}`;
const address = (path, values) => `${path}?${new URLSearchParams(values)}`;

async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", body, headers: { "X-Earthscribe": "review" } };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The review server does not answer. Start it again, then repeat: what was kept is kept.");
  }
  const type = response.headers.get("Content-Type") ?? "";
  const content = type.startsWith("application/json") ? await response.json() : { error: await response.text() };
  if (!response.ok) {
    const told = new Error(content.error || `The server answered ${response.status}.`);
    throw Object.assign(told, { status: response.status });
  }
  return content;
}

function notice(text) {
  $("#notice").textContent = text;
  $("#notice").hidden = !text;
}

// A row, a mark, a heading: an element with a class and text.
function element(tag, text = "", className = "", attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(text);
  return made;
}

const FILTERS = {
  open: (entry) => !entry.verdict,
  flagged: (entry) => entry.why === "flagged",
  sample: (entry) => entry.why === "sample",
  judged: (entry) => Boolean(entry.verdict),
  disagreed: (entry) => entry.disagreed,
  all: () => true,
};

async function loadQueue() {
  if (reviewer() !== givenBy) given.clear();
  givenBy = reviewer();
  const queue = await ask(address("api/queue", { reviewer: givenBy }));
  entries = queue.entries;
  showAgreement(queue.agreement);
  await choose();
}

function choose() {
  const here = shown[at] && name(shown[at]);
  shown = entries.filter(FILTERS[who.filter.value]);
  at = Math.max(shown.findIndex((entry) => name(entry) === here), 0); // whoever read a caption goes on reading it
  fetched.clear();
  return show();
}

function progress() {
  const judged = entries.filter((entry) => entry.verdict).length;
  const place = shown.length ? `${at + 1} of ${shown.length} shown · ` : "";
  $("#progress").textContent = `${place}${judged} of ${entries.length} judged by you`;
}

// The next caption and its pictures are asked for while this one is read.
function fetchItem(entry) {
  const key = name(entry);
  if (!fetched.has(key)) {
    const asked = ask(address("api/item", { ...place(entry), reviewer: reviewer() }));
    asked.then(() => pictures(entry).forEach((source) => { new Image().src = source; }), () => fetched.delete(key));
    fetched.set(key, asked);
  }
  return fetched.get(key);
}

// Unsaved words belong to one person and one text of one campaign: several may be reviewed on one address.
const draftOf = (found) =>
  `draft ${JSON.stringify([document.body.dataset.campaign, reviewer(), found.captioner, found.tile_id, found.version])}`;
const place = (entry) => ({ captioner: entry.captioner, tile_id: entry.tile_id });
const pictures = (entry) => [address("api/land-cover", { tile_id: entry.tile_id })];

async function show() {
  const entry = shown[at];
  progress();
  $("#empty").hidden = Boolean(entry);
  $("#item").hidden = !entry;
  item = null;
  tellBusy();
  if (!entry) return;
  try {
    const found = await fetchItem(entry);
    if (shown[at] !== entry) return;
    draw(found);
    notice("");
  } catch (error) {
    notice(error.message);
  }
  if (shown[at + 1]) fetchItem(shown[at + 1]).catch(() => {});
}

function draw(found) {
  item = found;
  tellBusy();
  $("#title").textContent = found.tile_id;
  $("#captioner").textContent = found.captioner;
  $("#status").textContent = found.verdict ? `${found.status} by you` : found.status;
  $("#status").className = `state ${found.status}`;
  $("#place").textContent = found.place ?? "";
  $("#flags").replaceChildren(...found.found.map((flag) => element("li", flag, flag.startsWith("size-word") ? "warning" : "")));
  $("#flags").hidden = found.found.length === 0;
  $("#caption").replaceChildren(...marked(found));
  const [map] = pictures(found);
  const classes = found.shares.map((share) => `${share.name} ${share.overall} %`).join(", ");
  Object.assign($("#map img"), { src: map, alt: `Land cover of tile ${found.tile_id}: ${classes}` });
  $("#photograph").hidden = !found.has_photograph;
  if (found.has_photograph) {
    const source = address("api/photograph", { tile_id: found.tile_id });
    Object.assign($("#photograph img"), { src: source, alt: `Satellite image of tile ${found.tile_id}` });
  }
  drawShares(found);
  $("#past ol").replaceChildren(...found.history.map(version));
  const draft = remembered(draftOf(found));
  setMode(draft && draft !== found.text ? "edit" : "read");
}

// The caption in pieces: no span begins or ends within a piece.
function marked(found) {
  const ends = [0, found.text.length, ...found.spans.flatMap((span) => [span.start, span.end])];
  const cuts = [...new Set(ends)].sort((one, other) => one - other);
  return cuts.slice(1).map((end, index) => {
    const start = cuts[index];
    const text = found.text.slice(start, end);
    const here = found.spans.filter((span) => span.start <= start && span.end >= end);
    if (here.length === 0) return document.createTextNode(text);
    const piece = element("mark", text);
    const named = here.find((span) => span.class_id !== null);
    if (named) {
      piece.classList.add("class");
      piece.dataset.class = named.class_id;
      piece.style.setProperty("--colour", found.colours[named.class_id]);
    }
    const flags = here.filter((span) => span.flag !== null);
    if (flags.length) {
      piece.classList.add(flags.some((span) => span.is_error) ? "error" : "warning");
      piece.title = flags.map((span) => span.flag).join(", ");
    }
    return piece;
  });
}

function drawShares(found) {
  const arrows = "↖↗↙↘◎";
  const head = element("tr");
  head.append(element("th", "Class", "", { scope: "col" }), element("th", "all", "", { scope: "col" }));
  found.parts.forEach((part, index) => {
    const cell = element("th", "", "", { scope: "col", title: part });
    cell.append(element("span", arrows[index], "", { "aria-hidden": "true" }), element("span", part, "unseen"));
    head.append(cell);
  });
  $("#shares thead").replaceChildren(head);
  $("#shares tbody").replaceChildren(...found.shares.map((share) => {
    const row = element("tr");
    row.dataset.class = share.class;
    const heading = element("th", "", "", { scope: "row" });
    const swatch = element("span", "", "swatch");
    swatch.style.setProperty("--colour", found.colours[share.class]);
    heading.append(swatch, share.name);
    row.append(heading, element("td", share.overall), ...share.parts.map((part) => element("td", part)));
    return row;
  }));
}

function version(found) {
  const line = element("li");
  const flags = found.flags.length ? ` (${found.flags.join(", ")})` : "";
  const reason = found.reason ? `: ${found.reason}` : "";
  line.append(element("p", `${found.status} · ${found.by} · ${found.at}${flags}${reason}`, "quiet"));
  if (found.text) line.append(element("p", found.text, "old"));
  return line;
}

function setMode(wanted) {
  mode = wanted;
  // A field that is hidden keeps the focus until the page is drawn again, and would swallow the next key.
  if (mode === "read" && document.activeElement?.closest("#editor, #rejection")) $("#caption").focus();
  $("#editor").hidden = mode !== "edit";
  $("#rejection").hidden = mode !== "reject";
  $("#actions").hidden = mode !== "read";
  if (mode === "edit") {
    $("#text").value = remembered(draftOf(item)) || item.text;
    $("#text").focus();
  } else if (mode === "reject") {
    $("#reason").value = "";
    $("#reason").focus();
  }
}

async function judge(says, { text = null, reason = null } = {}) {
  const entry = shown[at];
  const judged = item;
  const body = { ...place(judged), version: judged.version, reviewer: reviewer(), says, text, reason };
  await ask("api/verdict", JSON.stringify(body));
  forget(draftOf(judged));
  given.delete(name(entry));
  given.add(name(entry));
  entry.verdict = says;
  fetched.delete(name(entry));
  // Whoever has leafed on meanwhile stays there: another step would pass over a caption.
  if (shown[at] === entry) await step(1);
  else progress();
}

async function undo() {
  const last = [...given].at(-1) ?? (item?.verdict ? name(item) : null);
  given.delete(last);
  const entry = entries.find((one) => name(one) === last);
  if (!entry) throw new Error("There is no verdict of yours to take back on this visit, nor on this caption.");
  let refusal = "";
  try {
    await ask("api/undo", JSON.stringify({ ...place(entry), reviewer: reviewer() }));
  } catch (error) {
    if (error.status !== 409) {
      given.add(last);
      throw error;
    }
    refusal = error.message; // nothing of mine stands there any more: the next undo goes to the verdict before
  }
  entry.verdict = null;
  fetched.delete(last);
  if (!shown.includes(entry)) shown.splice(at, 0, entry);
  at = shown.indexOf(entry);
  await show();
  if (refusal) notice(refusal);
}

function step(by) {
  at = Math.min(Math.max(at + by, 0), Math.max(shown.length - 1, 0));
  return show();
}

const ACTIONS = {
  accept: () => judge("accept"),
  edit: () => setMode("edit"),
  reject: () => setMode("reject"),
  undo,
  cancel: () => {
    forget(draftOf(item));
    setMode("read");
  },
};
const STEPS = { previous: -1, next: 1 };
const KEYS = { a: "accept", e: "edit", r: "reject", u: "undo", j: "next", k: "previous" };
const NEED_NAME = new Set(["accept", "edit", "reject", "undo"]);
const NEED_ITEM = new Set(["accept", "edit", "reject", "cancel"]);

let busy = false;
let waiting = null;
// One thing at a time; what goes wrong is told on the page.
async function guarded(work) {
  if (busy) return;
  busy = true;
  tellBusy();
  try {
    notice("");
    await work();
  } catch (error) {
    notice(error.message);
  } finally {
    busy = false;
    tellBusy();
  }
  const next = waiting;
  waiting = null;
  if (next) await guarded(next);
}

// What was chosen while a verdict is on its way is done behind it.
const afterwards = (work) => (busy ? (waiting = work) : guarded(work));

const tellBusy = () => $("#item").setAttribute("aria-busy", String(busy || !item));

function act(action) {
  if (NEED_NAME.has(action) && !reviewer()) {
    notice("Say who you are first: a verdict carries its reviewer's name.");
    who.reviewer.focus();
  } else if (action in STEPS) {
    step(STEPS[action]); // leafing is never in the way of anything, however fast the key is pressed
  } else if (item || !NEED_ITEM.has(action)) {
    guarded(ACTIONS[action]);
  }
}

function showAgreement(found) {
  $("#kappas").hidden = found.length === 0;
  $("#none-both").hidden = found.length > 0;
  $("#kappas tbody").replaceChildren(...found.map((pair) => {
    const row = element("tr");
    row.append(
      element("th", `${pair.first}, ${pair.second}`, "", { scope: "row" }),
      element("td", String(pair.both)),
      element("td", String(pair.agreed)),
      element("td", pair.kappa === null ? "–" : pair.kappa.toFixed(2)),
    );
    return row;
  }));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button) act(button.dataset.do);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && mode !== "read") return act("cancel");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && mode === "edit") {
    // The next caption may have a draft, which opens in the editor: a key that is held does not save that, too.
    if (!event.repeat) $("#editor").requestSubmit();
    return undefined;
  }
  const typing = event.target.closest("input, textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || mode !== "read") return undefined;
  const action = KEYS[event.key] ?? (event.key === "Enter" && event.target.closest("[data-do]")?.dataset.do);
  if (action) {
    event.preventDefault();
    // A key that is held leafs on, but judges one caption alone: nobody has read the next ones.
    if (!event.repeat || action in STEPS) act(action);
  }
  return undefined;
});
$("#editor").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(() => judge("edit", { text: $("#text").value }));
});
$("#rejection").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(() => judge("reject", { reason: $("#reason").value }));
});
$("#text").addEventListener("input", () => item && remember(draftOf(item), $("#text").value));
who.addEventListener("submit", (event) => event.preventDefault());
who.reviewer.addEventListener("change", () => {
  remember("reviewer", reviewer());
  afterwards(loadQueue);
});
who.filter.addEventListener("change", () => afterwards(loadQueue));
$("#file").addEventListener("change", () => guarded(async () => {
  const [file] = $("#file").files;
  if (!file) return;
  const result = await ask("api/import", file);
  const refused = result.refused.length ? `, ${result.refused.length} refused: ${result.refused[0]}` : "";
  $("#brought").textContent = `${result.kept} kept, ${result.known} known already${refused}`;
  await loadQueue();
}));
// The class under the pointer stands out in the table.
document.addEventListener("pointerover", (event) => {
  const named = event.target.closest?.("[data-class]");
  document.querySelectorAll("[data-class]").forEach((other) => {
    other.classList.toggle("pointed", Boolean(named) && other.dataset.class === named.dataset.class);
  });
});

who.reviewer.value = remembered("reviewer");
guarded(loadQueue);
