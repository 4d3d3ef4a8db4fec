// Sends files to the API, each with its progress and result. Everything from the server is put into the page as text.

const drop = document.getElementById("drop");
if (drop) {
  drop.hidden = false;
  const input = document.getElementById("files");
  const list = document.getElementById("uploads");
  const token = document.querySelector("#upload input[name=csrf]").value;
  const mostBytes = Number(drop.dataset.mostBytes);
  /** Uploads of a tenant wait for each other at the server; more at once would only be refused. */
  const AT_ONCE = 3;
  const waiting = [];
  let running = 0;

  function element(name, { text, className, children = [], ...attributes } = {}) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function add(files) {
    for (const file of files) {
      const state = element("span", { className: "muted", text: "waiting" });
      const progress = element("progress", { max: 100, value: 0, "aria-label": `Upload of ${file.name}` });
      const name = element("span", { className: "file-name", text: file.name });
      list.append(element("li", { children: [name, progress, state] }));
      waiting.push({ file, state, progress, name });
    }
    start();
  }

  function start() {
    while (running < AT_ONCE && waiting.length > 0) {
      const upload = waiting.shift();
      running += 1;
      send(upload)
        .catch((error) => fail(upload, error.message))
        .finally(() => {
          running -= 1;
          start();
        });
    }
  }

  function fail({ progress, state }, message) {
    progress.remove();
    state.className = "notice error";
    state.textContent = message;
  }

  async function send(upload) {
    if (upload.file.size > mostBytes) throw new Error("The file is larger than this server takes.");
    const job = await post(upload);
    await follow(upload, job);
  }

  /** `fetch` tells nothing of what has been sent. */
  function post({ file, progress, state }) {
    return new Promise((resolve, reject) => {
      const body = new FormData();
      body.append("file", file);
      const request = new XMLHttpRequest();
      request.open("POST", "/console/api/v1/documents?wait=false");
      request.setRequestHeader("x-csrf-token", token);
      request.responseType = "json";
      request.upload.addEventListener("progress", (event) => {
        if (!event.lengthComputable) return;
        progress.value = (event.loaded / event.total) * 50;
        state.textContent = `sending, ${Math.round((event.loaded / event.total) * 100)} %`;
      });
      request.addEventListener("load", () => {
        if (request.status < 300 && request.response?.id) resolve(request.response);
        else reject(new Error(request.response?.error?.message ?? `The server refused this (${request.status}).`));
      });
      request.addEventListener("error", () => reject(new Error("The connection broke off.")));
      request.send(body);
    });
  }

  const WORDS = { extraction: "reading the file", chunking: "cutting", embedding: "embedding", storing: "storing" };

  function follow(upload, job) {
    return new Promise((resolve, reject) => {
      const events = new EventSource(`/console/api/v1/documents/jobs/${encodeURIComponent(job.id)}/events`);
      const end = (settle, value) => {
        events.close();
        settle(value);
      };
      for (const status of ["queued", "in_progress", "completed", "failed", "cancelled"]) {
        events.addEventListener(`document.job.${status}`, (event) => {
          const job = JSON.parse(event.data);
          show(upload, job);
          if (status === "completed") end(resolve, job);
          if (status === "failed") end(reject, new Error(job.error?.message ?? "The document could not be made."));
          if (status === "cancelled") end(reject, new Error("Cancelled."));
        });
      }
      // The browser connects again by itself, unless the session has ended.
      events.addEventListener("error", () => {
        if (events.readyState === EventSource.CLOSED) end(reject, new Error("The connection broke off; reload the page to see the document."));
      });
    });
  }

  function show({ progress, state, name }, job) {
    if (job.status === "completed" && job.document) {
      progress.remove();
      state.className = "badge good";
      state.textContent = `${job.document.chunks} chunks`;
      name.replaceChildren(element("a", {
        href: `/console/documents/${encodeURIComponent(job.document.id)}`, text: job.document.title,
      }));
      return;
    }
    const done = job.progress;
    if (!done) return;
    state.textContent = WORDS[done.stage] ?? done.stage;
    const share = done.chunks_total ? done.chunks_done / done.chunks_total : 0;
    progress.value = 50 + share * 50;
  }

  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  for (const name of ["dragover", "dragenter"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add("over");
    });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
}
