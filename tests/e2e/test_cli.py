"""The command line over the admin API: what it sends, what it prints, how it ends."""
import json
import os
import pty
import re
import shlex
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from harness.admin import admin_gateway, key_make
from harness.gateway import BINARY

WELL, REFUSED, WRONG, UNREACHED = range(4)


class Cli:
    """The program as somebody uses it who is elsewhere, with a key, or on the gateway's machine, with its configuration."""

    def __init__(self, gateway, key=None):
        self.gateway = gateway
        self.env = {"PARLEY_URL": gateway.url, "PARLEY_KEY": key} if key else {}
        self.more = [] if key else ["--config", gateway.write_conf()]

    def __call__(self, *words, stdin="", cwd=None, **env):
        return subprocess.run([BINARY, *self.more, *words], env=self.gateway.environment({"TZ": "UTC", **self.env, **env}), text=True,
                              input=stdin, capture_output=True, timeout=60, cwd=cwd)

    def well(self, *words, **more):
        """What it prints, when it ends well."""
        done = self(*words, **more)
        assert done.returncode == WELL, done
        return done.stdout

    def json(self, *words, **more):
        return json.loads(self.well(*words, "--json", **more))

    def ends(self, status, *words, **more):
        """What it complains about."""
        done = self(*words, **more)
        assert (done.returncode, done.stdout) == (status, ""), done
        return done.stderr


@pytest.fixture(scope="module")
def gateway(shared_world):
    return admin_gateway(shared_world).start()


@pytest.fixture
def local(gateway):
    return Cli(gateway)


@pytest.fixture
def remote(shared_world, gateway):
    return Cli(gateway, key_make(shared_world))


def keys_of_the_cli(world):
    return world.sql("SELECT name FROM api_keys WHERE name LIKE 'cli %%'")


def test_the_first_key_is_made_with_the_configuration(shared_world, gateway, local):
    done = local("keys", "create", "bot", "--role", "admin")
    assert done.returncode == WELL, done
    key = re.search(r"^key: +(parley_\S+)$", done.stdout, re.M)[1]
    assert "shown this once" in done.stderr and key not in done.stderr
    assert keys_of_the_cli(shared_world) == []
    line = Cli(gateway, key).json("audit", "list")["items"][0]
    assert line["actor"].startswith("cli ") and "@" in line["actor"] and line["new_values"]["name"] == "bot"
    # Also when the gateway says no; and what another one left behind when it was killed goes with the next.
    key_make(shared_world, name="cli somebody@elsewhere", metadata='{"made_by": "the command line"}', expires_at="2001-01-01")
    assert "no such thing" in local.ends(REFUSED, "keys", "get", "nobody")
    assert keys_of_the_cli(shared_world) == []


def test_a_key_of_the_command_line_works_for_a_minute(shared_world, local):
    row = next(row for row in local.json("keys", "list")["items"] if row["name"].startswith("cli "))
    assert row["metadata"] == {"made_by": "the command line"} and row["expires_at"]
    lives = shared_world.sql("SELECT %s::timestamptz - %s::timestamptz <= interval '1 minute'", row["expires_at"], row["created_at"])
    assert lives == [(True,)]


def test_remote_use(shared_world, gateway, remote, tmp_path):
    key = remote.env["PARLEY_KEY"]
    (tmp_path / "key").write_text(key + "\n")
    file = str(tmp_path / "key")
    assert remote.well("--url", gateway.url, "keys", "list", "--key-file", file, PARLEY_KEY="wrong", PARLEY_URL="http://127.0.0.1:1")
    assert "no such key" in remote.ends(REFUSED, "keys", "list", PARLEY_KEY="parley_00112233_" + "0" * 64)
    nobody = key_make(shared_world, permissions=["flags:read"])
    assert "it needs the scope keys:read" in remote.ends(REFUSED, "keys", "list", PARLEY_KEY=nobody)
    without = Cli(gateway, "x")
    del without.env["PARLEY_KEY"]
    assert "PARLEY_KEY or --key-file" in without.ends(WRONG, "keys", "list")
    assert json.loads(without.well("openapi", "get"))["openapi"] == "3.1.0"  # everybody may
    assert "no spaces" in without.ends(WRONG, "keys", "list", PARLEY_KEY="two words")
    assert "holds no key" in without.ends(WRONG, "keys", "list", "--key-file", "/dev/null")
    assert "No such file" in without.ends(WRONG, "keys", "list", "--key-file", str(tmp_path / "none"))


def test_arguments_of_every_kind(remote, tmp_path):
    (tmp_path / "metadata").write_text('{"of": "a file"}\n')
    made = remote.json("keys", "create", "--role=service", "bot", "--permissions", "flags:read,keys:read", "--permissions", '["audit:read"]',
                       "--metadata", f"@{tmp_path}/metadata", "--rate-limit-override", "7", "--expires-at", "2999-01-01T00:00:00Z")
    assert made["permissions"] == ["flags:read", "keys:read", "audit:read"] and made["metadata"] == {"of": "a file"}
    assert (made["name"], made["role"], made["rate_limit_override"]) == ("bot", "service", 7)
    change = ["keys", "change", made["prefix"]]
    assert remote.json(*change, "--rate-limit-override", "null", "--name", "@@at")["rate_limit_override"] is None
    assert remote.json(*change, "--name", "-", stdin="über die Röhre\n")["name"] == "über die Röhre"
    assert remote.json(*change, "--metadata", "{}", "--if-match", "3")["version"] == 4
    assert "it is at version 4" in remote.ends(REFUSED, *change, "--name", "late", "--if-match", "3")
    assert remote.json("key", "get", made["id"])["name"] == "über die Röhre"
    assert '"--dashed"' in remote.well("--json", "keys", "create", "--", "--dashed", "user")
    once = ["keys", "create", "once", "user", "--idempotency-key", "a"]
    assert remote.json(*once) == remote.json(*once)
    assert remote("keys", "get", "a b/ü?&#").returncode == REFUSED  # one name, not an address of its own


WRONG_LINES = [
    (["keys", "create"], "name is missing"),
    (["keys", "create", "x"], "role is missing"),
    (["keys", "create", "x", "user", "y"], "one word too many: y"),
    (["keys", "create", "x", "user", "--nmae", "y"], "no such option: --nmae"),
    (["keys", "create", "x", "user", "--limit", "1"], "no such option: --limit"),
    (["keys", "create", "x", "user", "--name", "y"], "one word too many: user"),
    (["keys", "create", "x", "user", "--rate-limit-override", "many"], "--rate-limit-override: a whole number"),
    (["keys", "create", "x", "user", "--metadata", "[]"], "--metadata: a JSON object"),
    (["keys", "create", "x", "user", "--metadata", "{"], "--metadata: a JSON object"),
    (["keys", "create", "x", "user", "--metadata", "@/nowhere"], "/nowhere: No such file"),
    (["keys", "create", "x", "user", "--permissions", "[1"], "no JSON"),
    (["keys", "create", "x", "user", "--user-id"], "--user-id needs a value"),
    (["keys", "create", "x", "user", "--expires-at", "a", "--expires-at", "b"], "twice"),
    (["keys", "get", ".."], "cannot stand in an address"),
    (["keys", "get", ""], "cannot stand in an address"),
    (["keys", "list", "--json=yes"], "--json takes no value"),
    (["keys"], "what shall be done with keys?"),
    (["keys", "lst"], "keys lst is no command"),
]


def test_wrong_command_lines_are_named_and_nothing_is_asked(tmp_path):
    for words, text in WRONG_LINES:
        done = subprocess.run([BINARY, *words], env={"PARLEY_URL": "http://127.0.0.1:1", "PARLEY_KEY": "x"}, text=True, capture_output=True)
        assert (done.returncode, done.stdout) == (WRONG, ""), (words, done)
        assert text in done.stderr and "usage: parley" in done.stderr, (words, done.stderr)
    done = subprocess.run([BINARY, "keys", "list"], env={}, cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == WRONG and "--config" in done.stderr and "PARLEY_URL" in done.stderr


def test_what_the_configuration_lacks_is_named(world):
    cli = Cli(world.gateway(telegram=None))
    assert "admin.secret is not set" in cli.ends(WRONG, "keys", "list")
    cli.more = ["--config", "/no_such.conf"]
    assert "no_such.conf" in cli.ends(WRONG, "keys", "list")
    gateway = admin_gateway(world)
    del gateway.env["ADMIN_SECRET"]
    assert "ADMIN_SECRET" in Cli(gateway).ends(WRONG, "keys", "list")


def test_the_default_configuration_is_that_of_scripts_run(gateway, local, tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var/parley.conf").write_text(gateway.conf_path.read_text())
    local.more = []
    assert local.well("keys", "list", cwd=tmp_path)
    done = subprocess.run([BINARY, "check"], env=gateway.environment(), cwd=tmp_path, text=True, capture_output=True)
    assert "configuration        var/parley.conf" in done.stdout, done


def test_a_gateway_that_is_not_there(world):
    gateway = admin_gateway(world)  # not started
    assert "onnect" in Cli(gateway).ends(UNREACHED, "keys", "list")
    assert keys_of_the_cli(world) == []
    gateway.settings["postgres"] = {"url": "postgresql://parley@127.0.0.1:1/x", "connect_timeout": "1s", "statement_timeout": "1s"}
    assert "postgres" in Cli(gateway).ends(UNREACHED, "keys", "list")


@pytest.fixture
def stranger():
    """A server that is no gateway, or one of another time: answers what `answers` says."""
    class Handler(BaseHTTPRequestHandler):
        answers = {}

        def do_GET(self):
            status, kind, body = self.answers[self.path.split("?")[0]]
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Handler.answers, {"PARLEY_URL": f"http://127.0.0.1:{server.server_port}", "PARLEY_KEY": "x"}
    server.shutdown()


def test_what_answers_is_no_gateway(stranger):
    answers, env = stranger
    for status, body in (200, b"<html>"), (404, b"<html>"), (502, b'{"detail"'), (302, b""), (500, b"{}"), (500, b"[1]"):
        answers["/admin/v1/keys"] = status, "text/html", body
        done = subprocess.run([BINARY, "keys", "list"], env=env, text=True, capture_output=True)
        assert done.returncode == UNREACHED and "no gateway" in done.stderr, (status, body, done)


def test_an_answer_without_anything(stranger):
    answers, env = stranger
    answers["/admin/v1/keys/one"] = 204, "text/plain", b""
    for words, printed in ([], "done\n"), (["--json"], ""):
        done = subprocess.run([BINARY, "keys", "get", "one", *words], env=env, text=True, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (WELL, printed, "")


ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m\r\u202etxt.exe\x7f\n\U000e0041"


def test_nothing_that_a_terminal_obeys_gets_through(stranger):
    answers, env = stranger
    row = {"prefix": ESCAPES, "name": ESCAPES, "role": ESCAPES, "is_active": True, "permissions": [ESCAPES], ESCAPES: {"a": ESCAPES}}
    page = json.dumps({"items": [row], "next": ESCAPES}, ensure_ascii=False).encode()
    answers["/admin/v1/keys"] = 200, "application/json", page
    answers["/admin/v1/keys/one"] = 200, "application/json", json.dumps(row, ensure_ascii=False).encode()
    answers["/admin/v1/keys/none"] = 404, "application/problem+json", json.dumps({"detail": ESCAPES, "field": "x" + ESCAPES}).encode()
    answers["/admin/v1/openapi.json"] = 200, "application/json", page
    for words in (["keys", "list"], ["keys", "list", "--json"], ["keys", "get", "one"], ["keys", "get", "none"], ["keys", "get", "one", "--json"],
                  ["openapi", "get"], ["keys", ESCAPES], ["keys", "list", ESCAPES], ["keys", "list", "--" + ESCAPES]):
        done = subprocess.run([BINARY, *words], env=env, capture_output=True)
        text = (done.stdout + done.stderr).decode()
        assert not set(text) & set(ESCAPES.replace("\n", "")) - set("]0;title[2J31mtxt.exe"), (words, text)
        if "--json" in words and "list" in words:
            assert json.loads(done.stdout) == json.loads(page)


def test_tables(remote):
    made = [remote.json("keys", "create", name, "user") for name in ("x" * 150, "wide 漢字", "short")]
    table = remote.well("keys", "list").splitlines()
    assert table[0].split() == ["PREFIX", "NAME", "ROLE", "IS_ACTIVE"]
    lines = [next(line for line in table if line.startswith(key["prefix"])) for key in made]
    at = table[0].index("ROLE")
    assert "x" * 150 in lines[0] and lines[0][at:at + 4] == "user"
    assert lines[1][at - 2:at + 2] == "user"  # two characters before it are two columns wide each


def test_pages(remote):
    for n in range(3):
        remote.well("keys", "create", f"key {n}", "user")
    whole = [row["id"] for row in remote.json("keys", "list", "--limit", "200")["items"]]
    page = remote.json("keys", "list", "--limit", "2")
    assert [row["id"] for row in page["items"]] == whole[:2] and page["next"]
    assert f"--after {page['next']}" in remote("keys", "list", "--limit", "2").stderr
    after = remote.json("keys", "list", "--after", page["next"])
    assert [row["id"] for row in after["items"]] == whole[2:]
    lines = remote.well("keys", "list", "--limit", "3", "--all", "--json").splitlines()
    assert [json.loads(line)["id"] for line in lines] == whole
    assert len(remote.well("keys", "list", "--limit", "3", "--all").splitlines()) == len(whole) + 1
    local = Cli(remote.gateway)  # whose key is made to last with each page
    assert len(local.well("keys", "list", "--limit", "3", "--all", "--json").splitlines()) == len(whole) + 1
    assert "limit: a number from 1 to 200" in remote.ends(REFUSED, "keys", "list", "--limit", "1&is_active=x")
    nothing = remote("audit", "list", "--event-type", "nothing")
    assert (nothing.stdout, nothing.stderr) == ("", "none\n")
    uses = remote.well("keys", "uses", whole[0]).splitlines()
    assert uses[0].split()[:3] == ["ID", "CREATED_AT", "ACTION"]
    assert re.match(r" *\d+  \d{4}-\d\d-\d\d \d\d:\d\d  ", uses[1])


def test_nobody_reads_on(remote):
    """`parley ... | head`: it ends, and asks no further."""
    remote.well("keys", "create", "something to read", "user")
    reader, writer = os.pipe()
    os.close(reader)
    command = [BINARY, "audit", "list", "--limit", "1", "--all"]
    done = subprocess.run(command, env=remote.gateway.environment(remote.env), stdout=writer, stderr=subprocess.PIPE, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (REFUSED, b"")
    full = subprocess.run(command, env=remote.gateway.environment(remote.env), stdout=open("/dev/full", "wb"), stderr=subprocess.PIPE, timeout=60)
    assert full.returncode == REFUSED and b"cannot be written" in full.stderr


def test_one_object(remote):
    made = remote.json("keys", "create", "lines", "user", "--metadata", '{"text": "a"}')
    remote.well("keys", "change", made["id"], "--name", "one\ntwo")
    shown = remote.well("keys", "get", made["id"])
    assert re.search(r"^name: +one\n {21}two$", shown, re.M), shown
    assert re.search(r"^created_at: +\d{4}-\d\d-\d\d \d\d:\d\d \(\d+ s ago\)$", shown, re.M)
    assert re.search(r"^is_active: +yes$", shown, re.M) and re.search(r"^user_id: +-$", shown, re.M)
    assert re.search(r'^metadata: +\{"text":"a"\}$', shown, re.M)


def test_a_terminal_cuts_what_is_too_wide(remote):
    made = remote.json("keys", "create", "漢" * 60, "user")
    master, slave = pty.openpty()
    subprocess.run(["stty", "cols", "60"], stdin=slave, check=True)
    env = remote.gateway.environment({**remote.env})
    subprocess.run([BINARY, "keys", "list"], stdout=slave, stderr=slave, env=env, check=True)
    os.close(slave)
    text = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        text += piece
        if not piece:
            break
    os.close(master)
    lines = text.decode().splitlines()
    line = next(line for line in lines if line.startswith(made["prefix"]))
    assert "漢…" in line and line.endswith("yes")
    assert all(len(line) + line.count("漢") <= 60 for line in lines)


def test_the_address_of_a_certificate(world, tmp_path):
    """Where a gateway has one, its public name is asked, and the certificate must be for it."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    gateway = admin_gateway(world, http={"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")},
                            client={"ca_file": str(tmp_path / "cert.pem")})
    assert "http.public_url" in Cli(gateway).ends(WRONG, "keys", "list")
    gateway.settings["http"]["public_url"] = f"https://localhost:{gateway.port}/"
    gateway.spawn()
    gateway.wait_log("listening|serving|ready")
    assert Cli(gateway).json("keys", "list")["items"]
    gateway.settings["client"] = {}
    assert "ertificate" in Cli(gateway).ends(UNREACHED, "keys", "list")


def test_help():
    def said(*words):
        return subprocess.run([BINARY, *words], text=True, capture_output=True, check=True).stdout
    assert re.search(r"^  keys +list, .*create", said("help"), re.M)
    assert said("keys", "--help") == said("help", "keys") and "keys revoke" in said("keys", "--help")
    here, there = (set(re.findall(r"^  (\w+) ", part, re.M)) for part in said("help").split("The admin API"))
    assert here & there == {"openapi", "tools"}
    ours, theirs = (set(re.findall(r"[a-z]+", re.search(r"^  tools +(.*)", part, re.M).group(1).split(":")[0])) for part in said("help").split("The admin API"))
    assert not ours & theirs  # no command means two things
    create = said("keys", "create", "--help")
    assert create.startswith("usage: parley keys create NAME ROLE [--permissions TEXT,...]")
    assert "ROLE admin|manager|user|service" in create and "--limit" not in create
    assert "--limit" in said("keys", "list", "-h") and said("help", "key", "list") == said("keys", "list", "--help")


# --- completion, by the shells themselves -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs a script in a folder with the files "one.conf" and "two words"; `parley` is a command there."""
    folder = tmp_path_factory.mktemp("shell")
    (folder / "bin").mkdir()
    (folder / "bin/parley").symlink_to(os.path.abspath(BINARY))
    for name in ("one.conf", "two words"):
        (folder / name).touch()
    env = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder), "TERM": "dumb"}

    def run(*command):
        done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, timeout=60)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout.splitlines()
    return run


# What is typed, and what the shell then offers.
TYPED = [
    (["keys", "cr"], ["create"]),
    (["keys", "create", "bot", "ma"], ["manager"]),
    (["keys", "create", "--role", "a"], ["admin"]),
    (["key", "list", "--al"], ["--all"]),
    (["--config", "one"], ["one.conf"]),
    (["keys", "create", "--metadata", "@one"], ["@one.conf"]),
    (["completion", ""], ["bash", "zsh", "fish"]),
    (["keys", "create", "nothing", "x"], []),
]


def test_bash_completes(shell):
    script = """eval "$(parley completion bash)"; complete -p parley
        ask() { COMP_WORDS=(parley "$@"); COMP_CWORD=$#; _parley; printf '%s|' "${COMPREPLY[@]}"; echo; }
        """
    typed = [*TYPED, (["keys", "create", "--role", "=", "ad"], ["admin"]), (["keys", "create", "--role", "="], ["admin", "manager", "user", "service"]),
             (["--config", "two"], ["two words"])]
    said = shell("bash", "--norc", "-c", script + "\n".join(f"ask {shlex.join(words)}" for words, _ in typed))
    assert said[0] == "complete -F _parley parley"
    assert [[word for word in line.split("|") if word] for line in said[1:]] == [offered for _, offered in typed]


def test_fish_completes(shell):
    lines = "\n".join(f"complete -C {shlex.quote('parley ' + ' '.join(words))}; echo ." for words, _ in TYPED)
    said = "\n".join(shell("fish", "--no-config", "-c", "parley completion fish | source\n" + lines)).split("\n.")
    for (words, offered), answer in zip(TYPED, said):
        assert sorted(line.split("\t")[0] for line in answer.split("\n") if line) == sorted(offered), words


def test_zsh_completes(shell):
    """Its own functions stand in a line editor; what they are called with is what they would offer."""
    script = """compdef() { echo compdef $*; }
        eval "$(parley completion zsh)"
        _describe() { local name=$2 one; for one in ${(P)name}; do printf '%s|' "${${one%%:*}}"; done; }
        compset() { at=@; }
        _files() { printf ':files|'; }
        ask() { words=(parley "$@"); CURRENT=$#words; _parley; echo; }
        """
    typed = [(words, [":files"] if any("one" in word for word in offered) else offered) for words, offered in TYPED]
    said = shell("zsh", "-f", "-c", script + "\n".join(f"ask {shlex.join(words)}" for words, _ in typed))
    assert said[0] == "compdef _parley parley"
    assert [[word for word in line.split("|") if word] for line in said[1:]] == [offered for _, offered in typed]


def test_completion_of_no_shell():
    done = subprocess.run([BINARY, "completion", "tcsh"], text=True, capture_output=True)
    assert done.returncode == WRONG and "bash|zsh|fish" in done.stderr
