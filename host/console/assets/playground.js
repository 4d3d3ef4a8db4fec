// The playground's stream. Everything from the server is put into the page as text, never as HTML.

const form = document.getElementById("playground");
if (form) {
  const turns = document.getElementById("turns");
  const details = document.getElementById("details");
  const failure = document.getElementById("failure");
  const stop = document.getElementById("stop");
  const question = form.elements.question;
  const submit = form.querySelector("button[type=submit]");
  const history = JSON.parse(form.elements.history.value || "[]");
  let running = null;

  /** An element with classes, a text or children, and attributes. */
  function element(name, { text, className, children = [], ...attributes } = {}) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children.filter(Boolean));
    return made;
  }

  function addTurn(role, content) {
    const text = element("div", { className: "text", text: content });
    const who = element("p", { className: "who", text: role === "user" ? "You" : "Answer" });
    turns.append(element("li", { className: "turn", "data-role": role, children: [who, text] }));
    document.getElementById("no-turns")?.remove();
    text.scrollIntoView({ block: "nearest" });
    return text;
  }

  function showFailure(message) {
    failure.replaceChildren(...(message ? [element("p", { className: "notice error", text: message })] : []));
  }

  function setRunning(controller) {
    running = controller;
    submit.disabled = controller !== null;
    stop.hidden = controller === null;
    turns.setAttribute("aria-busy", String(controller !== null));
  }

  /** The events of a stream, as `{ name, data }`. */
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value;
      const blocks = rest.split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        let name = "message";
        const data = [];
        for (const line of block.split("\n")) {
          if (line.startsWith("event: ")) name = line.slice(7);
          else if (line.startsWith("data: ")) data.push(line.slice(6));
        }
        if (data.length > 0) yield { name, data: JSON.parse(data.join("\n")) };
      }
    }
  }

  async function ask() {
    const asked = question.value.trim();
    if (!asked || running) return;
    showFailure("");
    form.elements.history.value = JSON.stringify(history);
    // Before the field is emptied.
    const body = new URLSearchParams(new FormData(form));
    addTurn("user", asked);
    const target = addTurn("assistant", "");
    let reasoning = null;
    let call = null;
    let answer = "";
    const controller = new AbortController();
    setRunning(controller);
    let failed = false;
    try {
      const response = await fetch(form.dataset.stream, { method: "POST", body, signal: controller.signal });
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        failed = true;
        const said = await response.json().catch(() => null);
        showFailure(said?.error?.message ?? `The server refused this (${response.status}).`);
        return;
      }
      for await (const { name, data } of events(response.body)) {
        if (name === "text") {
          answer += data.text;
          target.append(data.text);
        } else if (name === "reasoning") {
          reasoning ??= addReasoning(target);
          reasoning.append(data.text);
        } else if (name === "call") {
          if (data.begins || !call) {
            call = element("code", { className: "call" });
            target.append(call);
          }
          call.append(data.text);
        } else if (name === "end") {
          showDetails(data);
        } else if (name === "failure") {
          failed = true;
          showFailure(data.message);
        }
      }
    } catch (error) {
      failed = true;
      showFailure(error.name === "AbortError" ? "Stopped. What was generated until then is billed." : "The connection broke off.");
    } finally {
      setRunning(null);
      if (!failed || answer) {
        history.push({ role: "user", content: asked }, { role: "assistant", content: answer });
        question.value = "";
      }
      form.elements.history.value = JSON.stringify(history);
      question.focus();
    }
  }

  function addReasoning(target) {
    const text = element("pre", { className: "wrap" });
    const summary = element("summary", { text: "Reasoning" });
    target.before(element("details", { className: "reasoning", children: [summary, text] }));
    return text;
  }

  function facts(list) {
    const rows = list.map(({ label, value }) =>
      element("div", { children: [element("dt", { text: label }), element("dd", { text: value })] }));
    return element("dl", { className: "facts", children: rows });
  }

  function section(title, children) {
    return element("section", { children: [element("h3", { text: title }), ...children] });
  }

  function passage(found) {
    const title = found.link ? element("a", { href: found.link, text: found.title }) : found.title;
    const [badge, kind] = found.grounded === null ? ["not cited", "badge"] : found.grounded
      ? ["grounded", "badge good"] : ["not grounded", "badge bad"];
    const head = element("p", { className: "passage-title", children: [
      element("span", { className: "number", text: `[${found.number}] ` }), title, " ",
      element("span", { className: kind, text: badge }),
    ] });
    const text = element("p", { className: "passage-text", children:
      found.parts.map((part) => (part.quoted ? element("mark", { text: part.text }) : part.text)) });
    const place = found.place ? element("p", { className: "muted", text: found.place }) : null;
    return element("li", { className: "passage", children: [head, place, text] });
  }

  function bar({ label, value, permille }) {
    const progress = element("progress", { max: 1000, value: permille, "aria-label": label });
    const data = element("dd", { children: [progress, element("span", { className: "number", text: value })] });
    return element("div", { className: "bar-row", children: [element("dt", { text: label }), data] });
  }

  function folded(title, children, className = "") {
    return element("details", { className, children: [element("summary", { text: title }), ...children] });
  }

  function snippet({ name, code }) {
    // Browsers give the clipboard to pages by TLS, and on the machine itself.
    const copy = navigator.clipboard && element("button", { type: "button", text: "Copy" });
    copy?.addEventListener("click", async () => {
      await navigator.clipboard.writeText(code);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
    return folded(`As ${name}`, [copy, element("pre", { className: "wrap", text: code })], "snippet");
  }

  function showDetails(answer) {
    const finish = element("p", { className: "finish", children: [
      "Answer: ", element("strong", { text: answer.finish }), `, ${answer.total}` ] });
    const { receipt } = answer;
    const verified = receipt.fault
      ? element("p", { className: "notice error", text: receipt.fault })
      : element("p", { children: [element("span", { className: "badge good", text: "signature verified" })] });
    const named = element("p", { children: [element("code", { text: receipt.request }), " · ",
      element("a", { href: "/console/receipts", text: "All receipts" })] });
    const logs = answer.logs.length === 0 ? [] : [element("h4", { text: "Logged meanwhile" }),
      element("ul", { className: "log", children: answer.logs.map((line) =>
        element("li", { "data-level": line.level, text: line.message })) })];
    const passages = answer.passages.length === 0
      ? element("p", { className: "muted", text: "The prompt has no passages." })
      : element("ol", { className: "passages", children: answer.passages.map(passage) });
    const parts = [
      finish,
      answer.calls.length > 0 && section("Calls of your tools", [facts(answer.calls)]),
      section("Passages", [passages]),
      section("Time", [element("dl", { className: "bars", children: answer.times.map(bar) })]),
      section("What it used", [facts(answer.facts)]),
      section(`Receipt ${receipt.number}`, [verified, named,
        folded("Signed text (JWS)", [element("pre", { className: "wrap", text: receipt.jws })])]),
      section("Plugins", [facts(answer.plugins), ...logs]),
      answer.prompt && folded("The prompt as the model read it", answer.prompt.flatMap((message) => [
        element("h4", { text: message.role }), element("pre", { className: "wrap", text: message.content })])),
      ...answer.snippets.map(snippet),
    ];
    const title = document.getElementById("details-title");
    details.replaceChildren(title, element("div", { id: "facts", children: parts }));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  stop.addEventListener("click", () => running?.abort());
  question.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      ask();
    }
  });
}
