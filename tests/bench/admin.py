"""The admin API in scripts/bench: what a page takes at a million messages, and a webhook beside a turn."""
import hashlib
import hmac
import http.client
import json
import secrets
import subprocess
import sys
import time
import urllib.parse
import uuid

from machine import ROOT

sys.path.append(str(ROOT / "tests"))
from fakes import past  # noqa: E402

PEOPLE, CONVERSATIONS, REQUESTS, LINES, DAYS = 20_000, 50_000, 500_000, 10_000, 50
MOST, LEAST, LONG_S = 200, 30, 0.6  # questions of a kind: MOST, or as many as LONG_S has time for, but LEAST
ADMIN = 'admin = { secret = "env:BENCH_SECRET"; rate_per_minute = 0; };'
PLACES = 64


def key_make(bench, secret):
    """As `parley keys create` makes them: the database has an HMAC of it."""
    prefix = secrets.token_hex(4)
    text = f"parley_{prefix}_{secrets.token_hex(32)}"
    code = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    bench.psql(f"""INSERT INTO api_keys (id, key_hash, key_prefix, name, role, permissions)
                   VALUES ('{uuid.uuid4()}', '{code}', '{prefix}', 'bench', 'admin', '["*"]')""")
    return text


class Client:
    """One connection that is kept."""

    def __init__(self, port, key):
        self._http = http.client.HTTPConnection("127.0.0.1", port)
        self._key = key

    def ask(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self._key}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._http.request(method, "/admin/v1" + path, json.dumps(body) if body is not None else None, headers)
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text)


def percentiles(seconds):
    ms = sorted(s * 1000 for s in seconds)
    return {"n": len(ms), "p50_ms": ms[(len(ms) - 1) // 2], "p99_ms": ms[int((len(ms) - 1) * 0.99)]}


# ---- pages ----

def fill(bench, url):
    """A database of its own. Constraints hold as it is written; the index of words is made at the end, which is faster."""
    words = "CREATE INDEX messages_search ON messages USING gin (to_tsvector('simple', content))"
    steps = ["DROP INDEX messages_search", *past.statements(PEOPLE, CONVERSATIONS, REQUESTS, DAYS), words, *past.admin_statements(LINES),
             "VACUUM (ANALYZE)"]
    psql = subprocess.Popen(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                            env=dict(bench.env, PGOPTIONS="-c client_min_messages=warning"))
    psql.stdin.write("SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB';\n")
    for n, step in enumerate(steps, 1):
        if "audit(" in step:
            psql.stdin.write("SET session_replication_role = origin;\n")  # its trigger makes the chain
        psql.stdin.write(f"{step};\n\\echo done\n")
        psql.stdin.flush()
        while (line := psql.stdout.readline()) != "done\n":
            if not line:
                sys.exit("the database could not be filled")
        print(f"\r  filling a database with {2 * REQUESTS:,} messages: {n} of {len(steps)} ", end="", file=sys.stderr, flush=True)
    psql.stdin.close()
    psql.wait()
    print(file=sys.stderr)


def kinds(bench):
    """What is asked: a name, and a path for each of many questions of it."""
    def ids(table, n=MOST):
        return bench.psql(f"SELECT id FROM {table} TABLESAMPLE SYSTEM (2) ORDER BY random() LIMIT {n}").split()

    def each(path, values):
        return [path + urllib.parse.quote(value) for value in values]

    def deep(path, cursors):
        return each(f"{path}{'&' if '?' in path else '?'}after=", cursors)

    conversations, requests, deliveries, users = ids("conversations"), ids("requests"), ids("deliveries"), ids("users")
    messages = bench.psql(f"SELECT id FROM messages WHERE id >= uuid_v7_floor(now() - interval '{DAYS // 2} days') ORDER BY id LIMIT {MOST}").split()
    key = bench.psql("SELECT id FROM api_keys WHERE name = 'past'").strip()
    return [
        ("conversations.list", ["/conversations"]),
        ("conversations.list, a far page", deep("/conversations", conversations)),
        ("conversations.list of a person", each("/conversations?user_id=", users)),
        ("conversations.list of a seldom channel", [f"/conversations?channel={past.SELDOM}"]),
        ("conversations.messages", [f"/conversations/{c}/messages" for c in conversations]),
        ("messages.search, a seldom word", each("/messages?q=", [past.rare(n * 1000) for n in range(MOST)])),
        ("messages.search, a common word", [f"/messages?q={past.COMMON}"]),
        ("messages.search, a middling word", [f"/messages?q={past.MIDDLING}"]),
        ("messages.search, a common word, a far page", deep(f"/messages?q={past.COMMON}", messages)),
        ("messages.search, two words of which one is seldom", each(f"/messages?q={past.COMMON}+", [past.rare(n * 1000) for n in range(MOST)])),
        ("messages.search, one word in fifty thousand", each("/messages?q=", [str(20_000 + n) for n in range(MOST)])),
        ("messages.search of a person", each(f"/messages?q={past.COMMON}&user_id=", users)),
        ("requests.list", ["/requests"]),
        ("requests.list, a far page", deep("/requests", requests)),
        ("requests.list of a person", each("/requests?user_id=", users)),
        ("requests.list of a conversation", each("/requests?conversation_id=", conversations)),
        ("requests.list of a status", each("/requests?status=", ["queued", "refused", "expired", "answered"])),
        ("requests.list of a seldom channel", [f"/requests?channel={past.SELDOM}"]),
        ("deliveries.list", ["/deliveries"]),
        ("deliveries.list of what arrived, a far page", deep("/deliveries?status=sent", deliveries)),
        ("deliveries.list of what waits", ["/deliveries?status=pending"]),
        ("users.list", ["/users"]),
        ("users.list, a far page", deep("/users", users)),
        ("users.list by a part of a name", each("/users?q=", [f"person1{n}" for n in range(MOST)])),
        ("users.list of a role", each("/users?role=", ["admin", "manager", "service"])),
        ("audit.list", ["/audit"]),
        ("audit.list of a thing", each("/audit?resource_id=thing", map(str, range(MOST)))),
        ("activity.list", ["/activity"]),
        ("keys.uses", [f"/keys/{key}/uses"]),
        ("webhooks.deliveries", ["/webhooks/past/deliveries"]),
        ("flags.list", ["/flags"]),
        ("metrics.summary of a day", ["/metrics/summary?hours=24"]),
    ]


def time_each(client, paths):
    """The first round, which makes plans and reads what is not in memory, is not counted."""
    for path in paths[:5]:
        client.ask("GET", path)
    took, until = [], time.monotonic() + LONG_S
    while len(took) < LEAST or (len(took) < MOST and time.monotonic() < until):
        began = time.monotonic()
        client.ask("GET", paths[len(took) % len(paths)])
        took.append(time.monotonic() - began)
    return percentiles(took)


def measure_pages(bench, secret):
    with bench.another_database("past"):
        fill(bench, bench.pg_url.replace("user=parley", "user=postgres"))
        bench.configure('type = "telegram"; token = "env:BENCH_TOKEN"; mode = "webhook"; secret_token = "env:BENCH_SECRET"; '
                        f'api_url = "http://127.0.0.1:{bench.stub_port}";', more=ADMIN)
        client = Client(bench.gateway_port, key_make(bench, secret))
        bench.gateway_start()
        try:
            return {name: time_each(client, paths) for name, paths in kinds(bench)}
        finally:
            bench.gateway_stop()


def pages_rows(result):
    for name, took in result.items():
        yield f"{name}: p50 / p99", f"{took['p50_ms']:.1f} / {took['p99_ms']:.1f} ms"
    worst = max(result, key=lambda name: result[name]["p99_ms"])
    yield f"the worst p99 of these, at {2 * REQUESTS:,} messages", f"{result[worst]['p99_ms']:.1f} ms: {worst}"


# ---- webhooks ----

def measure_hooks(bench, seconds, secret):
    """The plain turn first: the same places, the same closed loop."""
    turn = bench.phase("closed", PLACES, seconds, more=ADMIN)
    key = key_make(bench, secret)
    bench.gateway_start()
    client = Client(bench.gateway_port, key)
    for n in range(PLACES):
        client.ask("POST", "/hooks", {"name": f"place{n}", "kind": "key", "channel": "bench", "place": str(1000 + n), "mode": "say",
                                      "template": "**{{ who }}** says: {{ what }}"})
    bench.gateway_stop()
    return {"turn": turn, "hook": bench.phase("hooks", PLACES, seconds, path="/hooks/place", secret=key, more=ADMIN)}


def hooks_rows(result):
    turn, hook = result["turn"], result["hook"]
    yield "webhook in to message out: messages/s, the plain turn's", f"{hook['per_s']:.0f}, {turn['per_s']:.0f}"
    yield "p50 / p99, the plain turn's", f"{hook['p50_ms']:.1f} / {hook['p99_ms']:.1f} ms, {turn['p50_ms']:.1f} / {turn['p99_ms']:.1f} ms"
    yield ("CPU of the gateway / PostgreSQL a webhook, a turn",
           ", ".join(f"{run['cpu_ms']['gateway']:.3f} / {run['cpu_ms']['postgres']:.3f} ms" for run in (hook, turn)))
    yield "lost / duplicated / out of order", " / ".join(str(hook[k] + turn[k]) for k in ("lost", "duplicated", "out_of_order"))
