"""A platform's official npm client in a process of its own, driven by lines of JSON."""
import itertools
import json
import os
import queue
import subprocess
import threading
from pathlib import Path

from .servers import ROOT

MODULES = Path(os.environ.get("PARLEY_NPM") or ROOT / "build/npm") / "node_modules"


class Peer:
    """script: of tests/e2e; it gets the modules' folder and the arguments. What is no answer goes to `heard`."""

    def __init__(self, script, *arguments):
        command = ["node", str(ROOT / "tests/e2e" / script), str(MODULES), *arguments]
        self.process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answers, self.ids = {}, itertools.count(1)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "id" in message and "event" not in message:
                self.answers[message["id"]].put(message)
            else:
                self.heard(message)

    def heard(self, message):
        raise NotImplementedError

    def begin(self, what, **more):
        """Returns what to wait with for the answer."""
        number = next(self.ids)
        self.answers[number] = queue.Queue()
        self.process.stdin.write(json.dumps({"id": number, "do": what, **more}) + "\n")
        self.process.stdin.flush()
        return lambda: self.answers[number].get(timeout=30)

    def do(self, what, **more):
        return self.begin(what, **more)()

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
