// The official clients of Slack, driven by test_slackjs.py: reads one JSON command a line, answers one JSON line.
// What comes by the socket is told as {"event": ...} lines.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const [modules, api, botToken, appToken] = process.argv.slice(2);
const require = createRequire(modules + "/");
const { WebClient, LogLevel } = require("@slack/web-api");
const { SocketModeClient } = require("@slack/socket-mode");
const { verifySlackRequest } = require("@slack/bolt");
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const quiet = { debug() {}, info() {}, warn() {}, error() {}, setLevel() {}, getLevel: () => LogLevel.ERROR, setName() {} };

const web = new WebClient(botToken, { slackApiUrl: api + "/", logger: quiet, retryConfig: { retries: 2, minTimeout: 10, maxTimeout: 20 } });
web.on("rate_limited", (seconds) => say({ event: "limited", seconds }));

let socket;
const commands = {
    async connect({ ack }) {
        socket = new SocketModeClient({ appToken, logger: quiet, clientOptions: { slackApiUrl: api + "/", retryConfig: { retries: 2, minTimeout: 10 } } });
        for (const name of ["connecting", "connected", "reconnecting", "disconnected", "disconnecting"])
            socket.on(name, () => say({ event: name }));
        socket.on("slack_event", async ({ ack: confirm, type, body, retry_num, retry_reason, envelope_id, accepts_response_payload }) => {
            say({ event: "envelope", type, body, retry: retry_num, reason: retry_reason, envelope: envelope_id, answers: accepts_response_payload });
            if (ack !== "never") await confirm(accepts_response_payload && ack === "payload" ? { text: "ok" } : undefined);
        });
        const answer = await socket.start();
        return { url: answer.url };
    },
    async disconnect() {
        await socket.disconnect();
        return true;
    },
    async call({ method, args }) {
        return await web.apiCall(method, args);
    },
    async verify({ secret, body, stamp, signature, now }) {
        verifySlackRequest({
            signingSecret: secret,
            body,
            headers: { "x-slack-signature": signature, "x-slack-request-timestamp": stamp },
            nowMilliseconds: now,
        });
        return true;
    },
};

async function run(command) {
    try {
        say({ id: command.id, result: (await commands[command.do](command)) ?? null });
    } catch (e) {
        say({ id: command.id, error: e.data?.error ?? `${e.name}: ${e.message}`, code: e.code });
    }
}

for await (const line of createInterface({ input: process.stdin })) run(JSON.parse(line));
process.exit(0);
