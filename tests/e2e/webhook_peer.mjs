// Standard Webhooks' own library, driven by tests: reads one JSON command a line, answers one JSON line.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Webhook } = createRequire(process.argv[2] + "/")("standardwebhooks");

const commands = {
    sign: ({ secret, id, at, body }) => new Webhook(secret).sign(id, new Date(at * 1000), body),
    verify: ({ secret, headers, body }) => new Webhook(secret).verify(body, headers),
};

for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    const answer = { id: command.id };
    try {
        answer.result = commands[command.do](command.with);
    } catch (e) {
        answer.error = String(e.message ?? e);
    }
    process.stdout.write(JSON.stringify(answer) + "\n");
}
