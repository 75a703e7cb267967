// The official clients of Discord, driven by test_discordjs.py: reads one JSON command a line, answers one JSON line.
// What happens on its sockets, and what its queue waits for, comes as {"event": ...} lines.
import { createRequire } from "node:module";
import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const [modules, api, token] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { WebSocketManager, CompressionMethod } = require("@discordjs/ws");
const { REST, DiscordAPIError } = require("@discordjs/rest");
const rest = new REST({ api, version: "10", retries: 0 }).setToken(token);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

rest.on("rateLimited", (d) => say({ event: "limited", global: d.global, ms: d.timeToReset }));
rest.on("response", (_, { status, headers }) => {
    if (status === 429) say({ event: "refused", scope: headers.get("X-RateLimit-Scope"), after: headers.get("Retry-After") });
});

let manager;
const sessions = new Map();
const atOnce = async () => ({ waitForIdentify: async () => {} });
const commands = {
    async connect({ intents, compress, shards, patient, timeout }) {
        manager = new WebSocketManager({
            token,
            intents,
            shardCount: shards ?? 1,
            compression: compress ? CompressionMethod.ZlibNative : null,
            helloTimeout: timeout ?? 60000,
            readyTimeout: timeout ?? 15000,
            rest,
            retrieveSessionInfo: (shard) => sessions.get(shard) ?? null,
            updateSessionInfo: (shard, info) => void (info ? sessions.set(shard, info) : sessions.delete(shard)),
            ...(patient ? {} : { buildIdentifyThrottler: atOnce }),
        });
        manager.on("hello", (shard) => say({ event: "hello", shard }));
        manager.on("ready", (data, shard) => say({ event: "ready", data, shard }));
        manager.on("resumed", (shard) => say({ event: "resumed", shard }));
        manager.on("closed", (code, shard) => say({ event: "closed", code, shard }));
        manager.on("error", (error, shard) => say({ event: "error", text: String(error.message), shard }));
        manager.on("socketError", (error, shard) => say({ event: "socketError", text: String(error.message), shard }));
        manager.on("dispatch", ({ t, s, d }, shard) => say({ event: "dispatch", t, s, d, shard }));
        manager.on("heartbeat", (_, shard) => say({ event: "beat", shard }));
        manager.connect().catch((e) => say({ event: "failed", text: String(e.message) }));
        return true;
    },
    async destroy() {
        await manager.destroy();
        return true;
    },
    // An endpoint for interactions; Node's own Ed25519 checks their signatures.
    async listen({ key, status }) {
        const x = Buffer.from(key, "hex").toString("base64url");
        const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
        const server = createServer(async (request, response) => {
            const body = Buffer.concat(await request.toArray());
            const signed = Buffer.concat([Buffer.from(request.headers["x-signature-timestamp"]), body]);
            if (!verify(null, signed, publicKey, Buffer.from(request.headers["x-signature-ed25519"], "hex")))
                return response.writeHead(401).end();
            const interaction = JSON.parse(body);
            say({ event: "posted", body: interaction });
            const ping = interaction.type === 1;
            response.writeHead(ping ? 200 : status, { "Content-Type": "application/json" });
            response.end(ping ? '{"type":1}' : status === 200 ? '{"type":5}' : "");
        });
        await new Promise((done) => server.listen(0, "127.0.0.1", done));
        return server.address().port;
    },
    async call({ method, path, body, auth }) {
        return (await rest.request({ method, fullRoute: path, body, auth: auth ?? true })) ?? null;
    },
};

async function run(command) {
    try {
        say({ id: command.id, result: await commands[command.do](command) });
    } catch (e) {
        if (e instanceof DiscordAPIError) say({ id: command.id, status: e.status, code: e.code, text: e.message });
        else say({ id: command.id, lost: `${e.name}: ${e.message}` });
    }
}

for await (const line of createInterface({ input: process.stdin })) run(JSON.parse(line));
process.exit(0);
