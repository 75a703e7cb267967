// Files that go along with the next message: uploaded at once, shown as chips above the text. What is plain text and short
// becomes part of the message itself, so that every model can read it.
import { $, button, make, say } from "./dom.js";

const TEXT_MAX = 64 * 1024;
const FILES_MAX = 10;

// How a message names what came along, here as in the history.
export function withAttachments(text, attachments = []) {
  return [text, ...attachments.map((a) => `[attached: ${a.kind} ${a.name}]`)].filter(Boolean).join("\n");
}

async function asText(file) {
  if (file.size > TEXT_MAX || /^(image|audio|video)\//.test(file.type)) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    return null; // bytes that are no text
  }
}

// A fence that the text itself cannot end.
function fenced(name, text) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map((m) => m[0].length));
  const fence = "`".repeat(longest + 1);
  return `${name}:\n${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
}

async function upload(file) {
  const answer = await fetch(`/attachments?name=${encodeURIComponent(file.name)}`, {
    method: "POST",
    body: file,
    headers: { "Content-Type": file.type || "application/octet-stream" },
  });
  const body = await answer.json().catch(() => ({}));
  if (answer.status === 413) throw new Error("it is too big");
  if (!answer.ok) throw new Error(body.error ?? `HTTP ${answer.status}`);
  return body;
}

export class Files {
  constructor(onChange) {
    this.onChange = onChange;
    this.all = []; // { file, text, attachment, busy }
    $("attach").addEventListener("click", () => $("files").click());
    $("files").addEventListener("change", () => {
      this.add($("files").files);
      $("files").value = "";
    });
    $("text").addEventListener("paste", (e) => {
      if (!e.clipboardData.files.length) return;
      e.preventDefault();
      this.add(e.clipboardData.files);
    });
    document.addEventListener("dragover", (e) => e.dataTransfer.types.includes("Files") && e.preventDefault());
    document.addEventListener("drop", (e) => {
      if (!e.dataTransfer.files.length) return;
      e.preventDefault();
      this.add(e.dataTransfer.files);
    });
  }

  get busy() {
    return this.all.some((one) => one.busy);
  }

  get isEmpty() {
    return this.all.length === 0;
  }

  add(files) {
    for (const file of files) {
      if (this.all.length >= FILES_MAX) {
        say(`At most ${FILES_MAX} files.`);
        break;
      }
      const one = { file, busy: true };
      this.all.push(one);
      this.send(one);
    }
    this.draw();
  }

  async send(one) {
    try {
      one.text = await asText(one.file);
      if (one.text === null) one.attachment = await upload(one.file);
    } catch (e) {
      this.all = this.all.filter((other) => other !== one);
      say(`${one.file.name} was not attached: ${e.message}`);
      $("hint").textContent = `${one.file.name} was not attached: ${e.message}`;
    }
    one.busy = false;
    this.draw();
  }

  // What the message is made of; afterwards nothing is attached any more.
  take(text) {
    const texts = this.all.filter((one) => one.text !== null).map((one) => fenced(one.file.name, one.text));
    const attachments = this.all.filter((one) => one.attachment).map((one) => one.attachment);
    this.all = [];
    this.draw();
    return { text: [text, ...texts].filter(Boolean).join("\n\n"), attachments };
  }

  draw() {
    $("chips").replaceChildren(...this.all.map((one) => {
      const chip = make("li", one.busy ? "busy" : "", make("span", "", one.file.name), button("close", `Remove ${one.file.name}`, () => {
        this.all = this.all.filter((other) => other !== one);
        this.draw();
      }));
      return chip;
    }));
    this.onChange();
  }
}
