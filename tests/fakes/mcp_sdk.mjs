// A tool server made with the protocol's official SDK: node mcp_sdk.mjs MODULES stdio|http|json|resume|sse
// json: by HTTP without streams; resume: with streams that it remembers, and ends before the answer of `patient`; sse: the protocol's first way over HTTP, at /sse. By HTTP it says its port in a line of JSON, and forgets all sessions at POST /forget.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { pathToFileURL } from "node:url";

const [modules, how] = process.argv.slice(2);
const require = createRequire(modules + "/");
const load = (name) => import(pathToFileURL(require.resolve("@modelcontextprotocol/sdk/" + name)));
const { McpServer } = await load("server/mcp.js");
const { StdioServerTransport } = await load("server/stdio.js");
const { StreamableHTTPServerTransport } = await load("server/streamableHttp.js");
const { SSEServerTransport } = await load("server/sse.js");
const { InMemoryEventStore } = await load("examples/shared/inMemoryEventStore.js");
const { z } = await import(pathToFileURL(require.resolve("zod")));

const text = (t) => ({ content: [{ type: "text", text: t }] });

function make() {
    const server = new McpServer({ name: "sdk", version: "1.0.0" }, { capabilities: { logging: {} } });
    server.registerTool("add", { description: "Adds two numbers.", inputSchema: { a: z.number(), b: z.number() } }, async ({ a, b }) => text(String(a + b)));
    server.registerTool("fail", { description: "Always fails.", inputSchema: {} }, async () => {
        throw new Error("it cannot be done");
    });
    server.registerTool("weather.get", { description: "The weather.", inputSchema: { city: z.string() }, outputSchema: { degrees: z.number() } }, async ({ city }) => ({
        content: [{ type: "text", text: `It is warm in ${city}.` }],
        structuredContent: { degrees: 21 },
    }));
    server.registerTool("picture", { description: "A picture.", inputSchema: {} }, async () => ({ content: [{ type: "image", data: "iVBORw0KGgo=", mimeType: "image/png" }] }));
    server.registerTool("environment", { description: "Names of variables.", inputSchema: {} }, async () => text(Object.keys(process.env).sort().join(" ")));
    server.registerTool("slow", { description: "Tells its progress, and ends.", inputSchema: {} }, async (_, extra) => {
        for (let i = 0; i < 3; i++) await extra.sendNotification({ method: "notifications/message", params: { level: "info", data: `step ${i}` } });
        return text("done");
    });
    if (how === "resume")
        server.registerTool("patient", { description: "Ends its stream, then answers.", inputSchema: {} }, async (_, extra) => {
            extra.closeSSEStream();
            await new Promise((resolve) => setTimeout(resolve, 200));
            return text("worth waiting for");
        });
    server.registerTool("grow", { description: "One tool more.", inputSchema: {} }, async () => {
        server.registerTool("grown", { description: "New.", inputSchema: {} }, async () => text("I am new"));
        return text("grew");
    });
    return server;
}

async function old(sessions, request, response) {
    if (request.method === "GET" && request.url === "/sse") {
        const transport = new SSEServerTransport("/messages", response);
        sessions.set(transport.sessionId, transport);
        response.on("close", () => sessions.delete(transport.sessionId));
        return make().connect(transport);
    }
    const transport = sessions.get(new URL(request.url, "http://x").searchParams.get("sessionId"));
    if (request.method === "POST" && transport) return transport.handlePostMessage(request, response);
    response.writeHead(404).end("Cannot " + request.method);
}

if (how === "stdio") {
    console.error("the SDK's server begins");
    await make().connect(new StdioServerTransport());
} else {
    const sessions = new Map();
    const http = createServer(async (request, response) => {
        if (request.url === "/forget") {
            sessions.clear();
            return response.end("forgotten");
        }
        if (request.url === "/sessions") return response.end(String(sessions.size));
        if (how === "sse") return old(sessions, request, response);
        const id = request.headers["mcp-session-id"];
        let transport = sessions.get(id);
        if (id && !transport) {
            response.writeHead(404, { "Content-Type": "application/json" });
            return response.end(JSON.stringify({ jsonrpc: "2.0", error: { code: -32001, message: "Session not found" }, id: null }));
        }
        if (!transport) {
            transport = new StreamableHTTPServerTransport({
                sessionIdGenerator: randomUUID,
                enableJsonResponse: how === "json",
                ...(how === "resume" && { eventStore: new InMemoryEventStore(), retryInterval: 100 }),
                onsessioninitialized: (made) => sessions.set(made, transport),
                onsessionclosed: (gone) => sessions.delete(gone),
            });
            await make().connect(transport);
        }
        await transport.handleRequest(request, response);
    });
    http.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: http.address().port })));
    process.stdin.resume().on("end", () => process.exit(0)); // not longer than the test
}
