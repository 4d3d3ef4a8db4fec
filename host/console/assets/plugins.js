// Uploads a component, and shows new lines of the log. Everything from the server is put into the page as text.

const upload = document.getElementById("plugin-upload");
if (upload) {
  upload.hidden = false;
  const file = document.getElementById("plugin-file");
  const name = document.getElementById("plugin-name");
  const state = document.getElementById("plugin-state");
  const button = upload.querySelector("button");

  function say(text, kind = "") {
    state.className = kind;
    state.textContent = text;
  }

  file.addEventListener("change", () => {
    const chosen = file.files[0];
    if (chosen && !name.value) name.value = chosen.name.replace(/\.wasm$/, "").toLowerCase().replace(/[^a-z0-9_-]+/g, "-");
  });

  upload.addEventListener("submit", (event) => {
    event.preventDefault();
    const component = file.files[0];
    if (component.size > Number(upload.dataset.mostBytes)) {
      say("The component is larger than this server takes.", "notice error");
      return;
    }
    const request = new XMLHttpRequest();
    request.open("PUT", `/console/api/v1/plugins/${encodeURIComponent(name.value)}`);
    request.setRequestHeader("x-csrf-token", upload.elements.csrf.value);
    request.setRequestHeader("content-type", "application/wasm");
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => say(`Sending, ${Math.round((loaded / total) * 100)} %`));
    request.upload.addEventListener("load", () => say("Checking and compiling; a Python component takes half a minute."));
    request.addEventListener("load", () => {
      button.disabled = false;
      if (request.status < 300) location.assign("/console/plugins");
      else say(request.response?.error?.message ?? `The server refused this (${request.status}).`, "notice error");
    });
    request.addEventListener("error", () => {
      button.disabled = false;
      say("The connection broke off.", "notice error");
    });
    button.disabled = true;
    request.send(component);
  });
}

const log = document.getElementById("log");
if (log) {
  /** As many as the server keeps. */
  const LINES = 256;
  const live = document.getElementById("live");
  const events = new EventSource(log.dataset.stream);
  events.addEventListener("open", () => { live.textContent = "Live."; });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) sayWhy();
    else live.textContent = "Connecting again …";
  });

  /** An event source tells nothing of an answer that is no stream. */
  async function sayWhy() {
    live.textContent = "Not live any more; reload the page.";
    const response = await fetch(log.dataset.stream, { headers: { accept: "text/event-stream" } });
    if (response.ok) await response.body.cancel();
    else live.textContent = (await response.json()).error.message;
  }
  events.addEventListener("message", (event) => {
    const { time, level, message } = JSON.parse(event.data);
    const at = new Date(time * 1000).toISOString();
    const item = document.createElement("li");
    item.dataset.level = level;
    const when = document.createElement("time");
    when.dateTime = at;
    when.textContent = `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
    const badge = document.createElement("span");
    badge.className = "badge";
    badge.textContent = level;
    const text = document.createElement("span");
    text.className = "message";
    text.textContent = message;
    item.append(when, " ", badge, " ", text);
    log.append(item);
    while (log.children.length > LINES) log.firstElementChild.remove();
    document.getElementById("no-lines")?.remove();
  });
}
