// Somebody else's reading of the OpenAPI description: is it one, and are these answers what it promises? Reads one JSON
// command a line, answers one JSON line.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [modules] = process.argv.slice(2);
const require = createRequire(modules + "/");
const Ajv = require("ajv/dist/2020").default;
const formats = require("ajv-formats").default;
const { Validator } = await import(pathToFileURL(modules + "/@seriousme/openapi-schema-validator/index.js"));

let ajv;
const checks = new Map();
const told = (errors) => (errors ?? []).map((e) => `${e.instancePath || "/"} ${e.message} ${JSON.stringify(e.params)}`);

const commands = {
    async validate({ doc }) {
        const { valid, errors } = await new Validator().validate(doc);
        return { valid, errors: typeof errors === "string" ? [errors] : told(errors) };
    },
    load({ doc }) {
        ajv = new Ajv({ strict: false, allErrors: true });
        formats(ajv);
        ajv.addSchema(doc, "openapi", undefined, false);
        return true;
    },
    // Whether `value` is what the schema at `pointer` of the description says.
    answer({ pointer, value }) {
        if (!checks.has(pointer)) checks.set(pointer, ajv.compile({ $ref: `openapi#${pointer}` }));
        const check = checks.get(pointer);
        return { valid: check(value), errors: told(check.errors) };
    },
};

for await (const line of createInterface({ input: process.stdin })) {
    const { id, do: what, ...more } = JSON.parse(line);
    try {
        process.stdout.write(JSON.stringify({ id, ...{ result: await commands[what](more) } }) + "\n");
    } catch (e) {
        process.stdout.write(JSON.stringify({ id, error: String(e) }) + "\n");
    }
}
