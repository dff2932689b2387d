// A letter beside the conversation: its text as it is, the cited slice marked. Offsets are code points, as the service counts.

import { $, clear, copy, el, motion, quoted, toast } from "/web/dom.js";
import { get, letterPath } from "/web/net.js";
import { say } from "/web/words.js";

const DATE = /^[\d〇一二三四五六七八九十]{4}年[\d一二三四五六七八九十]{1,3}月[\d一二三四五六七八九十]{1,3}日$/;
const known = new Map();
let shown = null; // {letter, chars, range, back}
let wanted = 0; // counts what was to be shown; only the last of it is

export const shownLetter = () => shown?.letter;

async function fetchLetter(id) {
  if (!known.has(id)) {
    const letter = await get(letterPath(id));
    if (known.size > 20) known.clear();
    known.set(id, letter);
  }
  return known.get(id);
}

export const forget = () => known.clear();

/** Show a letter; `range` is {start, end} or null, `back` gets the focus when it is closed. */
export async function openLetter(id, range, back, act) {
  const pane = $("letter");
  const mine = (wanted += 1);
  let letter;
  try {
    letter = await fetchLetter(id);
  } catch (problem) {
    toast(problem.status === 404 ? say("noLetter") : problem.message);
    return false;
  }
  if (mine !== wanted) return false;
  const chars = shown?.letter === letter ? shown.chars : Array.from(letter.text);
  shown = { letter, chars, range, back: back ?? shown?.back };
  clear(pane, head(letter, act), about(letter), contents(letter), text(), foot());
  pane.hidden = false;
  document.body.classList.add("with-letter");
  const mark = pane.querySelector("mark");
  if (mark) {
    mark.scrollIntoView({ block: "center" });
    mark.focus({ preventScroll: true });
  } else {
    pane.scrollTop = 0;
    pane.focus({ preventScroll: true });
  }
  return true;
}

export function closeLetter() {
  wanted += 1;
  if (!shown) return;
  const { back } = shown;
  shown = null;
  $("letter").hidden = true;
  document.body.classList.remove("with-letter");
  (back?.isConnected ? back : $("question")).focus({ preventScroll: true });
}

function head(letter, act) {
  return el("header.letter-head", {},
    el("button.quiet.icon", { type: "button", "aria-label": say("close"), title: say("close"), onclick: act.close }, "×"),
    el("h2", { id: "letter-title", lang: "zh-CN" }, ...quoted(letter.title)),
    el("button.pill", { type: "button", onclick: () => act.only(letter) }, say("onlyThis")));
}

function about(letter) {
  const rows = [["from", letter.issuer], ["to", letter.addressee], ["date", letter.date], ["number", letter.number], ["source", letter.source]];
  return el("dl.about", {}, rows.filter(([, value]) => value).map(([name, value]) =>
    el("div", {}, el("dt", {}, say(name)), el("dd", { lang: "zh-CN" }, ...quoted(value)))));
}

function contents(letter) {
  const items = [];
  let section = "";
  letter.measures.forEach((m, i) => {
    if (m.section && m.section !== section) items.push(el("li.section", {}, ...quoted((section = m.section))));
    const go = () => document.getElementById(`m${i}`)?.scrollIntoView({ block: "start", behavior: motion() });
    items.push(el("li", {}, el("button", { type: "button", onclick: go }, ...quoted(m.heading || m.path))));
  });
  return el("details.contents", {},
    el("summary", {}, `${say("outline")} · ${say("measures")(letter.measures.length)}`), el("ul", { lang: "zh-CN" }, items));
}

/** The text, line by line; each line knows where it begins. */
function text() {
  const { letter, chars } = shown;
  const starts = new Map(letter.measures.map((m, i) => [m.start, i]));
  const inside = (spans, at) => spans.some((s) => s.start <= at && at < s.end);
  const lines = [];
  for (let start = 0; start < chars.length;) {
    let end = chars.indexOf("\n", start);
    if (end < 0) end = chars.length;
    const line = chars.slice(start, end).join("");
    if (line.trim()) {
      const first = start + Array.from(line.match(/^\s*/)[0]).length;
      const number = starts.get(first) ?? starts.get(start);
      const within = [...starts].filter(([at]) => first < at && at < end);
      const measure = letter.measures[number];
      const kind = inside(letter.headings, first) ? "h3" : "p";
      const style = inside(letter.furniture, first) ? ".furniture" : line.trim() === letter.issuer || DATE.test(line.trim()) ? ".sign" : "";
      const bold = measure?.heading ? first + Array.from(measure.heading).length : first;
      lines.push(el(kind + style, { id: number === undefined ? null : `m${number}`, "data-start": start },
        pieces(start, end, first, bold, within)));
    }
    start = end + 1;
  }
  return el("div.text", { lang: "zh-CN" }, lines);
}

/** A line cut where the heading ends, where measures begin within it, and where the marked slice begins and ends. */
function pieces(start, end, first, bold, within) {
  const { chars, range } = shown;
  const begins = new Map(within);
  const cuts = [start, end, first, bold, range?.start ?? start, range?.end ?? end, ...begins.keys()];
  const at = [...new Set(cuts.map((c) => Math.min(Math.max(c, start), end)))].sort((a, b) => a - b);
  return at.slice(1).map((to, i) => {
    const from = at[i];
    let node = quoted(chars.slice(from, to).join(""));
    if (to <= bold && from >= first) node = [el("strong", {}, node)];
    if (range && from >= range.start && to <= range.end) node = [el("mark", { tabindex: "-1" }, node)];
    return begins.has(from) ? [el("span", { id: `m${begins.get(from)}` }), node] : node;
  });
}

/** What can be done with the slice that is marked, or that the reader selects. */
function foot() {
  return el("footer.letter-foot", {},
    el("button.pill", { type: "button", onclick: () => withSlice((r) => quotation(r)) }, say("copyQuote")),
    el("button.pill", { type: "button", onclick: () => withSlice((r) => address(r)) }, say("copyLink")));
}

async function withSlice(words) {
  const range = selected() ?? shown.range;
  if (!range) return toast(say("nothing"));
  await copy(words(range));
  return toast(say("copied"));
}

const address = (r) => `${location.origin}${letterPath(shown.letter.letter_id)}#c=${r.start}-${r.end}`;

function quotation(r) {
  const { letter, chars } = shown;
  const place = [letter.issuer, letter.title && `《${letter.title}》`, letter.date].filter(Boolean).join(",");
  return `“${chars.slice(r.start, r.end).join("")}”\n——${place}\n${address(r)}`;
}

/** The reader's own selection in the text, in code points. */
function selected() {
  const selection = getSelection();
  if (selection.isCollapsed) return null;
  const { startContainer, startOffset, endContainer, endOffset } = selection.getRangeAt(0);
  const { chars } = shown;
  let start = offset(startContainer, startOffset);
  if (start === null) return null;
  let end = offset(endContainer, endOffset) ?? chars.length; // what follows the text is not of it
  while (start < end && !chars[start].trim()) start += 1;
  while (start < end && !chars[end - 1].trim()) end -= 1;
  return start < end ? { start, end } : null;
}

function offset(node, at) {
  const line = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node).closest("#letter [data-start]");
  if (!line) return null;
  const before = document.createRange();
  before.setStart(line, 0);
  before.setEnd(node, at);
  return Number(line.dataset.start) + Array.from(before.toString()).length;
}
