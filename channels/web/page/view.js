// The messages of the conversation in sight.
import { $, copy, icon, make, reconcile, say } from "./dom.js";
import { Markdown } from "./markdown.js";
import { readable } from "./model.js";

const NEAR_END_PX = 80;
const ANNOUNCE_MAX = 1000;
const BACKGROUND_MS = 250;

const timeOf = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const dayOf = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const momentOf = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export class View {
  constructor(on) { // onRetry, onDiscard, onOlder, onVote, onRegenerate, onDecide, onEdit, onTakeBack
    Object.assign(this, on);
    this.thread = null;
    this.stuck = true; // the end is in sight, and stays so
    this.scroller = $("scroll");
    this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true });
    new ResizeObserver(() => this.stuck && this.toEnd()).observe(this.scroller);
    $("latest").addEventListener("click", () => this.toEnd(true));
    $("older").addEventListener("click", () => this.onOlder());
    $("log").addEventListener("click", (e) => this.onCopy(e.target.closest("[data-copy]")));
    $("log").addEventListener("click", (e) => this.onFeedback(e.target.closest("[data-vote], [data-again]")));
  }

  show(thread) {
    this.thread = thread;
    this.stuck = true;
    $("log").replaceChildren();
    this.draw();
    this.toEnd();
  }

  // At most once a frame of the screen, however fast the pieces come; a tab in the background has no frames.
  draw() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => this.drawDue());
    setTimeout(() => this.drawDue(), BACKGROUND_MS);
  }

  drawDue() {
    if (this.drawing) this.drawNow();
  }

  drawNow() {
    const t = this.thread;
    this.drawing = false;
    if (!t) return;
    reconcile($("log"), itemsOf(t), (item) => makers[item.kind](item, this), (e, item) => updates[item.kind]?.(e, item));
    $("welcome").hidden = !(t.isEmpty && (t.isNew || t.loaded));
    $("older").hidden = !t.older;
    if (this.stuck) this.toEnd();
    else this.showLatest();
  }

  onScroll() {
    this.stuck = this.distance < NEAR_END_PX;
    this.showLatest();
    if (this.scroller.scrollTop < 200 && this.thread?.older && !this.stuck) this.onOlder();
  }

  get distance() {
    return this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight;
  }

  showLatest() {
    $("latest").hidden = this.distance < NEAR_END_PX;
  }

  toEnd(smooth) {
    this.stuck = true;
    const quiet = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: smooth && !quiet ? "smooth" : "instant" });
    this.showLatest();
  }

  // Older messages come in above: what is in sight stays where it is.
  keepPlace(change) {
    const before = this.scroller.scrollHeight - this.scroller.scrollTop;
    change();
    this.drawNow();
    this.scroller.scrollTop = this.scroller.scrollHeight - before;
  }

  // A thumb pressed again is taken back; the other one takes its place.
  onFeedback(b) {
    const e = b?.closest("article");
    if (!e?.message) return;
    if (!b.dataset.vote) {
      this.onRegenerate();
      return;
    }
    const takenBack = b.getAttribute("aria-pressed") === "true";
    for (const other of e.querySelectorAll("[data-vote]")) other.setAttribute("aria-pressed", String(other === b && !takenBack));
    this.onVote(e.message, Number(b.dataset.vote), takenBack);
    say(takenBack ? "Taken back" : "Noted, thank you");
  }

  async onCopy(b) {
    if (!b) return;
    const source = b.dataset.copy === "code" ? b.closest("figure").querySelector("code").textContent
      : b.closest("article").source;
    const done = await copy(source);
    const label = b.querySelector("svg") ? null : b.textContent;
    if (label !== null) b.textContent = done ? "Copied" : "Not copied";
    else b.replaceChildren(icon(done ? "check" : "close"));
    say(done ? "Copied" : "Not copied");
    setTimeout(() => (label !== null ? (b.textContent = "Copy") : b.replaceChildren(icon("copy"))), 1500);
  }
}

function button(name, title, sign) {
  const b = make("button", "icon", icon(sign));
  b.type = "button";
  b.dataset[name] = title;
  b.title = title;
  b.setAttribute("aria-label", title);
  return b;
}

function thumb(vote, title) {
  const b = button("vote", title, vote > 0 ? "good" : "bad");
  b.dataset.vote = vote;
  b.setAttribute("aria-pressed", "false");
  return b;
}

export function announceAnswer(text) {
  say(text.length > ANNOUNCE_MAX ? `${text.slice(0, ANNOUNCE_MAX)}… the rest is in the conversation.` : text);
}

// --- what is shown, in order: days, messages, growing answers, waiting

function itemsOf(t) {
  const items = [];
  let day = "";
  for (const m of t.messages) {
    const today = dayOf.format(m.at);
    if (today !== day) items.push({ kind: "day", key: `day ${today} ${m.key}`, text: today });
    day = today;
    items.push({ kind: m.role === "user" ? "own" : "answer", key: m.key, message: m, text: m.text, waits: t.waits(m) });
  }
  for (const [request, text] of t.streams) items.push({ kind: "answer", key: request, text, growing: true });
  if (t.isBusy && t.streams.size === 0) items.push({ kind: "waiting", key: "waiting" });
  return items;
}

const makers = {
  day(item) {
    return make("p", "day", make("span", "", item.text));
  },

  own(item, view) {
    const bubble = make("div", "bubble");
    const e = make("article", "own", bubble, make("footer"));
    e.setAttribute("aria-label", "You");
    e.retry = () => view.onRetry(item.message);
    e.discard = () => view.onDiscard(item.message);
    e.edit = () => edit(bubble, item.message.text, (text) => view.onEdit(item.message, text));
    e.takeBack = () => view.onTakeBack(item.message);
    return e;
  },

  answer(item, view) {
    const body = make("div", "body");
    const b = make("button", "icon", icon("copy"));
    b.type = "button";
    b.dataset.copy = "message";
    b.title = "Copy the answer";
    b.setAttribute("aria-label", "Copy the answer");
    const e = make("article", "answer", body, make("footer", "", make("time"), b, button("again", "Answer anew", "again"),
      thumb(1, "A good answer"), thumb(-1, "A bad answer")));
    e.setAttribute("aria-label", "Answer");
    e.decide = (word) => view.onDecide(e.message, word);
    e.markdown = new Markdown(body);
    return e;
  },

  waiting() {
    const e = make("div", "waiting", make("i"), make("i"), make("i"), make("span", "hidden", "The answer is on its way"));
    return e;
  },
};

const updates = {
  own(e, { message, waits }) {
    const state = message.failed ? `failed ${message.failed}` : waits ? "waiting" : message.id ? "sent" : "sending";
    if (e.source !== message.text || state === "sent") e.editing?.();
    if (e.source !== message.text) e.querySelector(".bubble").textContent = readable(message.text);
    e.source = message.text;
    e.classList.toggle("command", message.notice || message.text.startsWith("/"));
    if (e.dataset.state === state) return;
    e.dataset.state = state;
    e.querySelector("footer").replaceChildren(...ownFooter(e, message));
  },

  answer(e, { message, text, growing }) {
    if (e.source !== text) e.markdown.update(text);
    e.source = text;
    e.message = message;
    e.classList.toggle("growing", Boolean(growing));
    e.classList.toggle("notice", Boolean(message?.notice));
    e.setAttribute("aria-busy", Boolean(growing));
    if (Boolean(message?.asks) !== Boolean(e.querySelector(".decision"))) putDecision(e);
    if (message && !e.dataset.at) putTime(e.querySelector("time"), (e.dataset.at = message.at));
  },
};

// Or take it away.
function putDecision(e) {
  const buttons = e.querySelector(".decision");
  if (buttons) buttons.remove();
  else e.querySelector(".body").after(make("p", "decision", wordButton("Allow", () => e.decide("yes")), wordButton("Refuse", () => e.decide("no"))));
}

function putTime(e, at) {
  const date = new Date(Number(at));
  e.dateTime = date.toISOString();
  e.textContent = timeOf.format(date);
  e.title = momentOf.format(date);
}

function wordButton(label, onClick, look = "") {
  const b = make("button", look, label);
  b.type = "button";
  b.addEventListener("click", onClick);
  return b;
}

const textButton = (label, onClick) => wordButton(label, onClick, "text");

// The bubble becomes a field: Enter says that it is meant so, Escape that it is not.
function edit(bubble, text, onDone) {
  const e = bubble.closest("article"), field = make("textarea", "bubble");
  if (e.editing) return;
  field.value = text;
  field.setAttribute("aria-label", "Change the message");
  field.rows = Math.min(text.split("\n").length, 12);
  e.editing = () => {
    delete e.editing;
    field.replaceWith(bubble);
  };
  field.addEventListener("keydown", (k) => {
    if (k.isComposing || k.shiftKey || !["Enter", "Escape"].includes(k.key)) return;
    k.preventDefault();
    k.stopPropagation();
    e.editing?.();
    if (k.key === "Enter" && field.value.trim() && field.value !== text) onDone(field.value);
  });
  bubble.replaceWith(field);
  field.focus();
}

function ownFooter(e, message) {
  if (message.failed) {
    return [make("span", "why", message.failed), textButton("Try again", e.retry), textButton("Discard", e.discard)];
  }
  if (e.dataset.state === "waiting") {
    return [make("span", "", "Waits for its turn"), textButton("Change", e.edit), textButton("Take back", e.takeBack)];
  }
  if (!message.id) return [make("span", "", "Sending…")];
  const time = make("time");
  putTime(time, message.at);
  return [time];
}
