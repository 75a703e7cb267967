// Markdown as DOM nodes, block by block, so that a growing text only redraws its end. Never HTML: see inline.js.
import { inline } from "./inline.js";

// No two repetitions in a row that match the same characters: a model can write a line that makes such a pattern
// try for minutes.
const FENCE = /^( {0,3})(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?=\s|$)/;
const RULE = /^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,})$/;
const QUOTE = /^ {0,3}>/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:( +)(.*)|$)/;
const TABLE_RULE = /^\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?$/;
const DEPTH_MAX = 12;
const CELLS_MAX = 60;

// Shows a text that grows: blocks whose source stayed the same keep their elements.
export class Markdown {
  constructor(parent) {
    this.parent = parent;
    this.shown = [];
  }

  update(text) {
    const found = blocks(text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0);
    let same = 0;
    while (same < found.length && this.shown[same]?.source === found[same].source) same++;
    if (this.shown[same]?.head && this.shown[same].head === found[same]?.head) {
      found[same].patch(this.parent.childNodes[same]);
      same++;
    }
    while (this.parent.childNodes.length > same) this.parent.lastChild.remove();
    for (const block of found.slice(same)) this.parent.append(block.draw());
    this.shown = found;
  }
}

function element(name, className) {
  const e = document.createElement(name);
  if (className) e.className = className;
  return e;
}

// Cut lines into blocks: { source, draw }, where draw makes the element and source is what it depends on; some also
// have { head, patch }: an element of a block with the same head can be brought up to date instead.
function blocks(lines, depth) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at++;
      continue;
    }
    const reader = depth > DEPTH_MAX ? paragraph
      : FENCE.test(lines[at]) ? code
      : HEADING.test(lines[at]) ? heading
      : RULE.test(lines[at]) ? rule
      : QUOTE.test(lines[at]) ? quote
      : ITEM.test(lines[at]) ? list
      : isTable(lines, at) ? table
      : paragraph;
    const block = reader(lines, at, depth);
    block.source = `${reader.name}\n${lines.slice(at, block.end).join("\n")}`;
    found.push(block);
    at = block.end;
  }
  return found;
}

function drawInto(parent, lines, depth) {
  for (const block of blocks(lines, depth)) parent.append(block.draw());
  return parent;
}

// --- code: without an end it goes to the end of the text, which is how it looks while it is being written

function code(lines, at) {
  const [, indent, fence, info] = FENCE.exec(lines[at]);
  const closing = new RegExp(`^ {0,3}${fence[0] === "~" ? "~" : "`"}{${fence.length},}\\s*$`);
  let end = at + 1;
  while (end < lines.length && !closing.test(lines[end])) end++;
  const own = new RegExp(`^ {0,${indent.length}}`);
  const text = lines.slice(at + 1, end).map((line) => line.replace(own, "")).join("\n");
  return {
    end: Math.min(end + 1, lines.length),
    head: `code ${lines[at]}`,
    draw: () => drawCode(text, info.trim().split(/\s+/)[0]),
    patch: (figure) => { figure.querySelector("code").textContent = text; },
  };
}

function drawCode(text, language) {
  const figure = element("figure", "code");
  const bar = element("figcaption");
  const name = element("span");
  const copy = element("button", "copy");
  const pre = element("pre");
  const body = element("code");
  name.textContent = language.slice(0, 40) || "text";
  copy.type = "button";
  copy.textContent = "Copy";
  copy.dataset.copy = "code";
  body.textContent = text;
  pre.tabIndex = 0; // it scrolls sideways, by keys as well
  pre.append(body);
  bar.append(name, copy);
  figure.append(bar, pre);
  return figure;
}

// --- heading, rule, quote

function heading(lines, at, depth) {
  const [all, marks] = HEADING.exec(lines[at]);
  let text = lines[at].slice(all.length).trim();
  const closing = /#+$/.exec(text)?.[0].length ?? 0;
  if (closing && (closing === text.length || text[text.length - closing - 1] === " ")) text = text.slice(0, -closing).trimEnd();
  return {
    end: at + 1,
    draw: () => {
      // The page has h1 and h2 of its own.
      const e = element(`h${Math.min(marks.length + 2, 6)}`, `level-${marks.length}`);
      inline(e, text, depth);
      return e;
    },
  };
}

function rule(lines, at) {
  return { end: at + 1, draw: () => element("hr") };
}

function quote(lines, at, depth) {
  let end = at;
  while (end < lines.length && (QUOTE.test(lines[end]) || (end > at && isLazy(lines[end])))) end++;
  const inner = lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ""));
  return { end, draw: () => drawInto(element("blockquote"), inner, depth + 1) };
}

// A line that goes on with the paragraph above although it lacks its mark.
function isLazy(line) {
  return line.trim() && !FENCE.test(line) && !HEADING.test(line) && !RULE.test(line) && !ITEM.test(line);
}

// --- list

function list(lines, at, depth) {
  const ordered = isOrdered(lines[at]);
  const indent = ITEM.exec(lines[at])[1].length;
  const items = [];
  let end = at, loose = false;
  while (end < lines.length) {
    const found = ITEM.exec(lines[end]);
    if (!found || RULE.test(lines[end]) || found[1].length > indent + 3 || isOrdered(lines[end]) !== ordered) break;
    const item = listItem(lines, end, found);
    items.push(item.lines);
    loose ||= item.loose;
    end = item.end;
  }
  const first = parseInt(ITEM.exec(lines[at])[2], 10);
  return { end, draw: () => drawList(items, ordered, first, loose, depth) };
}

function isOrdered(line) {
  return /\d/.test(ITEM.exec(line)[2]);
}

// An item owns its line and what is indented below; a blank line ends it when nothing indented follows.
function listItem(lines, at, found) {
  const [, before, mark, gap = " ", rest = ""] = found;
  const inner = before.length + mark.length + (gap.length > 4 ? 1 : gap.length);
  const own = [(gap.length > 4 ? gap.slice(1) : "") + rest];
  let end = at + 1, loose = false, blank = false, fenced = FENCE.test(own[0]);
  for (; end < lines.length; end++) {
    const line = lines[end];
    const depth = line.search(/\S/);
    if (depth < 0) {
      blank = true;
      own.push("");
      continue;
    }
    // Models indent the insides of items carelessly: anything deeper than the mark belongs to it.
    const inside = depth >= inner || (depth > before.length && (ITEM.test(line) || fenced || !blank));
    if (!inside && (blank || !isLazy(line))) break;
    const text = line.slice(Math.min(depth, inner));
    if (FENCE.test(text)) fenced = !fenced;
    loose ||= blank && !ITEM.test(line) && !fenced;
    blank = false;
    own.push(text);
  }
  while (own.length > 1 && own[own.length - 1] === "") own.pop();
  return { end, lines: own, loose };
}

function drawList(items, ordered, first, loose, depth) {
  const e = element(ordered ? "ol" : "ul", loose ? "loose" : "");
  if (ordered && first !== 1) e.start = first;
  for (const lines of items) e.append(drawItem(lines, depth));
  return e;
}

function drawItem(lines, depth) {
  const li = element("li");
  const task = /^\[([ xX])\]\s+/.exec(lines[0]);
  const content = task ? [lines[0].slice(task[0].length), ...lines.slice(1)] : lines;
  drawInto(li, content, depth + 1);
  if (!task) return li;
  const box = element("input");
  box.type = "checkbox";
  box.disabled = true;
  box.checked = task[1] !== " ";
  li.className = "task";
  li.prepend(box);
  return li;
}

// --- table

function isTable(lines, at) {
  return lines[at].includes("|") && at + 1 < lines.length && TABLE_RULE.test(lines[at + 1].trim())
    && lines[at + 1].includes("-") && cells(lines[at]).length === cells(lines[at + 1]).length;
}

// Cut a row at its bars, but not at \| nor inside `code`.
function cells(line) {
  const found = [];
  let text = "", ticks = false;
  const row = line.trim().replace(/^\|/, "");
  for (let i = 0; i < row.length; i++) {
    if (row[i] === "\\" && row[i + 1] === "|") text += row[++i];
    else if (row[i] === "|" && !ticks) {
      found.push(text.trim());
      text = "";
    } else {
      if (row[i] === "`") ticks = !ticks;
      text += row[i];
    }
  }
  if (text.trim()) found.push(text.trim());
  return found.slice(0, CELLS_MAX);
}

function table(lines, at, depth) {
  let end = at + 2;
  while (end < lines.length && lines[end].trim() && lines[end].includes("|")) end++;
  const align = cells(lines[at + 1]).map((c) => (c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : ""));
  const rows = [lines[at], ...lines.slice(at + 2, end)].map(cells);
  return { end, draw: () => drawTable(rows, align, depth) };
}

function drawTable(rows, align, depth) {
  const box = element("div", "table");
  const e = element("table");
  const head = element("thead"), body = element("tbody");
  box.tabIndex = 0;
  rows.forEach((row, i) => {
    const tr = element("tr");
    align.forEach((side, column) => {
      const cell = element(i === 0 ? "th" : "td", side);
      inline(cell, row[column] ?? "", depth);
      tr.append(cell);
    });
    (i === 0 ? head : body).append(tr);
  });
  e.append(head, body);
  box.append(e);
  return box;
}

// "2026. What a year" in the middle of a paragraph is no list; one that begins with 1 is.
function interrupts(line) {
  const mark = ITEM.exec(line)?.[2];
  return mark && (!/\d/.test(mark) || parseInt(mark, 10) === 1);
}

// --- paragraph: up to a blank line, or to what begins another block

function paragraph(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() && !FENCE.test(lines[end]) && !HEADING.test(lines[end])
    && !RULE.test(lines[end]) && !QUOTE.test(lines[end]) && !interrupts(lines[end]) && !isTable(lines, end)) end++;
  const text = lines.slice(at, end).map((line) => line.trimStart()).join("\n").trimEnd();
  return {
    end,
    draw: () => {
      const p = element("p");
      inline(p, text, depth);
      return p;
    },
  };
}
