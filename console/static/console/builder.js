// The segment builder: rows are fetched as fragments, so that the server alone knows what a sentence looks like.
(() => {
  const form = () => document.getElementById("builder");
  const changed = () => {
    const excluded = document.getElementById("excluded");
    const head = document.getElementById("excluded-head");
    if (head) head.hidden = !excluded.querySelector("[data-rule]");
    document.querySelectorAll("[data-when-empty]").forEach((note) => { note.hidden = !!document.querySelector(`${note.dataset.whenEmpty} [data-rule]`); });
    document.body.dispatchEvent(new CustomEvent("builder:changed"));
  };
  const fetched = async (query) => {
    const response = await fetch(`${form().dataset.rowUrl}?${query}`, { headers: { "HX-Request": "true" } });
    const holder = document.createElement("div");
    holder.innerHTML = await response.text();
    return holder.firstElementChild;
  };
  document.addEventListener("change", async (event) => {
    const target = event.target;
    if (target.dataset.add && target.value) {
      const query = new URLSearchParams({ kind: target.value, number: form().dataset.next, excludes: target.dataset.excludes || "0" });
      form().dataset.next = String(Number(form().dataset.next) + 1);
      target.value = "";
      const row = await fetched(query);
      document.querySelector(target.dataset.add).append(row);
      row.querySelector("select, input:not([type=hidden])")?.focus();
      changed();
    } else if (target.dataset.redraw !== undefined) {
      const row = target.closest("[data-rule]");
      const query = new URLSearchParams();
      row.querySelectorAll("[name]").forEach((input) => query.set(input.name, input.value));
      const fresh = await fetched(query);
      // What was typed while the fragment was on its way is kept.
      row.querySelectorAll("[name]").forEach((input) => {
        const twin = fresh.querySelector(`[name="${input.name}"]`);
        if (twin && input.value !== query.get(input.name)) twin.value = input.value;
      });
      row.replaceWith(fresh);
      changed();
    } else if (target.dataset.window !== undefined) {
      target.nextElementSibling.hidden = target.value !== "days";
    }
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-remove]");
    if (button) { button.closest("[data-rule]").remove(); changed(); }
  });
  document.addEventListener("keydown", (event) => {
    // Enter in the explain field explains; it must not save the segment.
    if (event.key === "Enter" && event.target.id === "who" && !event.isComposing) { event.preventDefault(); document.getElementById("explain-button").click(); }
  });
  document.addEventListener("DOMContentLoaded", changed);
})();
