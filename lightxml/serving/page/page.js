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
let asking = new AbortController(); // for the labels of the text that was given last
let explaining = new AbortController(); // for the reasons of labels that are shown

form.addEventListener("submit", (event) => {
  event.preventDefault();
  asking.abort();
  asking = new AbortController();
  find(field.value, FIRST, 0);
});
field.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
more.addEventListener("click", () => find(shown.text, 2 * shown.k, shown.k));
about();

async function about() {
  try {
    health = await ask("health");
    $("model").textContent = `${count(health.n_labels)} labels`;
  } catch (error) {
    $("error").textContent = error.message;
  }
}

/** Show the k best labels of a text, of which some may be there already. */
async function find(text, k, there) {
  const { signal } = asking;
  $("error").textContent = "";
  $("status").textContent = "Looking for labels …";
  more.disabled = true;
  try {
    health ??= await ask("health");
    checkLength(text, health.limits.max_characters, "A text");
    const body = { texts: [text], k: Math.min(k, most()) };
    const answer = await ask("predict", body, signal);
    show(text, answer.predictions[0], there);
  } catch (error) {
    if (signal.aborted) return; // by a newer text
    $("status").textContent = "";
    $("error").textContent = error.message;
  }
  more.disabled = false;
}

/** Put labels into the list, after those that are there. */
function show(text, { labels, names = labels, scores }, there) {
  const rows = labels.map((label, i) => row(text, label, String(names[i]), scores[i]));
  if (!there) {
    explaining.abort();
    explaining = new AbortController();
    list.replaceChildren();
  }
  list.append(...rows.slice(there));
  shown = { text, k: labels.length };
  $("found").hidden = false;
  more.hidden = shown.k >= most();
  $("status").textContent = `${count(shown.k)} labels, the best first. Choose one for its reasons.`;
  if (there) list.children[there].querySelector("button").focus();
}

function row(text, label, name, score) {
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
    reasons.hidden = !reasons.hidden;
    button.setAttribute("aria-expanded", String(!reasons.hidden));
    if (reasons.hidden || asked) return;
    asked = true;
    const { signal } = explaining;
    reasons.replaceChildren(element("p", "key", "Looking for reasons …"));
    $("spoken").textContent = `Looking for the reasons of ${name} …`;
    try {
      checkLength(text, health.limits.max_explained_characters, "For reasons, a text");
      fill(reasons, await ask("explain", { text, label }, signal), text);
      $("spoken").textContent = `The reasons of ${name} are shown below it.`;
    } catch (error) {
      if (signal.aborted) return; // other labels are shown now
      asked = false; // it may be asked again
      reasons.replaceChildren(element("p", "key", error.message));
      $("spoken").textContent = error.message;
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
  const listed = part(".words");
  const add = (title, ...pieces) => {
    const described = element("dd");
    described.append(...pieces);
    listed.append(element("dt", "", title), described);
  };
  const weighty = strongest(found.words);
  for (const [title, sign] of [["For", 1], ["Against", -1]]) {
    const side = weighty.filter((word) => sign * word.value > 0).slice(0, LISTED);
    if (side.length) add(title, ...told(side, full));
  }
  if (!weighty.length) add("Words", "None matters by itself.");
  if (found.mentions.length) {
    const mentioned = new Set(found.mentions.map((each) => each.text));
    const title = found.mentions[0].is_whole ? "Its name" : "Of its name";
    add(title, [...mentioned].slice(0, LISTED).join(", "));
  }
  const members = found.opinions.some((opinion) => opinion.member > 0);
  part(".opinions").append(...found.opinions.flatMap((each) => opinionOf(each, members)));
  part(".neighbors").append(...found.neighbors.map((near) =>
    element("li", "", `document ${near.document} (${(100 * near.share).toFixed(1)} %)`)));
  for (const section of content.querySelectorAll("section")) {
    if (!section.lastElementChild.children.length) section.remove();
  }
  place.replaceChildren(content);
}

/** Return the words with weight, each once, by its strongest place in the text. */
function strongest(words) {
  const found = new Map();
  for (const word of [...words].sort((a, b) => Math.abs(b.weight) - Math.abs(a.weight))) {
    const key = word.text.toLowerCase();
    if (Math.abs(word.weight) < TELLING) break;
    if (!found.has(key)) found.set(key, { name: word.text, value: word.weight });
  }
  return [...found.values()];
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

/** Return words or features, each with its number. */
function told(side, full) {
  return side.flatMap(({ name, value }) => {
    const one = element("span", "told"), isolated = element("bdi");
    isolated.append(marked(name, value / full));
    one.append(isolated, " ", element("small", "", (value > 0 ? "+" : "") + number(value)));
    return [one, " "];
  });
}

/** Return what a ranker thinks: its name, and what it says. */
function opinionOf(opinion, members) {
  const ranker = opinion.ranker.replaceAll("_", " ");
  const name = element("dt", "", members ? `${opinion.member + 1}: ${ranker}` : ranker);
  const said = Object.entries(opinion.values).map(([what, value]) => `${what} ${number(value)}`);
  const best = element("p", "", "its own best label: ");
  best.append(element("bdi", "", opinion.best_name ?? "none"));
  const place = element("dd");
  place.append(element("p", "", said.join(", ")), best);
  const sides = { for: opinion.for, against: opinion.against };
  const values = Object.values(sides).flat().map((each) => Math.abs(each.contribution));
  for (const [title, side] of Object.entries(sides)) {
    if (!side.length) continue;
    const line = element("p");
    const named = side.map((each) => ({ name: each.name, value: each.contribution }));
    line.append(element("span", "side", `${title}: `), ...told(named, Math.max(...values)));
    place.append(line);
  }
  return [name, place];
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
  throw new Error(Array.isArray(detail) ? [...detail[0].loc, detail[0].msg].join(": ") : detail);
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

/** Return how many labels a text can be given, once GET health has answered. */
function most() {
  return Math.min(health.n_labels, health.limits.max_k);
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

function number(value) {
  return value.toFixed(2).replace("-", "\u2212");
}
