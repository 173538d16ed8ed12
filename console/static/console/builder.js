// The segment builder: rows are fetched as fragments, so that the server alone knows what a sentence looks like.
(() => {
  const form = () => document.getElementById("builder");
  const changed = () => {
    document.querySelectorAll("[data-when-empty]").forEach((note) => { note.hidden = !!document.querySelector(`${note.dataset.whenEmpty} [data-rule]`); });
    document.body.dispatchEvent(new CustomEvent("builder:changed"));
  };
  const fetched = async (query) => {
    const response = await fetch(`${form().dataset.rowUrl}?${query}`, { headers: { "HX-Request": "true" } });
    const holder = document.createElement("div");
    holder.innerHTML = await response.text();
    return holder.firstElementChild;
  };
  const depth = (place) => { let n = 1; for (let at = place.closest("[data-group]"); at; at = at.parentElement.closest("[data-group]")) n += 1; return n; };
  const add = async (group, kind, op) => {
    const place = document.querySelector(`[data-into="${group}"]`);
    const query = new URLSearchParams({ kind, number: form().dataset.next, inside: group, depth: String(depth(place)) });
    if (op) query.set("op", op);
    form().dataset.next = String(Number(form().dataset.next) + 1);
    const row = await fetched(query);
    place.append(row);
    row.querySelector("select, input:not([type=hidden])")?.focus();
    changed();
  };
  document.addEventListener("change", async (event) => {
    const target = event.target;
    if (target.dataset.add !== undefined && target.value) {
      const kind = target.value;
      target.value = "";
      await add(target.dataset.add, kind);
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
      target.closest("[data-rule]").querySelectorAll("[data-for]").forEach((part) => { part.hidden = part.dataset.for !== target.value; });
    }
  });
  document.addEventListener("click", async (event) => {
    const remove = event.target.closest("[data-remove]");
    if (remove) { remove.closest("[data-rule]").remove(); changed(); }
    const group = event.target.closest("[data-add-group]");
    if (group) await add(group.dataset.addGroup, "group", group.dataset.op);
  });
  document.addEventListener("keydown", (event) => {
    // Enter in the explain field explains; it must not save the segment.
    if (event.key === "Enter" && event.target.id === "who" && !event.isComposing) { event.preventDefault(); document.getElementById("explain-button").click(); }
  });
  document.addEventListener("DOMContentLoaded", changed);
})();
