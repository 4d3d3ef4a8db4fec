// What every page has: copying what is marked for it, and snippets that the server has written.

function addCopy(target, text) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  target.before(button);
}

// Browsers give the clipboard to pages by TLS, and on the machine itself.
if (navigator.clipboard) {
  for (const target of document.querySelectorAll("[data-copy], .snippet pre")) {
    addCopy(target, () => target.textContent);
  }
}

// One menu that asks again is open at a time; Escape closes it.
document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details.confirm") || !event.target.open) return;
  for (const other of document.querySelectorAll("details.confirm[open]")) {
    if (other !== event.target) other.open = false;
  }
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.confirm[open]");
  if (open) {
    open.open = false;
    open.querySelector("summary").focus();
  }
});
