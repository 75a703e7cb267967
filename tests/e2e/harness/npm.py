"""A server out of an npm package, or a script that needs some, in a process of its own."""
import json
import subprocess
import urllib.error
import urllib.request

from fakes.ports import free_port

from .peer import MODULES
from .servers import ROOT
from .wait import wait_until


class NodeServer:
    """command: what node runs, with {port} where the port belongs. It is ready once GET /health says so."""

    def __init__(self, *command):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(["node", *(part.format(port=port) for part in command)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(self._ready, 60, f"{command[0]} is ready")

    def _ready(self):
        assert self.process.poll() is None, f"it ended with {self.process.returncode}"
        try:
            return self.get("/health")
        except OSError:
            return False

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.loads(answer.read())

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def embeddings():
    """A small but real model that makes vectors of English sentences."""
    return NodeServer(str(ROOT / "tests/fakes/embeddings.mjs"), str(MODULES), "{port}")


def aimock(fixtures):
    """What somebody else believes that the APIs of language models are. fixtures: its file."""
    return NodeServer(str(MODULES / "@copilotkit/aimock/dist/cli.js"), "-p", "{port}", "-f", str(fixtures))
