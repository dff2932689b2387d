// A question and what came back: the short answer large, the sentence, how sure, where it stands, what to ask next.

import { $, clear, copy, el, motion, quoted, toast } from "/web/dom.js";
import { get, letterPath } from "/web/net.js";
import { say, sureness } from "/web/words.js";

export const permalink = (c) => `${location.origin}${letterPath(c.letter_id)}#c=${c.start}-${c.end}`;

const place = (c) => [c.issuer || c.title, c.date, c.heading || c.section || c.path].filter(Boolean);

/** One turn of the conversation; `act` opens a citation, asks a question, shows the list. */
export function newTurn(question, act) {
  const body = el("div.reply", {}, el("p.reading", {}, el("span.dots", { "aria-hidden": "true" }), say("reading")));
  const turn = el("li.turn", {}, el("h2.asked", {}, ...quoted(question)), body);
  $("turns").append(turn);
  turn.scrollIntoView({ block: "start", behavior: motion() });
  return {
    show(answer, scope) {
      clear(body, answer.refused ? refusal(answer, act) : reply(answer, act));
      $("told").textContent = [answer.short_answer, answer.answer].filter(Boolean).join("。");
      const first = answer.citations[0]?.letter_id ?? scope;
      if (answer.refused) instead(answer, body, scope, act);
      else follow(first, answer, body, act);
    },
    fail(problem, again) {
      clear(body, el("div.failure", { role: "alert" },
        el("p.short.words", {}, say("failed")), el("p", {}, problem.message),
        el("p.row", {}, el("button.pill", { type: "button", onclick: again }, say("again")))));
    },
    drop: () => turn.remove(),
  };
}

function reply(answer, act) {
  const first = answer.citations[0];
  const short = answer.short_answer;
  const size = short.length <= 14 ? "" : short.length <= 40 ? ".medium" : ".words";
  const whole = answer.answer.replace(/\[\d+\]$/, "");
  return [
    short && short !== whole && el(`p.short${size}`, { lang: "zh-CN" }, ...quoted(short)),
    el("div.sentences", { lang: answer.mode === "generated" ? null : "zh-CN" },
      answer.answer.split("\n").map((line) => el("p", {}, ...marked(line, answer, act)))),
    notes(answer, first),
    el("ul.sources", {}, answer.citations.map((c) => el("li", {}, source(c, answer, act)))),
    el("p.row", {},
      el("button.pill", { type: "button", onclick: () => copyAnswer(answer) }, say("copy")),
      el("button.pill", { type: "button", onclick: () => copyText(questionLink(answer.question)) }, say("link"))),
  ];
}

/** A line of the answer: its [n] become buttons, and the short answer in it stands out. */
function marked(line, answer, act) {
  return line.split(/(\[\d+\])/).flatMap((part) => {
    const n = /^\[(\d+)\]$/.exec(part)?.[1];
    const cited = n && answer.citations.find((c) => c.n === Number(n));
    if (cited) return el("button.mark", { type: "button", "aria-label": `${say("open")} ${n}`, onclick: (e) => act.open(cited, e.currentTarget) }, n);
    return emphasised(part, answer.short_answer);
  });
}

function emphasised(text, short) {
  for (const piece of short.split("；")) {
    const at = piece ? standing(text, piece) : -1;
    if (at >= 0 && piece.length < text.length) {
      return [...quoted(text.slice(0, at)), el("b.key", {}, ...quoted(piece)), ...quoted(text.slice(at + piece.length))];
    }
  }
  return quoted(text);
}

/** Where a piece stands in a text; not where it is the end of a longer number, as 3家 in 63家. */
function standing(text, piece) {
  let at = text.indexOf(piece);
  while (at > 0 && /^\d/.test(piece) && /\d[.,]?$/.test(text.slice(0, at))) at = text.indexOf(piece, at + 1);
  return at;
}

function notes(answer, first) {
  const times = Object.entries(first?.times ?? {}).map(([said, meant]) => `${said} = ${meant}`);
  const level = answer.confidence >= 0.9 ? "high" : answer.confidence >= 0.7 ? "middle" : "low";
  return el("ul.notes", {},
    el(`li.sure.${level}`, { title: `${Math.round(100 * answer.confidence)}%` }, sureness(answer.confidence)),
    first?.status && el("li", {}, say("status")[first.status]),
    times.map((t) => el("li", { lang: "zh-CN" }, t)),
    answer.mode === "generated" && el("li", {}, say("generated")));
}

/** A link to a citation; of what is only near, the measure comes first and its best sentence is shown. */
function source(c, answer, act) {
  const near = c.n === undefined;
  const [issuer, date, measure] = [c.issuer || c.title, c.date, c.heading || c.section || c.path];
  const rest = near ? [issuer, date] : [date, measure];
  return el("a.source", { href: `${letterPath(c.letter_id)}#c=${c.start}-${c.end}`, onclick: (e) => {
    if (e.metaKey || e.ctrlKey || e.shiftKey) return;
    e.preventDefault();
    act.open(c, e.currentTarget);
  } },
    !near && el("span.n", {}, String(c.n)),
    el("span.place", { lang: "zh-CN" }, el("b", {}, quoted(near ? measure : issuer)),
      el("span", {}, quoted(rest.filter(Boolean).join(" · "))),
      (near || answer.mode === "generated") && el("q", {}, quoted(c.quote))),
    el("span.open", {}, say("open")));
}

function refusal(answer, act) {
  return [el("p.label", {}, say("refused")), el("p.short.words", {}, ...quoted(answer.answer)), el("div.instead", {})];
}

/** What the letters do hold: the nearest measures, and questions they answer. */
async function instead(answer, body, scope, act) {
  const place = body.querySelector(".instead");
  const near = answer.reason === "no_evidence" ? nearest(answer, scope) : Promise.resolve(null);
  const [hits, list, letters] = await Promise.all([near, suggestions(scope), get("/letters?limit=1").catch(() => null)]);
  clear(place,
    hits && el("section", {}, el("h3", {}, say("nearest")),
      el("ul.sources", {}, hits.map((h) => el("li", {}, source(h, answer, act))))),
    list.length && el("section", {}, el("h3", {}, say("covered")), questions(list.slice(0, 4), act)),
    letters && el("p.row", {}, letters.total
      ? el("button.pill", { type: "button", onclick: act.list }, say("all")(letters.total))
      : el("button.pill", { type: "button", onclick: act.add }, say("addTitle"))));
}

async function nearest(answer, scope) {
  const query = new URLSearchParams({ q: answer.question, k: 6, ...(scope && { letter: scope }) });
  const found = (await get(`/search?${query}`).catch(() => ({ hits: [] }))).hits;
  const measures = found.filter((h) => h.heading || h.section); // neither opening nor closing, where there are others
  const hits = (measures.length ? measures : found).slice(0, 3);
  return hits.length && hits.map((h) => ({ ...h, ...(h.sentences[0] ?? {}), status: null, times: {} }));
}

/** Questions about the letter that answered, of other measures than the one shown. */
async function follow(letterId, answer, body, act) {
  const known = answer.citations.map((c) => c.path);
  const list = (await suggestions(letterId)).filter((s) => s.question !== answer.question && !known.includes(s.path));
  const from = list.findIndex((s) => s.path > known[0]);
  const next = [...list.slice(Math.max(from, 0)), ...list.slice(0, Math.max(from, 0))].slice(0, 3);
  if (next.length) body.append(el("section.further", {}, el("h3", {}, say("further")), questions(next, act)));
}

export async function suggestions(letterId) {
  const query = letterId ? `?limit=12&letter=${encodeURIComponent(letterId)}` : "?limit=6";
  return (await get(`/suggestions${query}`).catch(() => ({ questions: [] }))).questions;
}

export function questions(list, act, scoped = true) {
  return el("ul.questions", {}, list.map((s) => el("li", {},
    el("button", { type: "button", lang: "zh-CN", onclick: () => act.ask(s.question, scoped ? s.letter_id : undefined) },
      el("span", {}, ...quoted(s.question)), el("span.arrow", { "aria-hidden": "true" }, "→")))));
}

const questionLink = (question) => `${location.origin}/?q=${encodeURIComponent(question)}`;

async function copyText(text) {
  await copy(text);
  toast(say("copied"));
}

function copyAnswer(answer) {
  const cited = answer.citations.map((c) => `[${c.n}] ${place(c).join(" · ")}\n    ${permalink(c)}`);
  return copyText([answer.answer, ...cited].join("\n"));
}
