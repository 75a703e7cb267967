"""A tool server of the protocol's modern era (2026-07-28) over HTTP, strict about what it is sent, with faults to order.
With `sessions` it is one of the legacy era instead, whose sessions can be lost."""
import asyncio
import base64
import json
import re

from aiohttp import web

from .server import FakeServer, cut

MODERN, LEGACY = "2026-07-28", "2025-06-18"
META = "io.modelcontextprotocol/"


class Refused(Exception):
    def __init__(self, status, code, message, data=None):
        self.status, self.error = status, {"code": code, "message": message, **({"data": data} if data else {})}


def tool(name, schema=None, **more):
    return {"name": name, "description": f"The tool {name}.", "inputSchema": schema or {"type": "object", "properties": {}}, **more}


def string(**more):
    return {"type": "string", **more}


def text(t, **more):
    return {"resultType": "complete", "content": [{"type": "text", "text": t}], **more}


def plain(value):
    """A header's value, decoded."""
    m = re.fullmatch(r"=\?base64\?(.*)\?=", value or "")
    return base64.b64decode(m.group(1)).decode() if m else value


class FakeMcp(FakeServer):
    """
    tools      what tools/list says; `pages` of them at a time
    calls      (name, arguments) of each call that came in
    requests   (method, headers) of each request
    fault      a function of the call's name, or None: see _FAULTS
    """

    def __init__(self, sessions=False):
        super().__init__()
        self.era_legacy = sessions
        self.tools = [tool("echo", {"type": "object", "properties": {"say": string()}}),
                      tool("query.run", {"type": "object", "properties": {"region": string(**{"x-mcp-header": "Region"}), "rows": {"type": "integer", "x-mcp-header": "Rows"}}}),
                      tool("ask_me"), tool("streams"), tool("grüße")]
        self.page_size, self.calls, self.requests = 100, [], []
        self.sessions, self.ended, self.cancelled = set(), [], []
        self.fault, self.versions, self.ttl = None, [MODERN], 3600000
        self.rest, self.resumed = {}, []
        self.app.router.add_route("*", "/mcp", self._serve)

    @property
    def address(self):
        return f"{self.url}/mcp"

    def methods(self):
        return [m for m, _ in self.requests]

    # --- what comes in ---------------------------------------------------------------------------------------

    async def _serve(self, request):
        if request.method == "DELETE":
            self.ended.append(request.headers.get("MCP-Session-Id"))
            return web.Response(status=200)
        if request.method == "GET":
            return await self._resume(request)
        if request.method != "POST":
            return web.Response(status=405)
        message = json.loads(await request.text())
        self.requests.append((message.get("method"), dict(request.headers)))
        try:
            self._check_accept(request)
            result = await (self._legacy if self.era_legacy else self._modern)(request, message)
        except Refused as e:
            return web.json_response({"jsonrpc": "2.0", "id": message.get("id"), "error": e.error}, status=e.status)
        if isinstance(result, web.StreamResponse):
            return result
        headers = {"MCP-Session-Id": result.pop("_session")} if "_session" in result else {}
        return web.json_response({"jsonrpc": "2.0", "id": message["id"], "result": result}, headers=headers)

    async def _resume(self, request):
        """The rest of a stream, as `events` was told it."""
        headers = request.headers
        if not self.era_legacy or headers.get("Last-Event-ID") not in self.rest:
            return web.Response(status=405)
        self.resumed.append(headers["Last-Event-ID"])
        if headers.get("MCP-Session-Id") not in self.sessions or headers.get("MCP-Protocol-Version") != LEGACY:
            return web.Response(status=404)
        if "text/event-stream" not in headers.get("Accept", ""):
            return web.Response(status=406)
        return await self.rest[headers["Last-Event-ID"]](request)

    def _check_accept(self, request):
        accept = request.headers.get("Accept", "")
        if "application/json" not in accept or "text/event-stream" not in accept:
            raise Refused(406, -32600, "Accept must list both types")
        if request.content_type != "application/json":
            raise Refused(415, -32600, "Content-Type must be JSON")

    async def _modern(self, request, message):
        params, headers, method = message.get("params", {}), request.headers, message.get("method")
        meta = params.get("_meta", {})
        if "id" not in message:
            raise Refused(400, -32600, "no notification is expected here")
        if META + "protocolVersion" not in meta or META + "clientCapabilities" not in meta:
            raise Refused(400, -32602, "_meta is incomplete")
        self._check_headers(headers, method, meta, params)
        if meta[META + "protocolVersion"] not in self.versions:
            raise Refused(400, -32022, "Unsupported protocol version", {"supported": self.versions, "requested": meta[META + "protocolVersion"]})
        if method == "server/discover":
            return {"resultType": "complete", "supportedVersions": self.versions, "capabilities": {"tools": {}}, "ttlMs": 3600000, "cacheScope": "public"}
        if method == "tools/list":
            return {"resultType": "complete", "ttlMs": self.ttl, "cacheScope": "public", **self._page(params)}
        if method == "tools/call":
            return await self._call(request, message)
        raise Refused(404, -32601, "Method not found")

    def _check_headers(self, headers, method, meta, params):
        if headers.get("MCP-Protocol-Version") != meta[META + "protocolVersion"]:
            raise Refused(400, -32020, "Header mismatch: MCP-Protocol-Version")
        if headers.get("Mcp-Method") != method:
            raise Refused(400, -32020, "Header mismatch: Mcp-Method")
        if "MCP-Session-Id" in headers:
            raise Refused(400, -32600, "there are no sessions")
        if method != "tools/call":
            return
        if plain(headers.get("Mcp-Name")) != params["name"]:
            raise Refused(400, -32020, "Header mismatch: Mcp-Name")
        for one in self.tools:
            if one["name"] == params["name"]:
                self._check_mirrored(one, headers, params.get("arguments", {}))

    def _check_mirrored(self, one, headers, arguments):
        for key, schema in one["inputSchema"].get("properties", {}).items():
            name = schema.get("x-mcp-header")
            value = arguments.get(key)
            if name and value is not None and plain(headers.get(f"Mcp-Param-{name}")) != str(value):
                raise Refused(400, -32020, f"Header mismatch: Mcp-Param-{name}")

    async def _legacy(self, request, message):
        method, session = message.get("method"), request.headers.get("MCP-Session-Id")
        if method == "initialize":
            session = f"s-{len(self.sessions) + len(self.ended) + 1}"
            self.sessions.add(session)
            return {"protocolVersion": LEGACY, "capabilities": {"tools": {"listChanged": True}}, "serverInfo": {"name": "fake", "version": "1"}, "_session": session}
        if not session:
            raise Refused(400, -32000, "Bad Request: no session")
        if session not in self.sessions:
            raise Refused(404, -32001, "Session not found")
        if request.headers.get("MCP-Protocol-Version") != LEGACY:
            raise Refused(400, -32000, "Bad Request: wrong protocol version")
        if "id" not in message or "method" not in message:
            if method == "notifications/cancelled":
                self.cancelled.append(message["params"]["requestId"])
            return web.Response(status=202)
        if method == "tools/list":
            return self._page(message.get("params", {}))
        if method == "tools/call":
            return await self._call(request, message)
        raise Refused(200, -32601, "Method not found")

    # --- what goes out ---------------------------------------------------------------------------------------

    def _page(self, params):
        begin = int(params.get("cursor", 0))
        end = begin + self.page_size
        return {"tools": self.tools[begin:end], **({"nextCursor": str(end)} if end < len(self.tools) else {})}

    async def _call(self, request, message):
        params = message["params"]
        name, arguments = params["name"], params.get("arguments", {})
        self.calls.append((name, arguments))
        if self.fault:
            return await self.fault(self, request, message)
        if name == "ask_me":
            return {"resultType": "input_required", "inputRequests": {"who": {"method": "elicitation/create", "params": {}}}, "requestState": "x"}
        if name == "streams":
            return await self.stream(request, [{"method": "notifications/progress", "params": {"progress": 1}}, "not json",
                                               {"id": "srv-1", "method": "roots/list"}, {"id": message["id"] + 1000, "result": {}},
                                               {"id": message["id"], "result": text("after much ado")}])
        if name == "echo":
            return text(arguments.get("say", ""))
        return text(f"{name} {json.dumps(arguments, sort_keys=True)}")

    async def stream(self, request, messages, end=True):
        """An answer as events."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": hello\n\nid: 1\ndata:\n\n")
        for m in messages:
            data = m if isinstance(m, str) else json.dumps({"jsonrpc": "2.0", **m})
            await response.write(f"event: message\ndata: {data}\n\n".encode())
        if not end:
            await asyncio.sleep(3600)
        await response.write_eof()
        return response


    async def events(self, request, *lines, clean=True):
        """Raw lines of a stream that ends there, or breaks off."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write("\n".join(lines).encode())
        if clean:
            await response.write_eof()
            return response
        await asyncio.sleep(0.1)  # else they are lost with the connection
        return cut(request)


# --- faults: what a call meets ---------------------------------------------------------------------------------------

async def never_answers(fake, request, message):
    while request.transport and not request.transport.is_closing():
        await asyncio.sleep(0.02)
    fake.cancelled.append(message["id"])
    cut(request)


async def crashes(fake, request, message):
    cut(request)


async def is_huge(fake, request, message):
    return text("x" * (3 << 20))


async def is_long(fake, request, message):
    return text("0123456789" * 10000)


async def talks_html(fake, request, message):
    return web.Response(status=200, text="<html>", content_type="text/html")


async def answers_another(fake, request, message):
    return web.json_response({"jsonrpc": "2.0", "id": message["id"] + 1, "result": text("not yours")})


async def accepts_only(fake, request, message):
    return web.Response(status=202)


async def is_busy(fake, request, message):
    return web.Response(status=503)


async def wants_login(fake, request, message):
    return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})


async def sends_away(fake, request, message):
    return web.Response(status=307, headers={"Location": "http://169.254.169.254/latest/meta-data/"})


async def breaks_off(fake, request, message):
    return await fake.stream(request, [{"method": "notifications/progress", "params": {"progress": 1}}])


def event(name, message):
    return f"id: {name}\ndata: {json.dumps({'jsonrpc': '2.0', **message})}\n\n"


def breaks_twice(clean):
    """Behind a note, and in the middle of the answer: it is all there once more, for who goes on behind the note."""
    async def fault(fake, request, message):
        answer = event("e2", {"id": message["id"], "result": text("after two breaks")})
        half = answer[:len(answer) // 2]
        times = []

        async def rest(again):
            times.append(again)
            return await fake.events(again, half if len(times) == 1 else answer, clean=clean)
        fake.rest = {"e1": rest}
        return await fake.events(request, "retry: 60", event("e1", {"method": "notifications/progress", "params": {"progress": 1}}), clean=clean)
    return fault


async def forgets_the_rest(fake, request, message):
    return await fake.events(request, "retry: 60", event("e1", {"method": "notifications/progress", "params": {"progress": 1}}))


def forgets_the_session(status):
    """There is nothing more to be had, and no reason to make the call again."""
    async def fault(fake, request, message):
        async def rest(again):
            return web.Response(status=status)
        fake.rest = {"e1": rest}
        return await fake.events(request, "retry: 60", event("e1", {"method": "notifications/progress", "params": {"progress": 1}}))
    return fault


async def breaks_on_and_on(fake, request, message):
    async def rest(again):
        return await fake.events(again, event("e1", {"method": "notifications/progress", "params": {"progress": 1}}))
    fake.rest = {"e1": rest}
    return await rest(request)


async def breaks_without_an_id(fake, request, message):
    return await fake.events(request, "data:", "")


async def stays_open(fake, request, message):
    return await fake.stream(request, [{"id": message["id"], "result": text("here, and more to come")}], end=False)
