// Numbers that change while the page is open. Everything from the server is put into the page as text.

const numbers = document.getElementById("numbers");
if (numbers) {
  const live = document.getElementById("live");
  const events = new EventSource(numbers.dataset.stream);
  let failures = 0;

  /** An event source tells nothing of an answer that is no stream. */
  async function sayWhy() {
    live.textContent = "Not live any more; reload the page.";
    const response = await fetch(numbers.dataset.stream, { headers: { accept: "text/event-stream" } });
    if (response.ok) await response.body.cancel();
    else live.textContent = (await response.json()).error.message;
  }

  events.addEventListener("open", () => {
    failures = 0;
    live.textContent = "Live.";
  });
  // The server ends a stream after a few seconds, and the browser asks again: only what lasts is worth a word.
  events.addEventListener("error", () => {
    failures += 1;
    if (events.readyState === EventSource.CLOSED) sayWhy();
    else if (failures > 1) live.textContent = "Connecting again …";
  });
  events.addEventListener("message", (event) => {
    for (const [key, value] of Object.entries(JSON.parse(event.data))) {
      const place = numbers.querySelector(`[data-live="${key}"]`);
      if (place && place.textContent !== value) place.textContent = value;
    }
  });
}
