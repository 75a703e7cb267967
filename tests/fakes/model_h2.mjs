// A model behind TLS that speaks HTTP/2. It answers once `together` questions are there at the same time; one that says "reset at once" or
// "reset midway" has its stream reset there, the first time that it is asked.
//   node model_h2.mjs CERT KEY TOGETHER
// Prints a line of JSON when it listens, and one for each connection and each question.
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [cert, key, together] = process.argv.slice(2);
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const waiting = [], seen = new Set();

function event(stream, delta, finish) {
  stream.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
}

function begin(stream) {
  stream.respond({ ":status": 200, "content-type": "text/event-stream" });
}

function reset(stream, text) {
  begin(stream);
  stream.on("error", () => {});
  if (text) event(stream, { content: text }, null);
  else stream.write(": wait\n\n");
  setTimeout(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR), 50);
}

function answer(stream) {
  begin(stream);
  event(stream, { content: "together" }, null);
  event(stream, {}, "stop");
  stream.end("data: [DONE]\n\n");
}

// The handshake takes a while: whoever does not wait for it opens more connections.
const SNICallback = (name, done) => setTimeout(done, 500, null, null);
const server = http2.createSecureServer({ cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: false, SNICallback });
server.on("session", () => tell({ connection: true }));
server.on("stream", (stream) => {
  let body = "";
  stream.setEncoding("utf8").on("data", (data) => (body += data));
  stream.on("end", () => {
    const [where] = /reset (at once|midway)/.exec(body) ?? [];
    tell({ question: true });
    if (where && !seen.has(where)) {
      seen.add(where);
      return reset(stream, where === "reset midway" ? "half" : "");
    }
    waiting.push(stream);
    if (waiting.length === Number(together)) waiting.splice(0).forEach(answer);
  });
});
server.listen(0, "127.0.0.1", () => tell({ port: server.address().port }));
process.stdin.on("end", () => process.exit(0)).resume();
