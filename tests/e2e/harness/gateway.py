"""The gateway under test, as a process."""
import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from fakes.ports import free_port

from .conf import conf_text
from .servers import ROOT
from .wait import wait_until

BINARY = os.environ.get("PARLEY_BIN") or str(ROOT / "build/asan/parley")
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|Assertion .* failed")


class StayHere(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other."""

    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(StayHere)


class Answer:
    """Of an HTTP request."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Gateway:
    """
    folder    of this gateway: configuration and logs
    settings  the configuration, as a dict; http.port is the gateway's own and stays the same over restarts
    env       for secrets
    """

    def __init__(self, folder, settings, env=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.settings = settings
        self.settings.setdefault("http", {}).update(port=self.port)
        self.env = dict(env)
        self.process, self._log, self._runs = None, None, 0

    # --- life ------------------------------------------------------------------------------------------------

    @property
    def conf_path(self):
        return self.folder / "parley.conf"

    def write_conf(self):
        self.conf_path.write_text(conf_text(self.settings))
        return str(self.conf_path)

    def environment(self, more=()):
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "PARLEY_", "PG"))}
        clean.update(ASAN_OPTIONS="exitcode=99:detect_stack_use_after_return=1:quarantine_size_mb=8", UBSAN_OPTIONS="print_stacktrace=1",
                     **self.env, **dict(more))
        return clean

    def run(self, *arguments, **env):
        """A subcommand, to its end."""
        return subprocess.run([BINARY, *arguments, "--config", self.write_conf()], env=self.environment(env), text=True,
                              capture_output=True, timeout=60, stdin=subprocess.DEVNULL)

    def spawn(self, **env):
        """Begin, and do not wait for anything."""
        assert not self.running, "it runs already"
        self._runs += 1
        self._log = self.folder / f"log.{self._runs}"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen([BINARY, "serve", "--config", self.write_conf()], env=self.environment(env),
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        return self

    def start(self, timeout=30, **env):
        """Begin, and wait until it is ready."""
        self.spawn(**env)
        wait_until(lambda: self.ready() or self._died(), timeout, "the gateway is ready")
        assert self.running, f"it ended with {self.process.returncode}:\n{self.log()[-4000:]}"
        return self

    def _died(self):
        return self.process.poll() is not None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.process.wait(10)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def stop(self, timeout=30):
        """SIGTERM: it drains. Its exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def wait_killed(self, timeout=30):
        """It kills itself, at PARLEY_ABORT_AT."""
        self.process.wait(timeout)
        assert self.process.returncode == -signal.SIGKILL, f"{self.process.returncode}:\n{self.log()[-4000:]}"

    def close(self):
        """Stop what runs, and look for what a sanitizer found in any of its runs."""
        if self.running:
            self.thaw()
            try:
                status = self.stop()
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGABRT)
                self.process.wait(10)
                raise AssertionError("the gateway did not stop within 30 s of SIGTERM") from None
            assert status == 0, f"the gateway ended with {status}:\n{self.log()[-4000:]}"
        for log in sorted(self.folder.glob("log.*")):
            text = log.read_text(errors="replace")
            found = SANITIZER.search(text)
            assert not found, f"a sanitizer found something:\n{text[max(0, found.start() - 1000):found.start() + 6000]}"

    # --- what it says ----------------------------------------------------------------------------------------

    def log(self):
        """Of the present or last run."""
        return self._log.read_text(errors="replace") if self._log else ""

    def logged(self, pattern):
        return re.search(pattern, self.log())

    def wait_log(self, pattern, timeout=20):
        return wait_until(lambda: self.logged(pattern), timeout, f"the log says {pattern!r}")

    # --- HTTP ------------------------------------------------------------------------------------------------

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, body=None, headers=(), timeout=30):
        if isinstance(body, (dict, list)):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **dict(headers)}
        request = urllib.request.Request(self.url + path, data=body, headers=dict(headers), method=method)
        try:
            with OPENER.open(request, timeout=timeout) as response:
                return Answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.headers, e.read())

    def get(self, path, headers=()):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, headers=()):
        return self.request("POST", path, body, headers)

    def ready(self):
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    def alive(self):
        return self.running and self.get("/healthz").status == 200

    def metric(self, name, **labels):
        """The sum of a metric over the label sets that have `labels`; 0 when absent."""
        total = 0.0
        for line in self.get("/metrics").text.splitlines():
            m = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
            if m and m.group(1) == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', m.group(2) or ""))
                if all(found.get(k) == v for k, v in labels.items()):
                    total += float(m.group(3))
        return total

    def rss_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
