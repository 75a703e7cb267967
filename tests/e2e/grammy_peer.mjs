// The official client of the Bot API, driven by test_grammy.py: reads one JSON command a line, answers one JSON line.
// Updates that its long poll or its webhook hands to a bot come as {"update": ...} lines.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const [modules, apiRoot, token] = process.argv.slice(2);
const { Bot, GrammyError, HttpError, webhookCallback } = createRequire(modules + "/")("grammy");
const bot = new Bot(token, { client: { apiRoot } });
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");

bot.use((ctx) => {
    say({ update: ctx.update });
    if (ctx.message?.text === "please reply") return ctx.reply("as you like");
});
bot.catch((e) => say({ caught: String(e.error) }));

let server;
const commands = {
    async call({ method, params }) {
        return await (Object.keys(params).length ? bot.api.raw[method](params) : bot.api.raw[method]());
    },
    async poll() {
        bot.start({ timeout: 5, onStart: (me) => say({ started: me.username }) })
            .catch((e) => say({ stopped: e.error_code ?? String(e) }));
        return true;
    },
    async stop() {
        await bot.stop();
        return true;
    },
    async listen({ secret }) {
        await bot.init();
        server = createServer(webhookCallback(bot, "http", { secretToken: secret }));
        await new Promise((done) => server.listen(0, "127.0.0.1", done));
        return server.address().port;
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    try {
        say({ id: command.id, result: await commands[command.do](command) });
    } catch (e) {
        if (e instanceof GrammyError)
            say({ id: command.id, error_code: e.error_code, description: e.description, parameters: e.parameters });
        else if (e instanceof HttpError) say({ id: command.id, network: String(e) });
        else say({ id: command.id, crash: String(e.stack) });
    }
}
process.exit(0);
