// The console's own script: theme on pages outside the shell, htmx settings, small behaviours by data-attributes.
// Nothing is inline, so the content security policy allows our files only.
(() => {
  const theme = () => {
    const stored = (localStorage.getItem("_x_adminTheme") || "").replaceAll('"', "");
    const dark = stored === "dark" || ((stored === "auto" || !stored) && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.classList.toggle("dark", dark);
  };
  if (!window.Alpine && document.documentElement.dataset.outside !== undefined) theme();

  const on = (type, selector, handle) =>
    document.addEventListener(type, (event) => {
      const target = event.target.closest?.(selector);
      if (target) handle(event, target);
    });

  const utf8 = new TextEncoder();

  // data-open="#id" opens a dialog, data-close shuts the one around it.
  on("click", "[data-open]", (event, button) => { event.preventDefault(); document.querySelector(button.dataset.open)?.showModal(); });
  // data-now: what was typed into it was refused, so it is there again.
  document.addEventListener("DOMContentLoaded", () => document.querySelector("dialog[data-now]")?.showModal());
  on("click", "[data-close]", (event, button) => { event.preventDefault(); button.closest("dialog")?.close(); });

  // data-copy: the text beside the button goes to the clipboard; without the permission it is selected instead.
  on("click", "[data-copy]", (_event, button) => {
    const source = document.querySelector(button.dataset.copy);
    if (!source) return;
    const text = source.value ?? source.textContent.trim();
    const mark = () => { button.dataset.was ??= button.textContent; button.textContent = button.dataset.done; setTimeout(() => (button.textContent = button.dataset.was), 1500); };
    const select = () => { const range = document.createRange(); range.selectNodeContents(source); const s = getSelection(); s.removeAllRanges(); s.addRange(range); };
    navigator.clipboard ? navigator.clipboard.writeText(text).then(mark, select) : select();
  });

  // A typed number enables a heavy button (data-typed="144695" on the input, data-unlocks="#button").
  on("input", "[data-typed]", (_event, input) => {
    const right = input.value.replace(/[\s,，]/g, "") === input.dataset.typed;
    const button = document.querySelector(input.dataset.unlocks);
    if (button) button.disabled = !right;
  });

  // data-submit: a change in the control submits its form (filters).
  on("change", "[data-submit]", (_event, control) => control.form.requestSubmit());

  // data-filter="#list": shows only the list's links that contain the typed text.
  on("input", "[data-filter]", (_event, input) => {
    const wanted = input.value.trim().toLowerCase();
    document.querySelectorAll(`${input.dataset.filter} [data-name]`).forEach((entry) => { entry.hidden = !entry.dataset.name.toLowerCase().includes(wanted); });
  });

  // data-show-when="name=value": a block that belongs to one choice of the form.
  const choices = (form) => form.querySelectorAll("[data-show-when]").forEach((block) => {
    const [name, values] = block.dataset.showWhen.split("=");
    const control = form.elements[name];
    block.hidden = !(control && values.split("|").includes(control.value));
  });
  document.addEventListener("change", (event) => { const form = event.target.form; if (form) { choices(form); form.querySelectorAll("[data-bytes]").forEach(count); } });

  // data-bytes="4000": counts what the text costs, as WeCom counts it.
  const count = (input) => {
    const out = document.querySelector(input.dataset.counter);
    if (!out) return;
    // Moments are counted in characters, everything else in bytes.
    const moments = input.form?.elements.channel?.value === "moments";
    const used = moments ? [...input.value].length : utf8.encode(input.value).length;
    const most = Number(moments ? input.dataset.characters : input.dataset.bytes);
    out.textContent = `${used.toLocaleString()} / ${most.toLocaleString()}`;
    out.classList.toggle("o-error", used > most);
  };
  on("input", "[data-bytes]", (_event, input) => count(input));

  // "/" goes to the search field, unless somebody is typing or composing.
  document.addEventListener("keydown", (event) => {
    const typing = event.isComposing || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
    if (event.key === "/" && !typing && !event.metaKey && !event.ctrlKey) {
      const search = document.querySelector("[data-search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });

  // A form is sent once: the second click of a double click finds it on its way. Coming back to the page frees it.
  // data-download: its answer is a file, so the page stays.
  on("submit", "form", (event, form) => {
    if (event.defaultPrevented || form.method !== "post" || form.dataset.download !== undefined) return;
    if (form.hasAttribute("aria-busy")) event.preventDefault();
    else {
      form.setAttribute("aria-busy", "true");
      setTimeout(() => form.removeAttribute("aria-busy"), 20000); // the way was stopped, or the line is dead
    }
  });
  addEventListener("pageshow", () => document.querySelectorAll("form[aria-busy]").forEach((form) => form.removeAttribute("aria-busy")));

  // What stands below a field, its error first, is read out with it.
  let notes = 0;
  const describe = (field) => {
    const control = field.querySelector("input:not([type=hidden]):not([type=radio]):not([type=checkbox]), select, textarea");
    if (!control) return;
    const said = [...field.querySelectorAll(".error, .help, .o-note")].filter((note) => note.closest(".o-field") === field);
    said.forEach((note) => { note.id ||= `note-${(notes += 1)}`; });
    if (said.length) control.setAttribute("aria-describedby", said.sort((a, b) => b.matches(".error") - a.matches(".error")).map((note) => note.id).join(" "));
    if (field.matches(".bad")) control.setAttribute("aria-invalid", "true");
  };

  // On a phone a row is a card without heads: figures, and what is unknown, say there what they are.
  const labelled = (table) => {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    table.querySelectorAll("tbody tr").forEach((row) => [...row.cells].forEach((cell, place) => {
      const bare = cell.matches(".o-num") || cell.textContent.trim() === "—";
      if (bare && heads[place] && cell.colSpan === 1 && !cell.querySelector("button, form")) cell.dataset.label = heads[place];
    }));
  };

  const settle = (root) => {
    root.querySelectorAll?.("table.cards").forEach(labelled);
    root.querySelectorAll?.("[data-bytes]").forEach(count);
    root.querySelectorAll?.("form").forEach(choices);
    root.querySelectorAll?.(".o-field").forEach(describe);
  };
  document.addEventListener("DOMContentLoaded", () => {
    settle(document);
    // A page that refused what was typed begins at the first field that is wrong.
    document.querySelector(".o-field.bad :is(input:not([type=hidden]), select, textarea)")?.focus();
  });
  document.addEventListener("htmx:afterSwap", (event) => settle(event.target));
  // What took the place of something else: a row, a block that renewed itself.
  document.addEventListener("htmx:load", ({ detail: { elt } }) => { settle(elt); const table = elt.closest?.("table.cards"); if (table) labelled(table); });
  // Logging out forgets what the browser kept of the pages.
  on("submit", "#logout-form, [data-logout]", () => { localStorage.removeItem("htmx-history-cache"); });
})();
