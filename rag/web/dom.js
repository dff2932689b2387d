// Elements made by hand. Text only ever becomes a text node: nothing a letter says is HTML here.

const BIDI = /([\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069])/;

export const $ = (id) => document.getElementById(id);

/** An element: el("p.note", {title: "…"}, "text", child, …). Properties starting with "on" are listeners. */
export function el(kind, properties = {}, ...children) {
  const [name, ...classes] = kind.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false && c !== ""));
  return node;
}

/** Text of a letter. A character that turns the direction of writing is shut in, so that it turns nothing else. */
export function quoted(text) {
  const parts = text.split(BIDI);
  if (parts.length === 1) return [text];
  return parts.filter(Boolean).map((part) => (BIDI.test(part) ? el("bdi.turn", {}, part) : part));
}

/** How to scroll, for those who like it and those whom it makes ill. */
export const motion = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth");

export function clear(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(Boolean));
  return node;
}

/** Copy text; outside secure contexts by the old way. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea.hidden", { readonly: true });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

let fading;
export function toast(text) {
  const node = $("toast");
  node.textContent = text;
  node.classList.add("on");
  $("told").textContent = text;
  clearTimeout(fading);
  fading = setTimeout(() => node.classList.remove("on"), 1800);
}

/** Dialogs: closed by their button, by Escape (the browser does that) and by a click beside them. */
export function dialog(id) {
  const node = $(id);
  node.addEventListener("click", (event) => {
    if (event.target === node || event.target.closest("[data-close]")) node.close();
  });
  return node;
}
