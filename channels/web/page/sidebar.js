// The list of conversations.
import { $, button, make, reconcile } from "./dom.js";

export class Sidebar {
  constructor({ onRename, onPin, onRemove }) {
    Object.assign(this, { onRename, onPin, onRemove });
    this.words = "";
    $("search").addEventListener("input", (e) => {
      this.words = e.target.value.trim().toLowerCase();
      this.draw(this.threads, this.current);
    });
    $("search").addEventListener("keydown", (e) => this.onSearchKey(e));
    $("threads").addEventListener("keydown", (e) => this.onKey(e));
    $("menu").addEventListener("click", () => this.open());
    $("side-close").addEventListener("click", () => this.close());
    $("shade").addEventListener("click", () => this.close());
  }

  // On a narrow screen the list lies over the conversation.
  get isOpen() {
    return document.body.classList.contains("side-open");
  }

  open() {
    document.body.classList.add("side-open");
    $("menu").setAttribute("aria-expanded", "true");
    $("search").focus();
  }

  close() {
    if (!this.isOpen) return;
    document.body.classList.remove("side-open");
    $("menu").setAttribute("aria-expanded", "false");
    $("menu").focus();
  }

  draw(threads, current) {
    this.threads = threads;
    this.current = current;
    const found = threads.filter((t) => t.name.toLowerCase().includes(this.words));
    const items = found.map((t) => ({ key: t.id, thread: t }));
    reconcile($("threads"), items, (item) => this.makeItem(item.thread), (e, item) => this.update(e, item.thread));
    $("no-threads").hidden = found.length > 0;
    $("no-threads").textContent = this.words ? "Nothing found." : "No conversations yet.";
  }

  makeItem(t) {
    const link = make("a", "", make("span", "name"), make("span", "dot"));
    link.href = `#${t.id}`;
    link.addEventListener("click", () => this.close());
    const tools = make("span", "tools",
      button("pin", "Pin", () => this.onPin(e.thread)),
      button("edit", "Rename", () => this.rename(e)),
      button("trash", "Remove", () => this.onRemove(e.thread)));
    const e = make("li", "", link, tools);
    return e;
  }

  update(e, t) {
    e.thread = t;
    const link = e.querySelector("a");
    if (link.firstElementChild.textContent !== t.name) link.firstElementChild.textContent = t.name;
    if (t.id === this.current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    e.classList.toggle("pinned", t.pinned);
    e.classList.toggle("unread", t.unread);
    e.classList.toggle("busy", t.isBusy);
    const pin = e.querySelector(".tools button");
    pin.title = t.pinned ? "Unpin" : "Pin";
    pin.setAttribute("aria-label", pin.title);
  }

  rename(e) {
    const input = make("input", "rename");
    const link = e.querySelector("a");
    const old = (input.value = e.thread.title || e.thread.name);
    let ended = false;
    const end = (keep) => {
      if (ended) return; // its removal takes the focus away, which is an end, too
      ended = true;
      input.remove();
      link.hidden = false;
      if (keep && input.value.trim() !== old) this.onRename(e.thread, input.value.trim());
      link.focus();
    };
    input.maxLength = 100;
    input.setAttribute("aria-label", "Title; empty for the first words");
    input.addEventListener("keydown", (key) => {
      key.stopPropagation();
      if (key.isComposing) return;
      if (key.key === "Enter") end(true);
      if (key.key === "Escape") end(false);
    });
    input.addEventListener("blur", () => end(true));
    link.hidden = true;
    e.prepend(input);
    input.select();
  }

  // Arrows walk through the list.
  onKey(e) {
    if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
    const links = [...$("threads").querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (at < 0) return;
    e.preventDefault();
    (links[at + (e.key === "ArrowDown" ? 1 : -1)] ?? (e.key === "ArrowUp" ? $("search") : links[at])).focus();
  }

  onSearchKey(e) {
    const first = $("threads").querySelector("a");
    if (e.key === "ArrowDown" && first) {
      e.preventDefault();
      first.focus();
    }
    if (e.key === "Enter") first?.click();
    if (e.key === "Escape" && e.target.value) {
      e.stopPropagation();
      e.target.value = this.words = "";
      this.draw(this.threads, this.current);
    }
  }
}
