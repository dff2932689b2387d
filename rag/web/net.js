// Talking to the service. Every failure becomes a Problem with one line for a person.

import { $ } from "/web/dom.js";
import { say } from "/web/words.js";

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function key() {
  return sessionStorage.getItem("key") ?? "";
}

export function setKey(value) {
  sessionStorage.setItem("key", value.trim());
}

const headers = () => (key() ? { Authorization: `Bearer ${key()}` } : {});

async function problem(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, body.detail ?? response.statusText);
}

let asking = null;

/** Where reading needs a key: ask for it once, however many requests wait for it, then go on. */
function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = $("locked");
    dialog.addEventListener("close", () => {
      setKey($("read-key").value);
      $("read-key").value = "";
      asking = null;
      resolve(Boolean(key()));
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

async function call(path, options = {}, again = true) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { Accept: "application/json", ...headers(), ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, say("lost"));
  }
  if (response.status === 401 && again && (options.method ?? "GET") !== "DELETE" && (await askForKey())) {
    return call(path, options, false);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

export const get = async (path) => (await call(path)).json();
export const remove = async (path) => (await call(path, { method: "DELETE" })).json();
export const letterPath = (id) => `/letters/${encodeURIComponent(id)}`;

function cut(error) {
  throw error.name === "AbortError" ? error : new Problem(0, say("lost"));
}

/** Ask; yields [event, data] as they come. */
export async function* ask(question, letterId, history, signal) {
  const response = await call("/chat", {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ question, history, stream: true, ...(letterId && { letter_id: letterId }) }),
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(cut);
    if (done) throw new Problem(0, say("lost")); // the last event has not come
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const [, name, data] = block.match(/^event: (\w+)\ndata: (.*)$/s) ?? [];
      if (name === "error") throw new Problem(JSON.parse(data).status, JSON.parse(data).detail);
      if (name === "done") return;
      if (name) yield [name, JSON.parse(data)];
    }
  }
}

/** Send a file; XMLHttpRequest, since fetch does not tell how far an upload is. */
export function upload(file, replace, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file);
    request.open("POST", `/letters${replace ? "?replace=true" : ""}`);
    if (key()) request.setRequestHeader("Authorization", `Bearer ${key()}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onerror = () => reject(new Problem(0, say("lost")));
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Problem(request.status, request.response?.detail ?? request.statusText));
    };
    request.send(form);
  });
}
