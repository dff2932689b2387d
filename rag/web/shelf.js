// The list of the letters with its filter, and the dialog that adds one and tells what was understood of it.

import { $, clear, dialog, el, quoted, toast } from "/web/dom.js";
import { get, key, letterPath, remove, setKey, upload } from "/web/net.js";
import { say } from "/web/words.js";

const PAGE = 50;
let act;
let waiting;
let filling = 0;

export function setUpShelf(actions) {
  act = actions;
  dialog("letters");
  dialog("add");
  $("filter").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => fill(0), 150);
  });
  $("more").addEventListener("click", () => fill($("found").childElementCount));
  $("key-form").addEventListener("submit", (event) => event.preventDefault());
  $("key").addEventListener("input", () => setKey($("key").value));
  $("files").addEventListener("change", () => take($("files").files));
  const drop = $("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") take(event.dataTransfer.files);
    });
  }
}

export async function showLetters() {
  $("filter").value = "";
  $("letters").showModal();
  await fill(0);
}

export function showAdd() {
  $("key").value = key();
  $("add").showModal();
}

export async function count() {
  const { total } = await get("/letters?limit=1");
  $("count").textContent = total;
  return total;
}

async function fill(from) {
  const turn = ++filling;
  const query = new URLSearchParams({ q: $("filter").value, limit: PAGE, offset: from });
  try {
    const { letters, total } = await get(`/letters?${query}`);
    if (turn !== filling) return; // a later filter is on its way
    const items = letters.map(item);
    if (from) $("found").append(...items);
    else clear($("found"), items.length ? items : el("li.note", {}, say("none")));
    $("more").hidden = from + letters.length >= total;
  } catch (problem) {
    clear($("found"), el("li.note", {}, problem.message));
  }
}

function item(letter) {
  const meta = [letter.issuer, letter.date, say("measures")(letter.measure_count)].filter(Boolean).join(" · ");
  return el("li", {},
    el("a", { href: letterPath(letter.letter_id), onclick: (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      $("letters").close();
      act.openLetter(letter.letter_id);
    } }, el("b", { lang: "zh-CN" }, ...quoted(letter.title)), el("span.note", { lang: "zh-CN" }, ...quoted(meta))),
    key() && el("button.quiet", { type: "button", onclick: (e) => drop(letter, e.currentTarget) }, say("remove")));
}

async function drop(letter, button) {
  if (!confirm(say("removing")(letter.title))) return;
  try {
    button.disabled = true;
    await remove(letterPath(letter.letter_id));
    toast(say("removed"));
    await fill(0);
    act.changed();
  } catch (problem) {
    button.disabled = false;
    toast(problem.message);
  }
}

async function take(files) {
  for (const file of files) await send(file, false);
  $("files").value = "";
}

async function send(file, replace, line = el("li", {})) {
  const bar = el("progress", { max: 1, value: 0, "aria-label": file.name });
  const state = el("span.note", {}, say("sending")(0));
  clear(line, el("b", {}, ...quoted(file.name)), bar, state);
  $("arrivals").prepend(line);
  try {
    const { letters } = await upload(file, replace, (share) => {
      bar.value = share;
      if (share >= 1) bar.removeAttribute("value");
      state.textContent = share < 1 ? say("sending")(Math.round(100 * share)) : say("understanding");
    });
    clear(line, letters.map(understood));
    act.changed();
  } catch (problem) {
    const again = problem.status === 409 && el("button.pill", { type: "button", onclick: () => send(file, true, line) }, say("replace"));
    clear(line, el("b", {}, ...quoted(file.name)), el("p.warning", {}, problem.message), again);
  }
}

/** What was understood of a letter: who, when, which measures, and what is missing. */
function understood(letter) {
  const meta = [letter.issuer, letter.addressee, letter.date, letter.number].filter(Boolean).join(" · ");
  const open = (after) => () => {
    $("add").close();
    act.openLetter(letter.letter_id).then(after);
  };
  return el("section.understood", {},
    el("b", { lang: "zh-CN" }, ...quoted(letter.title)),
    el("p.note", { lang: "zh-CN" }, ...quoted(meta)),
    letter.warnings.map((w) => el("p.warning", {}, say("warn")[w] ?? w)),
    el("details", {}, el("summary", {}, say("measures")(letter.measure_count)),
      el("ol", { lang: "zh-CN" }, letter.outline.map((m) => el("li", {}, ...quoted(m))))),
    el("p.row", {},
      el("button.pill", { type: "button", onclick: open() }, say("open")),
      el("button.pill", { type: "button", onclick: open(() => act.only(letter)) }, say("askIt"))));
}
