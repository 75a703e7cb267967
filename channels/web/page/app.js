// The page: what the person does goes to the gateway, what the gateway says goes onto the screen.
import { $, say } from "./dom.js";
import { Files, withAttachments } from "./files.js";
import { Link } from "./link.js";
import { drafts, isDecision, isUuid, outbox, Threads, uuid } from "./model.js";
import { Sidebar } from "./sidebar.js";
import { announceAnswer, View } from "./view.js";

const PAGE = 50; // messages at a time
const QUIET_MS = 5000; // an answer that is silent for so long is asked after
const LOOK_MS = 1000;
const MERGED_MS = 500; // then one answer may have been for several messages
const STOP_MS = 3000;
const BANNER_MS = 600;
const NEW = "new"; // the draft of a conversation that has not begun

const threads = new Threads();
let current = null;
let limits = { title: "Parley", text_max: Infinity, frame_max: Infinity };
let sending = null; // id of the message that waits for "accepted"
let missed = true; // since the connection was lost
let retryAt = 0;
let trouble = ""; // what the gateway said about the last try

const link = new Link({ onSession, onOpen, onFrame, onState });
const view = new View({
  onRetry,
  onDiscard,
  onOlder,
  onVote: (m, vote, takenBack) => tell({ type: "vote", thread: current.id, message: m.id, vote, taken_back: takenBack }),
  onRegenerate: () => post("/regenerate"),
  onDecide: (m, word) => {
    const request = m.asks;
    current.decided(request);
    post(`/tool ${word} ${request}`);
  },
  onEdit: (m, text) => tell({ type: "edit", id: uuid(), thread: current.id, message: m.client, text }),
  onTakeBack: (m) => tell({ type: "take_back", id: uuid(), thread: current.id, message: m.client }),
});
const files = new Files(() => drawComposer());
const sidebar = new Sidebar({
  onRename: (t, title) => tell({ type: "rename", thread: t.id, title }),
  onPin: (t) => tell({ type: "pin", thread: t.id, pinned: !t.pinned }),
  onRemove,
});

// --- the connection

function onSession(session) {
  limits = session;
  $("brand").textContent = limits.title;
  document.body.dataset.votes = limits.votes ? "on" : "off";
  draw();
}

// First what was not accepted goes out once more, then what was missed is fetched: so nothing shows up twice.
function onOpen() {
  sending = null;
  missed = true;
  flush();
}

let bannerTimer = 0;
function onState(state, detail) {
  const text = state === "refused" ? `The gateway refuses this page: ${detail}` : "Connection lost. Reconnecting…";
  document.body.dataset.link = state;
  if (state === "open") {
    clearTimeout(bannerTimer);
    bannerTimer = 0;
    trouble = "";
    if (!$("banner").hidden) say("Connected again");
    $("banner").hidden = true;
  } else if (state !== "connecting") {
    $("banner-text").textContent = text;
    bannerTimer ||= setTimeout(() => ($("banner").hidden = false), BANNER_MS);
  }
  drawComposer();
}

// What is of no use later, unlike a message.
function tell(frame) {
  if (link.send(frame)) return;
  trouble = "There is no connection at the moment.";
  draw();
}

function catchUp() {
  if (!missed) return;
  missed = false;
  link.send({ type: "list" });
  for (const t of threads.map.values()) t.stale = true;
  ask(current);
}

function ask(t) {
  if (!link.isOpen) return;
  t.stale = false;
  t.askedAt = t.heardAt = performance.now();
  link.send({ type: "history", thread: t.id, limit: PAGE, after: t.loaded ? t.cursor : undefined });
}

// What was asked for could not be read just now.
let lookTimer = 0;
function lookAgain(ms) {
  current.asking = false;
  clearTimeout(lookTimer);
  lookTimer = setTimeout(() => {
    missed = true;
    flush();
  }, ms);
}

// An answer may end without a word, or its words get lost: whoever waits in silence looks for himself.
setInterval(() => {
  if (link.isOpen && current.isBusy && performance.now() - current.heardAt > QUIET_MS) ask(current);
}, LOOK_MS);

// --- what comes in

const frames = {
  accepted(f) {
    trouble = "";
    outbox.drop(f.id);
    const t = threads.get(f.thread);
    const message = t?.messages.find((m) => m.client === f.id);
    if (message) t.accept(message, f.message, f.request);
    t?.begin(f.request);
    if (t && !t.listed) link.send({ type: "list" });
    sent(f.id);
  },

  error(f) {
    if (!f.id || f.id !== sending) {
      if (f.id) trouble = f.text;
      if (f.retry_ms) lookAgain(f.retry_ms);
      else console.warn("the gateway did not understand:", f.text);
      return;
    }
    if (f.retry_ms) {
      retryLater(f.retry_ms, f.text);
      return;
    }
    fail(f.id, f.text);
    sent(f.id);
  },

  message(f) {
    const t = threads.get(f.thread) ?? stranger(f.thread);
    if (f.n_parts > 1) { // whole from the history
      t.finish(f.request);
      if (f.part + 1 === f.n_parts) ask(t);
      return;
    }
    const message = t.take({ ...f, text: withAttachments(f.text, f.attachments) });
    t.at = Math.max(t.at, f.at);
    if (f.role === "user") t.begin(f.request);
    else t.finish(f.request);
    if (!message || f.role === "user") return;
    if (t.isBusy) setTimeout(() => t.isBusy && ask(t), MERGED_MS);
    t.unread = t !== current || document.hidden;
    if (t === current) announceAnswer(f.text);
  },

  edited(f) {
    const message = threads.get(f.thread)?.byClient(f.client);
    if (message) message.text = f.text;
  },

  decided(f) {
    threads.get(f.thread)?.decided(f.request);
  },

  taken_back(f) {
    const t = threads.get(f.thread), message = t?.byClient(f.client);
    if (!message) return;
    t.finish(message.request);
    t.messages = t.messages.filter((m) => m !== message);
  },

  delta: grow,
  partial: grow,

  typing(f) {
    heard(threads.get(f.thread));
  },

  list(f) {
    const gone = threads.list(f.threads);
    if (gone.includes(current)) openThread(null);
  },

  changed(f) {
    link.send({ type: "list" });
    if (f.hidden) forget(f.thread);
  },

  history(f) {
    const t = threads.get(f.thread);
    if (!t) return;
    if (f.before) {
      const older = () => f.messages.forEach((m) => t.take(m));
      t.older = f.more;
      t.asking = false;
      if (t === current) view.keepPlace(older);
      else older();
    } else if (f.after) {
      for (const m of f.messages) t.take(m);
      if (f.more) link.send({ type: "history", thread: t.id, limit: PAGE, after: f.messages.at(-1).id });
    } else {
      t.takeNewest(f.messages, f.more);
    }
    t.setOpen(f.open);
    t.setQuestion(f.asks);
  },

  resync() {
    missed = true;
    catchUp();
  },

  pong() {},
};

function onFrame(frame) {
  frames[frame.type]?.(frame);
  heard(threads.get(frame.thread));
  draw();
}

function heard(t) {
  if (t) t.heardAt = performance.now();
}

function grow(f) {
  const t = threads.get(f.thread) ?? stranger(f.thread);
  t.grow(f);
}

// A conversation that began in another tab.
function stranger(id) {
  link.send({ type: "list" });
  return threads.make(id);
}

// --- what goes out: one message at a time, so that they arrive in order

function post(text, attachments = []) {
  const entry = { id: uuid(), thread: current.id, text, attachments, at: Date.now() };
  outbox.put(entry);
  current.at = entry.at;
  showUnsent(current, entry);
  history.replaceState(null, "", `#${current.id}`);
  view.stuck = true;
  draw();
  flush();
}

function flush() {
  if (sending || !link.isOpen || performance.now() < retryAt) return;
  const next = outbox.all().find((entry) => !entry.failed);
  if (!next) {
    catchUp();
    return;
  }
  if (objection(next.text)) { // the gateway would close the connection
    fail(next.id, objection(next.text));
    flush();
    return;
  }
  sending = next.id;
  link.send({ type: "send", id: next.id, thread: next.thread, text: next.text, attachments: (next.attachments ?? []).map((a) => a.id) });
}

function sent(id) {
  if (sending === id) sending = null;
  flush();
}

function retryLater(ms, why) {
  sending = null;
  retryAt = performance.now() + ms;
  setTimeout(flush, ms + 10);
  trouble = why;
  catchUp();
}

function fail(id, why) {
  const entry = outbox.all().find((e) => e.id === id);
  if (!entry) return;
  outbox.put({ ...entry, failed: why });
  const message = threads.get(entry.thread)?.messages.find((m) => m.client === id);
  if (message) message.failed = why;
  say(`Not sent: ${why}`);
}

function showUnsent(t, { id, text, attachments, at, failed }) {
  if (t.messages.some((m) => m.client === id)) return;
  t.insert({ key: id, client: id, role: "user", at, text: withAttachments(text, attachments), failed });
}

function onRetry(message) {
  const entry = outbox.all().find((e) => e.id === message.client);
  delete message.failed;
  outbox.put({ ...(entry ?? { id: message.client, thread: current.id, text: message.text, at: message.at }), failed: undefined });
  draw();
  flush();
}

function onDiscard(message) {
  outbox.drop(message.client);
  current.messages = current.messages.filter((m) => m !== message);
  draw();
}

function stop() {
  if (!current.isBusy || performance.now() - current.stoppedAt < STOP_MS) return;
  current.stoppedAt = performance.now();
  post("/stop");
}

// Another tab of this browser wrote something, or got it accepted.
addEventListener("storage", (e) => {
  if (!outbox.isKey(e.key)) return;
  const entries = outbox.all();
  const waiting = new Set(entries.map((entry) => entry.id));
  for (const t of threads.map.values()) t.messages = t.messages.filter((m) => m.id || waiting.has(m.client));
  for (const entry of entries) if (threads.get(entry.thread)) showUnsent(threads.get(entry.thread), entry);
  draw();
});

// --- conversations

// id null: a new one
function openThread(id) {
  saveDraft();
  if (id || !current?.isNew) current = threads.make(id ?? uuid());
  current.isNew = !id;
  current.unread = false;
  for (const entry of outbox.all()) if (entry.thread === current.id) showUnsent(current, entry);
  if (id && (!current.loaded || current.stale)) ask(current);
  if (location.hash.slice(1) !== (id ?? "")) history.pushState(null, "", id ? `#${id}` : location.pathname);
  $("text").value = drafts.get(id ?? NEW);
  view.show(current);
  sidebar.close();
  draw();
  if (!isTouch()) $("text").focus({ preventScroll: true }); // there it would bring up the keyboard
}

function forget(id) {
  const mine = threads.get(id) === current;
  threads.drop(id);
  drafts.put(id, "");
  if (mine) openThread(null);
}

function onRemove(t) {
  const dialog = $("confirm");
  $("confirm-name").textContent = t.name;
  dialog.onclose = () => {
    if (dialog.returnValue === "yes") tell({ type: "hide", thread: t.id });
    dialog.returnValue = "";
  };
  dialog.showModal();
}

function onOlder() {
  const oldest = current.messages.find((m) => m.id);
  if (!oldest || current.asking || !link.isOpen) return;
  current.asking = true;
  link.send({ type: "history", thread: current.id, limit: PAGE, before: oldest.id });
}

function byHash() {
  const id = location.hash.slice(1);
  if (id !== current?.id || !isUuid(id)) openThread(isUuid(id) ? id : null);
}

function neighbour(step) {
  const all = threads.sorted;
  const at = all.indexOf(current);
  const next = all[at < 0 ? 0 : at + step];
  if (next) openThread(next.id);
}

// --- the composer

const isTouch = () => matchMedia("(pointer: coarse)").matches;
const bytes = (text) => new TextEncoder().encode(text).length;
const draftKey = () => (current.isNew ? NEW : current.id);

function saveDraft() {
  if (current) drafts.put(draftKey(), $("text").value);
}

// Why the text cannot go out as it is; "" = it can.
function objection(text) {
  if (bytes(JSON.stringify(text)) + 200 > limits.frame_max) return "This is too long to be sent.";
  return "";
}

function submit() {
  if (files.busy || (!$("text").value.trim() && files.isEmpty) || objection($("text").value)) return;
  const { text, attachments } = files.take($("text").value);
  drafts.put(draftKey(), "");
  $("text").value = "";
  current.isNew = false;
  post(text, attachments);
  $("text").focus();
}

function drawComposer() {
  const text = $("text").value;
  const wrong = objection(text);
  const cut = !wrong && bytes(text) > limits.text_max;
  $("send").disabled = (!text.trim() && files.isEmpty) || files.busy || Boolean(wrong);
  $("stop").hidden = !current?.isBusy;
  $("hint").textContent = wrong || trouble || (cut ? `Only the first ${Math.floor(limits.text_max / 1024)} KB will be read.` : "");
  const area = $("text");
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

function onComposerKey(e) {
  if (e.isComposing) return;
  // On a touch screen Enter is the only way to a new line.
  if (e.key === "Enter" && !e.shiftKey && !isTouch()) {
    e.preventDefault();
    submit();
  } else if (e.key === "ArrowUp" && !e.altKey && !e.target.value) {
    const last = current.messages.findLast((m) => m.role === "user" && m.text !== "/stop" && !isDecision(m.text));
    if (!last) return;
    e.preventDefault();
    e.target.value = last.text;
    drawComposer();
  }
}

// --- drawing

let drawing = 0;
function draw() {
  if (!current) return;
  view.draw();
  if (drawing) return;
  drawing = setTimeout(() => {
    drawing = 0;
    sidebar.draw(threads.sorted, current.id);
    $("title").textContent = current.name;
    const unread = threads.sorted.filter((t) => t.unread).length;
    document.title = `${unread ? `(${unread}) ` : ""}${current.isEmpty ? "" : `${current.name} · `}${limits.title}`;
    drawComposer();
  }, 0);
}

$("composer").addEventListener("submit", (e) => {
  e.preventDefault();
  submit();
});
$("text").addEventListener("input", () => {
  drawComposer();
  saveDraft();
});
$("text").addEventListener("keydown", onComposerKey);
$("stop").addEventListener("click", stop);
$("new").addEventListener("click", () => openThread(null));
$("new-top").addEventListener("click", () => openThread(null));
$("banner-now").addEventListener("click", () => link.now());
addEventListener("popstate", byHash);
addEventListener("hashchange", byHash);
addEventListener("pagehide", saveDraft);
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !current) return;
  current.unread = false;
  draw();
});
document.addEventListener("keydown", (e) => {
  const command = (e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey;
  if (e.isComposing || e.defaultPrevented || $("confirm").open) return;
  if (command && e.key.toLowerCase() === "k") openThread(null);
  else if (e.altKey && e.key === "ArrowUp") neighbour(-1);
  else if (e.altKey && e.key === "ArrowDown") neighbour(1);
  else if (e.key === "Escape" && sidebar.isOpen) sidebar.close();
  else if (e.key === "Escape") stop();
  else return;
  e.preventDefault();
});

byHash();
link.connect();
