// The page: a conversation, a letter beside it, and an address for both.

import { $, clear, el, quoted, toast } from "/web/dom.js";
import { closeLetter, forget, openLetter, shownLetter } from "/web/letter.js";
import { ask as stream, letterPath } from "/web/net.js";
import { count, setUpShelf, showAdd, showLetters } from "/web/shelf.js";
import { newTurn, questions, suggestions } from "/web/turns.js";
import { language, say, translate } from "/web/words.js";

const THEMES = ["auto", "light", "dark"];
let scope = null; // the letter that alone is asked, or null
let running = null; // what stops the answer that is on its way
let turns = 0;
const talk = []; // what was asked and answered, for questions that lean on it
const REMEMBERED = 12; // messages

const act = {
  ask: (question, letterId) => ask(question, letterId),
  open: (c, from) => show(c.letter_id, { start: c.start, end: c.end }, from),
  openLetter: (id) => show(id, null),
  close: () => leave(),
  list: () => showLetters(),
  add: () => showAdd(),
  only: (letter) => setScope(letter),
  changed: () => {
    forget();
    refresh();
  },
};

async function ask(question, letterId = scope?.letter_id) {
  question = question.trim();
  if (!question) return;
  running?.abort();
  const mine = (running = new AbortController());
  $("go").classList.add("busy");
  $("go").setAttribute("aria-label", say("stop"));
  document.body.classList.add("talking");
  turns += 1;
  const turn = newTurn(question, act);
  try {
    for await (const [name, data] of stream(question, letterId, talk.slice(-REMEMBERED), mine.signal)) {
      if (name !== "answer") continue;
      turn.show(data, letterId);
      talk.push({ role: "user", content: question }, { role: "assistant", content: data.answer });
    }
  } catch (problem) {
    if (problem.name === "AbortError") turn.drop();
    else turn.fail(problem, () => {
      turn.drop();
      ask(question, letterId);
    });
  } finally {
    if (running === mine) {
      running = null;
      $("go").classList.remove("busy");
      $("go").setAttribute("aria-label", say("send"));
    }
  }
}

/** Open a letter and give the page its address. */
async function show(id, range, from) {
  const address = letterPath(id) + (range ? `#c=${range.start}-${range.end}` : "");
  if (await openLetter(id, range, from, act)) {
    if (location.pathname + location.hash !== address) history.pushState(null, "", address);
  }
}

function leave() {
  closeLetter();
  if (location.pathname !== "/") history.pushState(null, "", "/");
}

function setScope(letter) {
  scope = letter;
  $("scope").hidden = !letter;
  if (!letter) return;
  clear($("scope-name"), quoted(say("only")(letter.title)));
  if (matchMedia("(max-width: 899px)").matches) leave();
  $("question").focus();
}

/** The id in an address; one that was not made by this page may be no encoding at all. */
function named(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** What the address names: a letter, a slice of it, a question. */
async function route() {
  const letter = /^\/letters\/([^/]+)$/.exec(location.pathname)?.[1];
  const slice = /^#c=(\d+)-(\d+)$/.exec(location.hash);
  if (letter) {
    const range = slice && { start: Number(slice[1]), end: Number(slice[2]) };
    await openLetter(named(letter), range, null, act);
  } else {
    closeLetter();
  }
  const asked = new URLSearchParams(location.search).get("q");
  if (!letter && asked && !turns) ask(asked);
}

const addFirst = () => el("p.row", {}, el("button.pill", { type: "button", onclick: showAdd }, say("addTitle")));

async function refresh() {
  try {
    const [total, list] = await Promise.all([count(), suggestions(shownLetter()?.letter_id)]);
    const starters = list.length ? [el("h2.label", {}, say("tryThese")), questions(list.slice(0, 6), act, Boolean(shownLetter()))] : [];
    clear($("starters"), total ? starters : [el("p.note", {}, say("empty")), addFirst()]);
  } catch (problem) {
    clear($("starters"), el("p.warning", { role: "alert" }, problem.message));
  }
}

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme === "auto" ? "" : theme);
  } catch {
    // Then it is only for this page.
  }
  toast(say("themes")[theme]);
}

function setUp() {
  translate();
  setUpShelf(act);
  const question = $("question");
  const submit = () => {
    if (!question.value.trim()) return;
    ask(question.value);
    question.value = "";
    grow();
  };
  const grow = () => {
    question.style.height = "auto";
    question.style.height = `${Math.min(question.scrollHeight, 200)}px`;
  };
  question.addEventListener("input", grow);
  question.addEventListener("keydown", (event) => {
    const composing = event.isComposing || event.keyCode === 229; // Safari says so in its own way
    if (event.key === "Enter" && !event.shiftKey && !composing) {
      event.preventDefault();
      submit();
    }
  });
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) running.abort();
    else submit();
  });
  $("scope-off").addEventListener("click", () => setScope(null));
  $("show-letters").addEventListener("click", showLetters);
  $("show-add").addEventListener("click", showAdd);
  $("theme").addEventListener("click", () => {
    const now = document.documentElement.dataset.theme || "auto";
    setTheme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
  });
  $("language").addEventListener("click", () => {
    translate(language === "zh" ? "en" : "zh");
    if (scope) setScope(scope);
    refresh();
    route();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && shownLetter() && !document.querySelector("dialog[open]")) leave();
    if (event.key === "/" && !/^(input|textarea)$/i.test(event.target.tagName) && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      question.focus();
    }
  });
  addEventListener("popstate", route);
  addEventListener("hashchange", route);
}

setUp();
await route();
await refresh();
