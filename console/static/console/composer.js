// The composer: variants are added and taken away here; the phone shows the chosen one as it is typed.
(() => {
  const form = () => document.getElementById("composer");
  const sets = () => [...document.querySelectorAll("[data-variant]")];
  const el = (cls, text, tag = "div") => { const node = document.createElement(tag); if (cls) node.className = cls; if (text !== undefined) node.textContent = text; return node; };

  const letters = () => {
    const chooser = document.getElementById("preview-variant");
    const chosen = chooser.value;
    chooser.replaceChildren();
    sets().forEach((set, index) => {
      const letter = String.fromCharCode(65 + index);
      set.querySelector("[data-variant-name]").textContent = letter;
      set.querySelector("[data-remove-variant]").hidden = sets().length < 2;
      chooser.append(new Option(letter, set.dataset.variant, false, set.dataset.variant === chosen));
    });
    chooser.hidden = sets().length < 2;
    const add = document.querySelector("[data-add-variant]");
    add.hidden = sets().length >= Number(add.dataset.addVariant);
  };

  const attachment = (set, n) => {
    const kind = set.querySelector(`[name="v${n}.attachment"]`).value;
    const value = (name) => set.querySelector(`[name="v${n}.${kind}.${name}"]`)?.value || "";
    if (kind === "none") return null;
    const card = el("o-cardmsg");
    const file = set.querySelector(`[name="v${n}.${kind}.media"]`)?.closest("[data-media]")?.dataset || {};
    const picture = () => {
      const pic = el("pic", "");
      if (!file.url || (file.is || "image") !== "image") return pic;
      const image = new Image(); image.src = file.url; image.alt = file.name || ""; image.style.cssText = "width:100%;display:block";
      pic.style.cssText = "height:auto"; pic.append(image);
      return pic;
    };
    if (kind === "image") { card.append(picture()); return card; }
    if (kind === "video") { const pic = el("pic", ""); pic.append(el("material-symbols-outlined", "play_circle", "span")); card.append(pic, el("f", file.name || "")); return card; }
    if (kind === "file") { card.append(el("t", file.name || "…")); return card; }
    card.append(el("t", value("title") || "…"));
    if (kind === "link") card.append(el("s", value("desc") || value("url")));
    card.append(picture());
    if (kind === "miniprogram") card.append(el("f", document.getElementById("phone").dataset.mini));
    return card;
  };

  const preview = () => {
    const phone = document.getElementById("phone");
    const n = document.getElementById("preview-variant").value;
    const set = document.querySelector(`[data-variant="${n}"]`) || sets()[0];
    if (!set) return;
    const channel = form().elements.channel.value;
    const text = set.querySelector("textarea").value;
    const card = attachment(set, set.dataset.variant);
    const brand = form().dataset.brand;
    const bar = el("bar", { single: phone.dataset.guide, group: phone.dataset.group, moments: phone.dataset.moments }[channel]);
    if (channel === "single") bar.append(el("", `@${brand}`, "small"));
    const chat = el("chat");
    if (channel === "moments") {
      const post = el("o-moment"); const face = el("face", phone.dataset.guide.slice(-1));
      face.style.cssText = "width:38px;height:38px;border-radius:5px;background:#7ba893;color:#fff;display:grid;place-items:center;flex:none";
      const body = el(""); body.append(el("", `${phone.dataset.guide} @${brand}`, "b"), el("body", text || phone.dataset.empty));
      if (card) { card.style.width = "100%"; card.style.background = "#f3f3f3"; card.style.marginTop = "8px"; body.append(card); }
      post.append(face, body); chat.append(post);
    } else {
      const say = (node) => { const line = el("o-msg"); line.append(el("face", phone.dataset.guide.slice(-1)), node); chat.append(line); };
      if (text || !card) say(el("o-bubble", text || phone.dataset.empty));
      if (card) say(card);
    }
    phone.replaceChildren(bar, chat);
    const done = (part, ok) => document.querySelector(`[data-part="${part}"]`)?.classList.toggle("ok", ok);
    done("who", true);
    done("what", sets().every((one) => one.querySelector("textarea").value.trim() || one.querySelector("select[name$='.attachment']").value !== "none"));
  };

  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-add-variant]")) {
      const next = Math.max(0, ...sets().map((set) => Number(set.dataset.variant))) + 1;
      const holder = document.createElement("div");
      holder.innerHTML = document.getElementById("variant-template").innerHTML.replaceAll("__N__", String(next));
      document.getElementById("variants").append(holder.firstElementChild);
      letters();
      document.getElementById("push-name").dispatchEvent(new Event("change", { bubbles: true }));
      document.getElementById("preview-variant").value = String(next);
      preview();
    }
    const remove = event.target.closest("[data-remove-variant]");
    if (remove) { remove.closest("[data-variant]").remove(); letters(); preview(); form().dispatchEvent(new Event("change", { bubbles: true })); }
  });
  document.addEventListener("input", (event) => { if (event.target.form === form() || event.target.id === "preview-variant") preview(); });
  document.addEventListener("focusin", (event) => { const set = event.target.closest?.("[data-variant]"); if (set) { document.getElementById("preview-variant").value = set.dataset.variant; preview(); } });
  document.addEventListener("DOMContentLoaded", () => { letters(); preview(); });
})();
