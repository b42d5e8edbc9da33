// Asks the server for the labels of a text, and for the reasons of a label. Labels and texts are
// from strangers: they are put into the page as text only, never as HTML.

const FIRST = 5; // labels shown at first
const FAINT = 0.03; // a weight below this part of the largest is not colored
const FULL = 0.1; // a change of the logit that has the full color, where none is larger
const TELLING = 0.005; // what a listed word changes, at least
const LISTED = 8; // words listed for the label, and as many against it

const $ = (id) => document.getElementById(id);
const form = $("form"), field = $("text"), list = $("labels"), more = $("more");

let health = null; // what GET health says: number of labels, limits
let shown = { text: "", k: 0 };
let asking = new AbortController(); // of the text that is shown

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  find(field.value, FIRST);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
more.addEventListener("click", () => find(shown.text, most(2 * shown.k)));
about();

async function about() {
  try {
    health = await ask("health");
    $("model").textContent = `${count(health.n_labels)} labels`;
  } catch (error) {
    say(error);
  }
}

/** Show the k best labels of a text. */
async function find(text, k) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  say(null);
  $("status").textContent = "Looking for labels …";
  try {
    health ??= await ask("health");
    checkLength(text, health.limits.max_characters, "A text");
    const body = { texts: [text], k: most(k) };
    const [answer] = (await ask("predict", body, signal)).predictions;
    const from = text === shown.text && list.children.length === shown.k ? shown.k : 0;
    show(text, answer, from, signal);
  } catch (error) {
    if (signal.aborted) return;
    $("status").textContent = "";
    say(error);
  }
}

/** Put labels into the list: all of them, or those from a place on, after what is there. */
function show(text, { labels, names = labels, scores }, from, signal) {
  const rows = labels.map((label, i) => row(text, label, String(names[i]), scores[i], signal));
  if (from) list.append(...rows.slice(from));
  else list.replaceChildren(...rows);
  shown = { text, k: labels.length };
  $("found").hidden = false;
  more.hidden = shown.k >= most(Infinity);
  $("status").textContent = `${count(shown.k)} labels, the best first. Choose one for its reasons.`;
  if (from) list.children[from].querySelector("button").focus();
}

function row(text, label, name, score, signal) {
  const item = copy("label-template").firstElementChild;
  const [button, reasons] = item.children;
  const [shownName, shownLabel] = item.querySelectorAll("bdi");
  shownName.textContent = name;
  if (String(label) === name) shownLabel.parentElement.remove();
  else shownLabel.textContent = label;
  item.querySelector(".bar > span").style.width = `${100 * score}%`;
  item.querySelector(".score").textContent = score.toFixed(3);
  reasons.setAttribute("aria-label", `Reasons for ${name}`);
  let asked = false;
  button.addEventListener("click", async () => {
    const open = reasons.hidden;
    reasons.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (!open || asked) return;
    asked = true;
    reasons.replaceChildren(element("p", "key", "Looking for reasons …"));
    $("status").textContent = `Looking for the reasons of ${name} …`;
    try {
      checkLength(text, health.limits.max_explained_characters, "For reasons, a text");
      fill(reasons, await ask("explain", { text, label }, signal), text);
      $("status").textContent = `The reasons of ${name} are shown below it.`;
    } catch (error) {
      if (signal.aborted) return;
      asked = false; // it may be asked again
      reasons.replaceChildren(element("p", "key", error.message));
      $("status").textContent = error.message;
    }
  });
  return item;
}

/** Show an explanation. */
function fill(place, found, text) {
  const content = copy("reasons-template");
  const part = (selector) => content.querySelector(selector);
  const full = Math.max(FULL, ...found.words.map((word) => Math.abs(word.weight)));
  part(".document").replaceChildren(...colored(text, found.words, full));
  const weighty = found.words
    .filter((word) => Math.abs(word.weight) >= TELLING)
    .sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))
    .map((word) => ({ name: word.text, value: word.weight }));
  const listed = part(".words");
  for (const [title, sign] of [["For", 1], ["Against", -1]]) {
    const side = weighty.filter((word) => sign * word.value > 0).slice(0, LISTED);
    if (side.length) listed.append(element("dt", "", title), told(side, full));
  }
  if (!listed.children.length) listed.append(element("dt", "", "No single word matters."));
  if (found.mentions.length) {
    const whole = found.mentions[0].is_whole;
    const mentioned = new Set(found.mentions.map((each) => each.text));
    listed.append(element("dt", "", whole ? "Its own name" : "Words of its name"));
    listed.append(element("dd", "", [...mentioned].slice(0, LISTED).join(", ")));
  }
  const table = part("tbody");
  const members = found.opinions.some((opinion) => opinion.member > 0);
  for (const opinion of found.opinions) table.append(...opinionRows(opinion, members));
  if (!found.opinions.length) part(".opinions").remove();
  part(".neighbors ul").append(
    ...found.neighbors.map(({ document: number, share }) =>
      element("li", "", `number ${count(number)} (${(100 * share).toFixed(1)} %)`)),
  );
  if (!found.neighbors.length) part(".neighbors").remove();
  place.replaceChildren(content);
}

/** Return the text in pieces, its words colored. Places count characters, not UTF-16 units. */
function colored(text, words, full) {
  const characters = Array.from(text), pieces = [];
  const between = (start, end) => characters.slice(start, end).join("");
  let end = 0;
  for (const word of words) {
    pieces.push(between(end, word.start), marked(between(word.start, word.end), word.weight / full));
    end = word.end;
  }
  return [...pieces, between(end)];
}

function marked(text, strength) {
  if (Math.abs(strength) < FAINT) return text;
  const mark = element("mark", `word ${strength > 0 ? "for" : "against"}`, text);
  mark.style.setProperty("--strength", Math.abs(strength).toFixed(3));
  return mark;
}

/** Return words or features with their numbers. */
function told(side, full) {
  const place = element("dd");
  for (const { name, value } of side) {
    const one = element("span", "told"), isolated = element("bdi");
    isolated.append(marked(name, value / full));
    one.append(isolated, " ", element("small", "", signed(value)));
    place.append(one, " ");
  }
  return place;
}

function opinionRows(opinion, members) {
  const first = element("tr"), head = element("th");
  head.scope = "row";
  const ranker = opinion.ranker.replaceAll("_", " ");
  head.textContent = members ? `${opinion.member + 1}: ${ranker}` : ranker;
  const said = Object.entries(opinion.values).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  const best = element("td"), isolated = element("bdi", "", opinion.best_name ?? "none");
  best.append(isolated);
  first.append(head, element("td", "", said.join(", ")), best);
  const sides = [["for", opinion.for], ["against", opinion.against]].filter(([, side]) => side.length);
  if (!sides.length) return [first];
  const full = Math.max(...sides.flatMap(([, side]) => side.map((each) => Math.abs(each.contribution))));
  const second = element("tr", "features"), cell = element("td"), terms = element("dl");
  for (const [title, side] of sides) {
    const named = side.map((each) => ({ name: each.name, value: each.contribution }));
    terms.append(element("dt", "", title), told(named, full));
  }
  cell.colSpan = 3;
  cell.append(terms);
  second.append(cell);
  return [first, second];
}

/** Ask the server; throw an error whose message can be shown. */
async function ask(address, body, signal) {
  const options = { signal };
  if (body) {
    Object.assign(options, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  }
  let response, content;
  try {
    response = await fetch(address, options);
    content = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  let answer;
  try {
    answer = JSON.parse(content, exact);
  } catch {
    throw new Error(`The server answers with status ${response.status}.`);
  }
  if (response.ok) return answer;
  const { detail } = answer;
  throw new Error(Array.isArray(detail) ? `${detail[0].loc.join(" ")}: ${detail[0].msg}` : detail);
}

/** Keep whole numbers that are too large for JavaScript, such as labels, as they are written. */
function exact(key, value, context) {
  const isLarge = Number.isInteger(value) && !Number.isSafeInteger(value);
  return isLarge && context ? context.source : value;
}

function checkLength(text, limit, what) {
  const length = Array.from(text).length;
  if (length <= limit) return;
  throw new Error(`${what} may have ${count(limit)} characters; this one has ${count(length)}.`);
}

function most(k) {
  return health ? Math.min(k, health.n_labels, health.limits.max_k) : k;
}

function say(error) {
  $("error").textContent = error ? error.message : "";
}

function copy(id) {
  return $(id).content.cloneNode(true);
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function count(number) {
  return number.toLocaleString("en");
}

function signed(value) {
  return `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(2)}`;
}
