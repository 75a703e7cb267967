"""Tools by the Model Context Protocol, through `parley tools`: against the protocol's official SDK, an independent mock,
and fakes of both eras that misbehave to order."""
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from fakes import mcp
from fakes.mcp import FakeMcp, tool
from fakes.ports import free_port
from harness.gateway import Gateway
from harness.peer import MODULES
from harness.servers import ROOT
from harness.wait import wait_until

FAKES = ROOT / "tests/fakes"
PYTHON = sys.executable


class Bench:
    """`parley tools` with one configuration."""

    def __init__(self, folder, *servers, **section):
        self.gateway = Gateway(folder / "parley", {"tools": list(servers), "log": {"level": "debug"}, **({"mcp": section} if section else {})})
        self.log = ""

    def run(self, *arguments, **env):
        begin = time.monotonic()
        done = self.gateway.run("tools", *arguments, **env)
        self.seconds = time.monotonic() - begin
        self.log = done.stderr
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr[-4000:]
        return done

    def list(self, *arguments, **env):
        done = self.run("list", *arguments, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def names(self, *arguments):
        return [line.split()[0] for line in self.list(*arguments).splitlines() if "__" in line and not line.startswith(" ")]

    def call(self, name, arguments=None, **env):
        """(did it go well, the text without its fence)."""
        done = self.run("call", name, json.dumps(arguments or {}), **env)
        lines = done.stdout.rstrip("\n").split("\n")
        if lines[0].startswith("<tool_result"):
            assert lines[0] == f'<tool_result name="{name}" trust="none">' and lines[-1] == "</tool_result>"
            lines = lines[1:-1]
        assert done.returncode in (0, 1), done.stderr[-4000:]
        return done.returncode == 0, "\n".join(lines)

    def refused(self):
        """Why the configuration is."""
        done = self.run("list")
        assert done.returncode == 2, done
        return done.stderr


@pytest.fixture
def fake():
    one = FakeMcp().start()
    yield one
    one.stop()


@pytest.fixture
def legacy():
    one = FakeMcp(sessions=True).start()
    yield one
    one.stop()


def by_http(tmp_path, fake, **more):
    return Bench(tmp_path, {"name": "srv", "url": fake.address, "timeout": "5s", **more})


# --- the official SDK ----------------------------------------------------------------------------------------------

SDK_TOOLS = ["sdk__add", "sdk__fail", "sdk__weather_get", "sdk__picture", "sdk__environment", "sdk__slow", "sdk__grow"]


@pytest.fixture(params=["http", "json", "sse"])
def sdk_http(request):
    process = subprocess.Popen(["node", str(FAKES / "mcp_sdk.mjs"), str(MODULES), request.param], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}/{'sse' if request.param == 'sse' else 'mcp'}"
    process.stdin.close()
    process.wait(10)


@pytest.fixture
def sdk_stdio(tmp_path):
    return Bench(tmp_path, {"name": "sdk", "command": ["node", str(FAKES / "mcp_sdk.mjs"), str(MODULES), "stdio"], "env": ["GIVEN=1", "HANDED_ON"]})


def get(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


def expect_sdk(bench):
    assert bench.names() == SDK_TOOLS
    assert bench.call("sdk__add", {"a": 1, "b": 41}) == (True, "42")
    assert bench.call("sdk__weather_get", {"city": "Bonn"}) == (True, "It is warm in Bonn.")
    assert bench.call("sdk__picture") == (True, "[picture image/png, 8 bytes, not shown]")
    assert bench.call("sdk__slow") == (True, "done")
    assert bench.call("sdk__fail") == (False, "it cannot be done")
    good, answer = bench.call("sdk__add", {"a": "x"})
    assert not good and "Invalid arguments for tool add" in answer


def test_the_sdk_over_http(sdk_http, tmp_path):
    bench = Bench(tmp_path, {"name": "sdk", "url": sdk_http})
    expect_sdk(bench)
    wait_until(lambda: get(f"{sdk_http.rsplit('/', 1)[0]}/sessions") == "0", what="each session was ended")


def test_the_sdk_as_a_program(sdk_stdio):
    expect_sdk(sdk_stdio)
    assert sdk_stdio.call("sdk__environment", HANDED_ON="x", NOT_HANDED_ON="secret", LANG="C.UTF-8") == (True, "GIVEN HANDED_ON HOME LANG PATH")
    assert "the SDK's server begins" in sdk_stdio.log, "standard error goes to the debug log"


def test_the_sdk_within_limits(tmp_path):
    """Node reserves much, and uses less."""
    command = ["node", str(FAKES / "mcp_sdk.mjs"), str(MODULES), "stdio"]
    bench = Bench(tmp_path, {"name": "sdk", "command": command, "memory_max": "512MB", "cpu_max": "60s", "processes_max": 4000})
    assert bench.call("sdk__add", {"a": 1, "b": 41}) == (True, "42")


def test_the_sdk_where_it_is_told(tmp_path):
    """A relative path is found from there, and nowhere else."""
    server = {"name": "sdk", "command": ["node", "mcp_sdk.mjs", str(MODULES), "stdio"]}
    assert Bench(tmp_path, {**server, "directory": str(FAKES)}).call("sdk__add", {"a": 1, "b": 41}) == (True, "42")
    assert not Bench(tmp_path, server).call("sdk__add", {"a": 1, "b": 41})[0]


# --- an independent mock -------------------------------------------------------------------------------------------

def test_aimock(tmp_path):
    port = free_port()
    tools = [{"name": "ping", "description": "Says pong.", "inputSchema": {"type": "object", "properties": {}}, "result": "pong"}]
    (tmp_path / "aimock.json").write_text(json.dumps({"port": port, "mcp": {"tools": tools}}))
    process = subprocess.Popen([str(MODULES / ".bin/aimock"), "--config", str(tmp_path / "aimock.json")], stdout=subprocess.DEVNULL)
    try:
        def up():
            try:
                return get(f"http://127.0.0.1:{port}/health")
            except OSError:
                return None
        wait_until(up)
        bench = Bench(tmp_path, {"name": "mock", "url": f"http://127.0.0.1:{port}/mcp"})
        assert "version 2025-03-26" in bench.list()
        assert bench.names() == ["mock__ping"]
        assert bench.call("mock__ping") == (True, "pong")
    finally:
        process.terminate()
        process.wait(10)


# --- the modern era ------------------------------------------------------------------------------------------------

def test_modern(fake, tmp_path):
    bench = by_http(tmp_path, fake)
    assert "srv: 5 tools, HTTP, version 2026-07-28" in bench.list()
    assert fake.methods() == ["server/discover", "tools/list"], "no handshake"
    assert bench.call("srv__echo", {"say": "Grüße"}) == (True, "Grüße")
    assert not fake.ended, "no session to end"


def test_modern_headers(fake, tmp_path):
    bench = by_http(tmp_path, fake)
    assert bench.call("srv__query_run", {"region": "Zürich ", "rows": 3}) == (True, 'query.run {"region": "Z\\u00fcrich ", "rows": 3}')
    headers = fake.requests[-1][1]
    assert headers["Mcp-Name"] == "query.run" and headers["Mcp-Param-Rows"] == "3"
    assert headers["Mcp-Param-Region"].startswith("=?base64?")
    good, answer = bench.call(next(n for n in bench.names() if n.startswith("srv__gr")))
    assert good and answer.startswith("grüße"), "a name that is not plain ASCII"


def test_modern_pages(fake, tmp_path):
    fake.tools = [tool(f"t{i}") for i in range(7)]
    fake.page_size = 3
    assert by_http(tmp_path, fake).names() == [f"srv__t{i}" for i in range(7)]


def test_modern_asks_for_input(fake, tmp_path):
    good, answer = by_http(tmp_path, fake).call("srv__ask_me")
    assert not good and "asks for input" in answer


def test_modern_streams(fake, tmp_path):
    bench = by_http(tmp_path, fake)
    assert bench.call("srv__streams") == (True, "after much ado")
    fake.fault = mcp.stays_open
    assert bench.call("srv__echo") == (True, "here, and more to come")
    assert bench.seconds < 4, "the answer counts, not the end of the stream"


def test_modern_server_of_another_version(fake, tmp_path):
    fake.versions = ["2099-01-01"]
    assert "Unsupported protocol version" in by_http(tmp_path, fake).list()
    assert fake.methods() == ["server/discover"], "a modern server is not asked in the legacy way"


def test_headers_that_do_not_match_are_mended(fake, tmp_path):
    """The schema changes between list and call: the list is asked for anew, and the call repeated."""
    listed = []

    def lists(params):
        listed.append(len(listed))
        return {"tools": [tool("q", {"type": "object", "properties": {"r": mcp.string(**({"x-mcp-header": "R"} if len(listed) > 1 else {}))}})]}
    fake._page = lists
    fake.tools = [tool("q", {"type": "object", "properties": {"r": mcp.string(**{"x-mcp-header": "R"})}})]
    section = {"enable_mcp_security": False}  # else the changed definition is refused
    bench = Bench(tmp_path, {"name": "srv", "url": fake.address}, **section)
    assert bench.call("srv__q", {"r": "x"}) == (True, 'q {"r": "x"}')
    assert fake.methods() == ["server/discover", "tools/list", "tools/call", "tools/list", "tools/call"]


def test_a_changed_definition_is_refused(fake, tmp_path):
    listed = []

    def lists(params):
        listed.append(len(listed))
        return {"tools": [tool("q", {"type": "object", "properties": {"r": mcp.string(**({"x-mcp-header": "R"} if len(listed) > 1 else {}))}})]}
    fake._page = lists
    fake.tools = [tool("q", {"type": "object", "properties": {"r": mcp.string(**{"x-mcp-header": "R"})}})]
    good, answer = by_http(tmp_path, fake).call("srv__q", {"r": "x"})
    assert not good and "definition changed" in answer
    assert not fake.calls


# --- faults of HTTP servers ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("fault, words", [
    (mcp.crashes, "It may have been carried out all the same"),
    (mcp.is_huge, "larger than"),
    (mcp.talks_html, "bad JSON"),
    (mcp.answers_another, "to another request"),
    (mcp.accepts_only, "answers nothing"),
    (mcp.is_busy, "503"),
    (mcp.wants_login, "401"),
    (mcp.sends_away, "307: it sends us elsewhere"),
    (mcp.breaks_off, "stream ended before the answer"),
], ids=lambda v: getattr(v, "__name__", ""))
def test_faults(fake, tmp_path, fault, words):
    bench = by_http(tmp_path, fake)
    fake.fault = fault
    good, answer = bench.call("srv__echo", {"say": "x"})
    assert not good and answer.startswith("The tool could not be called:") and words in answer, answer
    assert len(fake.calls) == 1, "never made twice"


def test_one_that_never_answers(fake, tmp_path):
    bench = by_http(tmp_path, fake, timeout="500ms")
    fake.fault = mcp.never_answers
    good, answer = bench.call("srv__echo")
    assert not good and "within 500 ms" in answer and bench.seconds < 4
    wait_until(lambda: fake.cancelled, what="the closed connection is noticed")
    assert "notifications/cancelled" not in fake.methods(), "in the modern era, closing says it"


def test_a_long_result_is_cut(fake, tmp_path):
    fake.fault = mcp.is_long
    good, answer = by_http(tmp_path, fake, result_max="1KB").call("srv__echo")
    assert good and answer == ("0123456789" * 103)[:1024] + "\n[cut here: 98976 more bytes]"


def test_nobody_is_there(tmp_path):
    bench = Bench(tmp_path, {"name": "srv", "url": f"http://127.0.0.1:{free_port()}/mcp"})
    assert bench.list().startswith("srv: ")
    good, answer = bench.call("srv__echo")
    assert not good and "could not be called: srv:" in answer


def test_other_servers_do_without(fake, tmp_path):
    bench = Bench(tmp_path, {"name": "gone", "url": f"http://127.0.0.1:{free_port()}/mcp"}, {"name": "srv", "url": fake.address})
    assert bench.names()[0] == "srv__echo"


def test_bearer_token_and_headers(fake, tmp_path):
    bench = by_http(tmp_path, fake, token="env:TOOL_TOKEN", headers=["X-Team: blue"])
    assert bench.call("srv__echo", {"say": "x"}, TOOL_TOKEN="tok-0123456789") == (True, "x")
    assert all(h["Authorization"] == "Bearer tok-0123456789" and h["X-Team"] == "blue" for _, h in fake.requests)
    assert "tok-0123456789" not in bench.log


# --- the legacy era ------------------------------------------------------------------------------------------------

def test_legacy(legacy, tmp_path):
    bench = by_http(tmp_path, legacy)
    assert "version 2025-06-18" in bench.list()
    assert legacy.methods() == ["server/discover", "initialize", "notifications/initialized", "tools/list"]
    assert legacy.ended == ["s-1"]
    assert bench.call("srv__streams") == (True, "after much ado")
    assert None in legacy.methods(), "the server's own request was answered"


def test_a_lost_session_is_begun_anew(legacy, tmp_path):
    async def forget(fake, request, message):
        fake.fault = None
        fake.sessions.clear()
        fake.calls.clear()
        raise mcp.Refused(404, -32001, "Session not found")
    legacy.fault = forget
    assert by_http(tmp_path, legacy).call("srv__echo", {"say": "again"}) == (True, "again")
    assert legacy.methods().count("initialize") == 2 and len(legacy.calls) == 1


def test_a_session_that_is_lost_each_time(legacy, tmp_path):
    async def forget(fake, request, message):
        raise mcp.Refused(404, -32001, "Session not found")
    legacy.fault = forget
    good, answer = by_http(tmp_path, legacy).call("srv__echo")
    assert not good and "Session not found" in answer
    assert len(legacy.calls) == 2


def test_legacy_is_told_of_a_cancellation(legacy, tmp_path):
    legacy.fault = mcp.never_answers
    good, _ = by_http(tmp_path, legacy, timeout="500ms").call("srv__echo")
    assert not good
    wait_until(lambda: "notifications/cancelled" in legacy.methods())


@pytest.mark.parametrize("clean", [True, False], ids=["ends", "breaks"])
def test_a_stream_that_breaks_off_is_gone_on_with(legacy, tmp_path, clean):
    legacy.fault = mcp.breaks_twice(clean)
    assert by_http(tmp_path, legacy).call("srv__echo") == (True, "after two breaks")
    assert legacy.resumed == ["e1", "e1"] and len(legacy.calls) == 1, "half an event is none"


@pytest.mark.parametrize("fault, n_resumed", [(mcp.forgets_the_rest, 0), (mcp.forgets_the_session(404), 1), (mcp.forgets_the_session(405), 1),
                                              (mcp.breaks_without_an_id, 0)], ids=["unknown id", "404", "405", "no id"])
def test_a_stream_that_cannot_be_gone_on_with(legacy, tmp_path, fault, n_resumed):
    """404 says of a call that it was not made, but not of the rest of its answer."""
    legacy.fault = fault
    good, answer = by_http(tmp_path, legacy).call("srv__echo")
    assert not good and "stream ended before the answer" in answer and "may have been carried out" in answer, answer
    assert len(legacy.calls) == 1 and len(legacy.resumed) == n_resumed


def test_a_stream_that_breaks_off_for_ever(legacy, tmp_path):
    legacy.fault = mcp.breaks_on_and_on
    bench = by_http(tmp_path, legacy, timeout="2500ms")
    good, answer = bench.call("srv__echo")
    assert not good and "may have been carried out" in answer, answer
    assert 1 <= len(legacy.resumed) <= 2, "a second before each, as nothing else is said"


def test_the_modern_era_does_not_go_on_with_streams(fake, tmp_path):
    fake.fault = mcp.forgets_the_rest
    good, answer = by_http(tmp_path, fake).call("srv__echo")
    assert not good and "may have been carried out" in answer
    assert not fake.resumed and len(fake.calls) == 1


def test_the_sdk_ends_a_stream_and_is_asked_for_the_rest(tmp_path):
    process = subprocess.Popen(["node", str(FAKES / "mcp_sdk.mjs"), str(MODULES), "resume"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        port = json.loads(process.stdout.readline())["port"]
        bench = Bench(tmp_path, {"name": "sdk", "url": f"http://127.0.0.1:{port}/mcp"})
        assert bench.call("sdk__patient") == (True, "worth waiting for")
        assert "going on behind it" in bench.log
    finally:
        process.stdin.close()
        process.wait(10)


# --- programs ------------------------------------------------------------------------------------------------------

def by_stdio(tmp_path, kind, **more):
    command = [PYTHON, str(FAKES / "mcp_stdio.py"), str(tmp_path / "starts"), kind]
    return Bench(tmp_path, {"name": "prog", "command": command, "timeout": "5s", "list_timeout": "1s", **more})


def starts(tmp_path):
    return len((tmp_path / "starts").read_text().split())


@pytest.mark.parametrize("kind, version, n_starts", [("modern", "2026-07-28", 1), ("legacy", "2025-11-25", 1), ("deaf", "2025-11-25", 1), ("frail", "2025-11-25", 2)])
def test_programs_of_each_era(tmp_path, kind, version, n_starts):
    bench = by_stdio(tmp_path, kind, list_timeout="3s")
    assert f"version {version}" in bench.list()
    assert starts(tmp_path) == n_starts


@pytest.mark.parametrize("kind", ["modern", "legacy"])
def test_program_faults(tmp_path, kind):
    bench = by_stdio(tmp_path, kind)
    assert bench.call("prog__echo", {"say": "two\nlines"}) == (True, "two\nlines")
    assert bench.call("prog__garbage") == (True, "after the garbage")
    good, answer = bench.call("prog__die")
    assert not good and "ended with status 7" in answer and "may have been carried out" in answer
    good, answer = bench.call("prog__huge")
    assert not good and "larger than" in answer
    good, answer = bench.call("prog__noise")
    assert good and json.loads(answer) == [["error", "id"], ["id", "result"]]


def test_the_command_is_shown_exactly(tmp_path):
    """What is one word and what is two, what looks like nothing, and no value of a variable."""
    command = [PYTHON, str(FAKES / "mcp_stdio.py"), str(tmp_path / "starts"), "modern", "two words", "it's", "", "$(id)", "a\u202eb"]
    bench = Bench(tmp_path, {"name": "prog", "command": command, "env": ["API_TOKEN", "MODE=hidden"]})
    said = bench.list(API_TOKEN="tok-0123456789")
    runs = f"prog runs {PYTHON} {FAKES}/mcp_stdio.py {tmp_path}/starts modern $'two words' $'it\\'s' $'' $'$(id)' $'a\\xe2\\x80\\xaeb'; its environment: PATH HOME LANG API_TOKEN MODE\n"
    assert runs in said, said
    assert "tok-0123456789" not in said and "hidden" not in said


def test_a_secret_that_a_program_writes_is_not_logged(tmp_path):
    bench = by_stdio(tmp_path, "modern", env=["NOISE_TOKEN"])
    assert bench.call("prog__noise", NOISE_TOKEN="tok-0123456789")[0]
    assert "my token is ***" in bench.log and "tok-0123456789" not in bench.log


def test_a_program_that_hangs(tmp_path):
    bench = by_stdio(tmp_path, "legacy", timeout="500ms")
    good, answer = bench.call("prog__hang")
    assert not good and "in time" in answer
    assert (tmp_path / "starts.cancelled").exists(), "it was told"


def test_no_program_is_left_behind(tmp_path):
    by_stdio(tmp_path, "legacy").list()
    for pid in (tmp_path / "starts").read_text().split():
        wait_until(lambda: not Path(f"/proc/{pid}").exists(), what=f"{pid} has ended")


def test_a_program_that_is_not_there(tmp_path):
    bench = Bench(tmp_path, {"name": "prog", "command": ["/no/such/program"]})
    assert "/no/such/program: cannot be started" in bench.list()


# --- what is configured --------------------------------------------------------------------------------------------

def test_allowed_tools_only(fake, tmp_path):
    bench = by_http(tmp_path, fake, allow=["echo", "query.run"], approve=["echo"], channels=["web"])
    assert bench.names() == ["srv__echo", "srv__query_run"]
    assert "srv__echo (needs approval)" in bench.list() and "srv__query_run (needs" not in bench.list()
    assert bench.names("web") == ["srv__echo", "srv__query_run"]
    assert bench.names("support") == []
    good, answer = bench.call("srv__streams")
    assert not good and "no tool named" in answer
    assert not fake.calls


@pytest.mark.parametrize("server, words", [
    ({"name": "a", "url": "http://tools.example/mcp"}, "plain http"),
    ({"name": "a", "url": "http://127.0.0.1@evil.example/mcp"}, "user or a password"),
    ({"name": "a", "url": "http://10.0.0.1/mcp"}, "plain http"),
    ({"name": "a", "url": "ftp://x/"}, "must begin with https"),
    ({"name": "a", "url": "https:///x"}, "has no host"),
    ({"name": "a"}, "either a url or a command"),
    ({"name": "a", "url": "https://x/", "command": ["node"]}, "either a url or a command"),
    ({"name": "a", "command": ["bash", "-c", "id"]}, "neither an absolute path nor in mcp.commands"),
    ({"name": "a", "command": ["../node"]}, "neither an absolute path"),
    ({"name": "a__b", "url": "https://x/"}, "two in a row"),
    ({"name": "a b", "url": "https://x/"}, "must be 1 to 24"),
    ({"name": "a", "url": "https://x/", "headers": ["nonsense"]}, "Name: value"),
    ({"name": "a", "command": ["node"], "env": ["a b=c"]}, "NAME=value"),
    ({"name": "a", "url": "https://x/", "token": "literal"}, "env:NAME"),
    ({"name": "a", "url": "https://x/", "tymeout": "3s"}, "did you mean timeout"),
], ids=lambda v: v if isinstance(v, str) else "")
def test_bad_configurations(tmp_path, server, words):
    assert words in Bench(tmp_path, server).refused()


def test_names_are_unique(tmp_path):
    assert "another server is named" in Bench(tmp_path, {"name": "a", "url": "https://x/"}, {"name": "A", "url": "https://y/"}).refused()


@pytest.mark.parametrize("address", ["https://169.254.169.254/mcp", "https://10.0.0.1/mcp", "https://[fd00::1]/mcp", "https://[::ffff:10.0.0.1]/mcp",
                                     "https://0.0.0.0:1/mcp", "https://2130706433:1/mcp", "https://name-of-its.localhost:1/mcp"])
def test_private_addresses_are_refused(tmp_path, address):
    """Also a name that leads to one, and a number that is one."""
    bench = Bench(tmp_path, {"name": "srv", "url": address})
    assert "not one that may be asked" in bench.list()
    assert bench.seconds < 4


def test_without_security(fake, tmp_path):
    """Plain http to a name, any program; results as they are."""
    host = f"http://localhost.localdomain:{fake.port}/mcp"
    assert "plain http" in Bench(tmp_path, {"name": "srv", "url": host}).refused()
    bench = Bench(tmp_path, {"name": "srv", "url": fake.address}, {"name": "sh", "command": ["sh", "-c", "cat >/dev/null"], "list_timeout": "300ms"},
                  enable_mcp_security=False)
    done = bench.run("call", "srv__echo", '{"say": "x"}')
    assert done.stdout == "x\n"


def test_the_doctor_looks_after_them(world, fake):
    servers = [{"name": "srv", "url": fake.address}, {"name": "gone", "url": f"http://127.0.0.1:{free_port()}/mcp"},
               {"name": "none", "command": ["/no/such program"]}]
    said = world.gateway(telegram=None, tools=servers).run("check").stdout
    assert "ok    tools                srv: 5 tools, HTTP, version 2026-07-28" in said, said
    assert "warn  tools                gone: " in said
    assert "warn  tools                none: " in said and "ok    tools                none runs $'/no/such program'; its environment: " in said


def test_a_wrong_server_is_refused_at_start(world):
    done = world.gateway(telegram=None, tools=[{"name": "a", "command": ["bash"]}]).run("serve")
    assert done.returncode == 2 and "tools.command" in done.stderr and "parley.conf:" in done.stderr


def test_usage(tmp_path):
    bench = Bench(tmp_path)
    assert bench.list() == ""
    assert bench.run("dance").returncode == 2
    assert bench.run("call").returncode == 2
