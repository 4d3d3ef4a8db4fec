// Uploads an adapter's two files. Everything from the server is put into the page as text.

const upload = document.getElementById("adapter-upload");
if (upload) {
  upload.hidden = false;
  const state = document.getElementById("adapter-state");
  const button = upload.querySelector("button");
  const file = (id) => document.getElementById(id).files[0];

  function say(text, kind = "") {
    state.className = kind;
    state.textContent = text;
  }

  upload.addEventListener("submit", (event) => {
    event.preventDefault();
    const weights = file("adapter-weights");
    if (weights.size > Number(upload.dataset.mostBytes)) {
      say("The weights are larger than this server takes.", "notice error");
      return;
    }
    const body = new FormData();
    body.append("adapter_config.json", file("adapter-config"));
    body.append("adapter_model.safetensors", weights);
    const alias = document.getElementById("adapter-alias").value;
    const request = new XMLHttpRequest();
    request.open("PUT", `/console/api/v1/adapters/${encodeURIComponent(alias)}`);
    request.setRequestHeader("x-csrf-token", upload.elements.csrf.value);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => say(`Sending, ${Math.round((loaded / total) * 100)} %`));
    request.upload.addEventListener("load", () => say("Checking against the model."));
    request.addEventListener("load", () => {
      button.disabled = false;
      if (request.status < 300) location.assign("/console/adapters");
      else say(request.response?.error?.message ?? `The server refused this (${request.status}).`, "notice error");
    });
    request.addEventListener("error", () => {
      button.disabled = false;
      say("The connection broke off.", "notice error");
    });
    button.disabled = true;
    request.send(body);
  });
}
