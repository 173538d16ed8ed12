// Kept files: a picker uploads one or takes one of those that are there; the library uploads and shows it.
(() => {
  const send = async (url, file, kind, token) => {
    const body = new FormData();
    body.append("file", file);
    body.append("kind", kind);
    const response = await fetch(url, { method: "POST", body, headers: { "X-CSRFToken": token } });
    if (response.status !== 201 && response.status !== 422) throw new Error(String(response.status));
    return response.json();
  };
  const token = (form) => form.querySelector("[name=csrfmiddlewaretoken]").value;

  const shown = (file) => {
    if (file.kind === "image") { const node = new Image(); node.src = file.url; node.alt = file.name; node.style.cssText = "max-width:160px;max-height:120px;border-radius:6px;display:block"; return node; }
    if (file.kind === "video") { const node = document.createElement("video"); node.src = file.url; node.controls = true; node.preload = "metadata"; node.style.cssText = "max-width:200px;max-height:140px;border-radius:6px;display:block"; return node; }
    const link = document.createElement("a"); link.href = file.url; link.className = "o-link"; link.textContent = file.name; return link;
  };
  const complain = (box, text) => { const node = box.querySelector("[data-error]"); node.textContent = text; node.hidden = !text; box.classList.toggle("bad", Boolean(text)); };

  const take = (box, file) => {
    const field = box.querySelector("input[type=hidden]");
    field.value = file ? file.id : "";
    for (const [name, value] of [["url", file?.url], ["is", file?.kind], ["name", file?.name]]) if (value) box.dataset[name] = value; else delete box.dataset[name];
    box.querySelector("[data-shown]").replaceChildren(...(file ? [shown(file)] : []));
    box.querySelector("[data-clear]").hidden = !file;
    complain(box, "");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };

  // Before the input's own listeners: unfold's looks for a text field beside every file, and there is none.
  document.addEventListener("change", async (event) => {
    if (event.target.matches("[data-file], [data-upload-now]")) event.stopPropagation();
    const box = event.target.closest("[data-media]");
    if (box && event.target.matches("[data-choose]")) {
      const chosen = event.target.selectedOptions[0];
      if (chosen.value) take(box, { id: chosen.value, kind: chosen.dataset.is, name: chosen.dataset.name, url: chosen.dataset.url });
      event.target.value = "";
    }
    if (box && event.target.matches("[data-file]") && event.target.files.length) {
      const input = event.target;
      complain(box, "");
      box.querySelector("[data-shown]").textContent = box.dataset.busyText;
      let answer;
      try { answer = await send(box.dataset.upload, input.files[0], box.dataset.kind, token(box.closest("form"))); } catch { answer = { problem: box.dataset.failedText }; }
      input.value = "";
      if (answer.problem) { take(box, null); complain(box, answer.problem); } else take(box, answer);
    }
    if (event.target.matches("[data-upload-now]") && event.target.files.length) {
      const input = event.target, form = input.closest("form"), error = document.querySelector("[data-upload-error]");
      let answer;
      try { answer = await send(form.action, input.files[0], "", token(form)); } catch { answer = { problem: error.dataset.failedText }; }
      input.value = "";
      if (answer.problem) { error.textContent = answer.problem; error.hidden = false; } else location.reload();
    }
  }, true);
  document.addEventListener("click", (event) => { if (event.target.closest("[data-clear]")) take(event.target.closest("[data-media]"), null); });
})();
