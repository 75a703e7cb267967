"""Many answers that grow at once."""
import json
import subprocess
import threading

import pytest

from harness.servers import ROOT
from harness.wait import wait_until
from harness.webclient import Person, new_thread

N_STREAMS = 30


class H2Model:
    """tests/fakes/model_h2.mjs with a certificate of its own, which is its own authority, too."""

    def __init__(self, folder, together):
        self.cert, key = str(folder / "h2.crt"), str(folder / "h2.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key,
                        "-out", self.cert], check=True, capture_output=True)
        self.process = subprocess.Popen(["node", str(ROOT / "tests/fakes/model_h2.mjs"), self.cert, key, str(together)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self.said = []
        threading.Thread(target=lambda: self.said.extend(map(json.loads, self.process.stdout)), daemon=True).start()

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def model(tmp_path):
    one = H2Model(tmp_path, N_STREAMS)
    yield one
    one.stop()


def test_streams_share_one_connection_of_http2(world, model):
    models = [{"name": "test", "type": "openai", "base_url": f"https://localhost:{model.port}/v1", "api_key": "env:MODEL_KEY"}]
    gateway = world.gateway(None, models=models, client={"ca_file": model.cert}).start()
    page = Person(gateway).connect(gateway)
    threads = [new_thread() for _ in range(N_STREAMS)]
    for thread in threads:
        page.say(thread, "hello")
    wait_until(lambda: all(page.answers(thread) == ["together"] for thread in threads))
    assert len([line for line in model.said if "question" in line]) == N_STREAMS
    assert len([line for line in model.said if "connection" in line]) == 1
