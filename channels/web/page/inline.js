// Markdown inside a line, as DOM nodes. Text only ever becomes text nodes: there is no way for it to become markup.

const SCHEMES = new Set(["http:", "https:", "mailto:"]);
const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0" };
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}\p{S}]/u;
const ESCAPABLE = /[!-/:-@[-`{-~]/;
const BARE_LINK = /https?:\/\/[^\s<>"'`*]+/y;
const NESTING_MAX = 30;
const LABEL_MAX = 2000; // characters of a link's label, and
const REACH_MAX = 1000; // parts between two marks that make a pair: keeps the work linear

// An address that may become a link, or null. Relative ones are none: they would point into this page.
export function safeUrl(text) {
  try {
    const url = new URL(text.trim());
    return SCHEMES.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export function inline(parent, text, depth = 0) {
  if (depth > NESTING_MAX) parent.append(text);
  else new Scanner(text, depth).run(parent);
}

function link(href, title, depth, label) {
  const a = document.createElement("a");
  a.href = href;
  a.target = "_blank";
  a.rel = "noopener noreferrer nofollow";
  if (title) a.title = title;
  if (typeof label === "string") inline(a, label, depth + 1);
  else a.append(label.plain);
  return a;
}

class Scanner {
  constructor(text, depth) {
    this.text = text;
    this.depth = depth;
    this.at = 0;
    this.plain = "";
    this.parts = []; // nodes, and the delimiter runs between them
    this.endless = new Set(); // lengths of backtick runs that have no partner any more
  }

  run(parent) {
    while (this.at < this.text.length) this.step();
    this.flush();
    emphasize(this.parts);
    for (const part of this.parts) parent.append(part.node ?? part.char.repeat(part.n));
  }

  flush() {
    if (this.plain) this.parts.push({ node: document.createTextNode(this.plain) });
    this.plain = "";
  }

  push(node, end) {
    this.flush();
    this.parts.push({ node });
    this.at = end;
  }

  step() {
    const c = this.text[this.at];
    const taken = c === "\\" ? this.escape()
      : c === "`" ? this.code()
      : c === "*" || c === "_" || c === "~" ? this.runOf(c)
      : c === "[" || c === "!" ? this.link()
      : c === "<" ? this.autolink()
      : c === "&" ? this.entity()
      : c === "\n" ? this.lineBreak()
      : c === "h" ? this.bare()
      : false;
    if (!taken) this.plain += this.text[this.at++];
  }

  escape() {
    const next = this.text[this.at + 1];
    if (next === "\n") {
      this.at++;
      return this.lineBreak();
    }
    if (next === undefined || !ESCAPABLE.test(next)) return false;
    this.plain += next;
    this.at += 2;
    return true;
  }

  code() {
    const ticks = /`+/y;
    ticks.lastIndex = this.at;
    const fence = ticks.exec(this.text)[0];
    const end = this.codeEnd(fence);
    if (end < 0) { // the ticks are text, all of them
      this.endless.add(fence.length);
      this.plain += fence;
      this.at += fence.length;
      return true;
    }
    let body = this.text.slice(this.at + fence.length, end).replace(/\n/g, " ");
    if (/^ .* $/.test(body) && body.trim()) body = body.slice(1, -1);
    const code = document.createElement("code");
    code.textContent = body;
    this.push(code, end + fence.length);
    return true;
  }

  codeEnd(fence) {
    if (this.endless.has(fence.length)) return -1;
    let end = this.text.indexOf(fence, this.at + fence.length);
    while (end >= 0) {
      let after = end + fence.length;
      while (this.text[after] === "`") after++;
      if (after === end + fence.length) return end;
      end = this.text.indexOf(fence, after);
    }
    return -1;
  }

  // A run of * _ or ~: what it may open or close follows from its neighbours (CommonMark 6.2).
  runOf(char) {
    let end = this.at;
    while (this.text[end] === char) end++;
    const n = end - this.at;
    const before = this.text[this.at - 1] ?? " ", after = this.text[end] ?? " ";
    const left = !/\s/.test(after) && (!PUNCTUATION.test(after) || /\s/.test(before) || PUNCTUATION.test(before));
    const right = !/\s/.test(before) && (!PUNCTUATION.test(before) || /\s/.test(after) || PUNCTUATION.test(after));
    const word = char === "_";
    this.flush();
    this.parts.push({
      char, n, was: n,
      opens: left && (!word || !right || PUNCTUATION.test(before)) && (char !== "~" || n === 2),
      closes: right && (!word || !left || PUNCTUATION.test(after)) && (char !== "~" || n === 2),
    });
    this.at = end;
    return true;
  }

  // [label](address "title"); an image is a link too: nothing is loaded from elsewhere.
  link() {
    const image = this.text[this.at] === "!";
    const start = this.at + (image ? 1 : 0);
    if (this.text[start] !== "[") return false;
    const close = matching(this.text, start);
    if (close < 0 || this.text[close + 1] !== "(") return false;
    const target = /\(\s*(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s+(?:"([^"]*)"|'([^']*)'))?\s*\)/y;
    target.lastIndex = close + 1;
    const found = target.exec(this.text);
    const href = found && safeUrl((found[1] ?? found[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1"));
    if (!href) return false;
    const label = this.text.slice(start + 1, close) || href;
    this.push(link(href, found[3] ?? found[4], this.depth, label), target.lastIndex);
    return true;
  }

  autolink() {
    const found = /<((?:https?:\/\/|mailto:)[^\s<>]+)>/iy;
    found.lastIndex = this.at;
    const text = found.exec(this.text)?.[1];
    const href = text && safeUrl(text);
    if (!href) return false;
    this.push(link(href, "", this.depth, { plain: text }), found.lastIndex);
    return true;
  }

  bare() {
    if (/[\w]/.test(this.text[this.at - 1] ?? " ")) return false;
    BARE_LINK.lastIndex = this.at;
    let text = BARE_LINK.exec(this.text)?.[0];
    if (!text) return false;
    text = bareEnd(text);
    const href = safeUrl(text);
    if (!href) return false;
    this.push(link(href, "", this.depth, { plain: text }), this.at + text.length);
    return true;
  }

  entity() {
    const found = /&(?:(\w{2,6})|#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6}));/y;
    found.lastIndex = this.at;
    const [all, name, decimal, hex] = found.exec(this.text) ?? [];
    const point = decimal ? Number(decimal) : hex ? parseInt(hex, 16) : 0;
    const char = name ? ENTITIES[name] : point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : undefined;
    if (char === undefined) return false;
    this.plain += char;
    this.at += all.length;
    return true;
  }

  // In a chat, a new line is meant as one.
  lineBreak() {
    this.plain = this.plain.trimEnd();
    let end = this.at + 1;
    while (this.text[end] === " ") end++;
    this.push(document.createElement("br"), end);
    return true;
  }
}

// What ends a sentence, and a bracket that was opened before the address, are no part of it.
function bareEnd(text) {
  let end = text.length;
  let excess = text.split(")").length - text.split("(").length;
  while (".,;:!?_~".includes(text[end - 1]) || (text[end - 1] === ")" && excess-- > 0)) end--;
  return text.slice(0, end);
}

// The bracket that closes the one at `open`, or -1.
function matching(text, open) {
  let depth = 0;
  for (let i = open; i < text.length && i < open + LABEL_MAX; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[") depth++;
    else if (text[i] === "]" && --depth === 0) return i;
  }
  return -1;
}

// Pair the delimiter runs in `parts`, innermost first, and put what is between a pair into an element.
function emphasize(parts) {
  for (let close = 1; close < parts.length; close++) {
    const end = parts[close];
    if (!end.closes || end.n === 0) continue;
    const open = opener(parts, close);
    if (open < 0) continue;
    const begin = parts[open];
    const n = end.char === "~" || (begin.n >= 2 && end.n >= 2) ? 2 : 1;
    const element = document.createElement(end.char === "~" ? "del" : n === 2 ? "strong" : "em");
    for (const part of parts.splice(open + 1, close - open - 1)) element.append(part.node ?? part.char.repeat(part.n));
    begin.n -= n;
    end.n -= n;
    parts.splice(open + 1, 0, { node: element });
    close = open + 1; // the same closer again, which now stands behind the new element
  }
}

function opener(parts, close) {
  const end = parts[close];
  for (let i = close - 1; i >= Math.max(0, close - REACH_MAX); i--) {
    const begin = parts[i];
    if (begin.char !== end.char || !begin.opens || begin.n === 0) continue;
    // "The rule of three": *a**b* is not two pairs.
    const odd = (begin.closes || end.opens) && (begin.was + end.was) % 3 === 0 && !(begin.was % 3 === 0 && end.was % 3 === 0);
    if (!odd) return i;
  }
  return -1;
}
