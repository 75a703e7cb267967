// A model behind TLS that speaks HTTP/2. It answers once `together` questions are there at the same time.
//   node model_h2.mjs CERT KEY TOGETHER
// Prints a line of JSON when it listens, and one for each connection and each question.
import { readFileSync } from "node:fs";
import http2 from "node:http2";

const [cert, key, together] = process.argv.slice(2);
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const waiting = [];

function answer(stream) {
  const event = (delta, finish) => stream.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
  stream.respond({ ":status": 200, "content-type": "text/event-stream" });
  event({ content: "together" }, null);
  event({}, "stop");
  stream.end("data: [DONE]\n\n");
}

// The handshake takes a while: whoever does not wait for it opens more connections.
const SNICallback = (name, done) => setTimeout(done, 500, null, null);
const server = http2.createSecureServer({ cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: false, SNICallback });
server.on("session", () => tell({ connection: true }));
server.on("stream", (stream) => {
  stream.resume();
  stream.on("end", () => {
    tell({ question: true });
    waiting.push(stream);
    if (waiting.length === Number(together)) waiting.splice(0).forEach(answer);
  });
});
server.listen(0, "127.0.0.1", () => tell({ port: server.address().port }));
process.stdin.on("end", () => process.exit(0)).resume();
