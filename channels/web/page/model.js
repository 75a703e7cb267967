// What the page knows: conversations, their messages, and what has not been sent yet.

const OUTBOX = "parley.out."; // + id of the message
const DRAFT = "parley.draft."; // + thread
const OVERLAP = 20;
const DONE_MAX = 500;
const LIST_MAX = 500; // what the gateway lists at most

// Storage that may be forbidden or full: then it lasts as long as the page.
const memory = new Map();
export const storage = {
  get(key) {
    try {
      return localStorage.getItem(key) ?? memory.get(key) ?? null;
    } catch {
      return memory.get(key) ?? null;
    }
  },
  set(key, value) {
    memory.set(key, value);
    try {
      localStorage.setItem(key, value);
    } catch { /* kept in memory */ }
  },
  drop(key) {
    memory.delete(key);
    try {
      localStorage.removeItem(key);
    } catch { /* was in memory only */ }
  },
  keys() {
    try {
      return new Set([...memory.keys(), ...Object.keys(localStorage)]);
    } catch {
      return new Set(memory.keys());
    }
  },
};

// crypto.randomUUID is missing where the page came without TLS from another machine.
export function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = [...b].map((x) => x.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export const isUuid = (text) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

// What the buttons of a question say: which one it was is nothing to read.
const DECISION = /^(\/tool (?:yes|no)) [0-9a-f-]{36}$/;
export const isDecision = (text) => DECISION.test(text);
export const readable = (text) => text.replace(DECISION, "$1");

// --- the outbox: one entry a message, so that tabs do not overwrite each other's

export const outbox = {
  // Oldest first: { id, thread, text, at, failed }
  all() {
    const found = [];
    for (const key of storage.keys()) {
      if (!key.startsWith(OUTBOX)) continue;
      try {
        const entry = JSON.parse(storage.get(key));
        if (isUuid(entry.id) && isUuid(entry.thread)) found.push(entry);
      } catch { /* not ours */ }
    }
    return found.sort((a, b) => a.at - b.at);
  },
  put(entry) {
    storage.set(OUTBOX + entry.id, JSON.stringify(entry));
  },
  drop(id) {
    storage.drop(OUTBOX + id);
  },
  isKey: (key) => key === null || key.startsWith(OUTBOX),
};

export const drafts = {
  get: (thread) => storage.get(DRAFT + thread) ?? "",
  put: (thread, text) => (text ? storage.set(DRAFT + thread, text) : storage.drop(DRAFT + thread)),
};

// --- conversations

/*
 * A message: { key, id, role, notice, at, text, client, request, failed, asks }. id is the gateway's and sorts by time; without
 * one it has not been accepted yet. key names its element on the page and never changes. client is the id that its page
 * gave it, known of those that wait.
 */
export class Thread {
  constructor(id) {
    this.id = id;
    this.title = "";
    this.first = "";
    this.at = 0;
    this.pinned = false;
    this.listed = false; // the gateway knows it
    this.loaded = false; // its newest messages are here
    this.older = false; // there are some before those
    this.unread = false;
    this.isNew = false; // nothing was written in it yet
    this.stale = false; // the connection was lost since its messages came
    this.asking = false; // for older ones
    this.stoppedAt = -Infinity;
    this.heardAt = 0; // when something about it came in; times are of performance.now()
    this.messages = [];
    this.open = new Map(); // requests that are not through: id -> since when we know of it
    this.askedAt = 0;
    this.askedSince = 0; // when we heard of the question that is open
    this.done = new Set(); // those that are: what was on its way may still call them open
    this.streams = new Map(); // request -> the answer so far
  }

  get name() {
    const words = this.title || this.first || this.messages.find((m) => m.role === "user" && !m.notice)?.text || "";
    const line = words.trim().split("\n", 1)[0].replace(/^[#>\s]+|[*`~]+/g, "");
    return line.length > 80 ? `${line.slice(0, 80)}…` : line || "New conversation";
  }

  get isEmpty() {
    return this.messages.length === 0 && this.streams.size === 0;
  }

  get isBusy() {
    return this.open.size > 0;
  }

  find(id) {
    return this.messages.find((m) => m.id === id);
  }

  // A message of the gateway; what is here already is left alone. Returns it when it is new.
  take(frame) {
    const own = frame.client && this.messages.find((m) => m.client === frame.client);
    if (own) {
      this.accept(own, frame.id, frame.request);
      return null;
    }
    if (this.find(frame.id)) return null;
    const streamed = frame.role === "assistant" && this.streams.has(frame.request);
    const message = {
      key: streamed ? frame.request : frame.id,
      id: frame.id,
      role: frame.role,
      notice: Boolean(frame.notice),
      at: frame.at,
      text: frame.text,
      client: frame.client,
      request: frame.role === "user" ? frame.request : undefined,
    };
    this.insert(message);
    if (frame.asks) this.ask(message, frame.request);
    return message;
  }

  // Whether a tool may be called; one question at a time is open.
  ask(message, request) {
    for (const m of this.messages) delete m.asks;
    message.asks = request;
    this.askedSince = performance.now();
  }

  decided(request) {
    for (const m of this.messages) if (m.asks === request) delete m.asks;
  }

  // The one that was open when we asked, if any; one that came since is not known there.
  setQuestion(question) {
    const message = question && this.find(question.message);
    if (message) this.ask(message, question.request);
    else if (this.askedSince < this.askedAt) for (const m of this.messages) delete m.asks;
  }

  insert(message) {
    let at = this.messages.length;
    while (at > 0 && before(message, this.messages[at - 1])) at--;
    this.messages.splice(at, 0, message);
  }

  // One that waits behind others can still be changed or taken back.
  waits(message) {
    const [first] = this.open.keys();
    return Boolean(message.client) && this.open.has(message.request) && message.request !== first && !message.text.startsWith("/");
  }

  byClient(client) {
    return this.messages.find((m) => m.client === client);
  }

  // What was written here has become a row of the gateway's, perhaps known from its history already.
  accept(message, id, request) {
    this.messages = this.messages.filter((m) => m !== message && m.id !== id);
    delete message.failed;
    this.insert(Object.assign(message, { id, request }));
  }

  finish(request) {
    this.streams.delete(request);
    this.open.delete(request);
    this.done.add(request);
    if (this.done.size > DONE_MAX) this.done.delete(this.done.values().next().value);
  }

  begin(request) {
    if (!this.done.has(request) && !this.open.has(request)) this.open.set(request, performance.now());
  }

  // All that was open when we asked, and what began since; answers that grow without being open ended without a word.
  setOpen(list) {
    const listed = new Set(list.map((o) => o.request));
    for (const [request, since] of this.open) {
      if (!listed.has(request) && since < this.askedAt) this.finish(request);
    }
    for (const { request, message, client } of list) {
      this.begin(request);
      Object.assign(this.find(message) ?? {}, { request, client });
    }
  }

  /*
   * A piece of a growing answer: the next one, or with from = 0 the first of a new try. What has no beginning here is
   * left out: the whole message comes at the end.
   */
  grow({ type, request, from, text }) {
    if (this.done.has(request)) return;
    this.begin(request);
    if (type === "partial" || from === 0) this.streams.set(request, text);
    else if (this.streams.has(request)) this.streams.set(request, this.streams.get(request) + text);
  }

  /*
   * The newest messages came in, all at once. Should there be a gap between them and those that are here, the latter
   * make way: they come back by scrolling up.
   */
  takeNewest(messages, more) {
    const known = this.messages.filter((m) => m.id);
    const meets = !more || messages.some((m) => this.find(m.id));
    if (known.length && !meets) this.messages = this.messages.filter((m) => !m.id);
    if (!this.loaded || !meets) this.older = more;
    this.loaded = true;
    for (const m of messages) this.take(m);
  }

  /*
   * From where on to ask for what was missed. Messages become visible in nearly, not exactly, the order of their ids,
   * so some that are here already are asked for again.
   */
  get cursor() {
    const known = this.messages.filter((m) => m.id);
    return known.length > OVERLAP ? known[known.length - OVERLAP].id : undefined;
  }
}

function before(a, b) {
  if (a.id && b.id) return a.id < b.id;
  if (!a.id && !b.id) return a.at < b.at;
  return Boolean(a.id);
}

export class Threads {
  constructor() {
    this.map = new Map();
  }

  get(id) {
    return this.map.get(id);
  }

  make(id) {
    if (!this.map.has(id)) this.map.set(id, new Thread(id));
    return this.map.get(id);
  }

  drop(id) {
    this.map.delete(id);
  }

  // What the gateway lists is the truth, but for what it cannot know yet.
  list(items) {
    const listed = new Set(items.map((i) => i.thread));
    for (const item of items) {
      const { title, first, at, pinned } = item;
      const t = this.make(item.thread);
      Object.assign(t, { title, first, at: Math.max(t.at, at), pinned, listed: true });
    }
    const all = items.length < LIST_MAX; // else older ones are merely not mentioned
    const gone = [...this.map.values()].filter((t) => all && t.listed && !listed.has(t.id));
    for (const t of gone) this.drop(t.id);
    return gone;
  }

  // For the sidebar: pinned ones, then the latest.
  get sorted() {
    return [...this.map.values()].filter((t) => t.listed || !t.isEmpty)
      .sort((a, b) => b.pinned - a.pinned || b.at - a.at);
  }
}
