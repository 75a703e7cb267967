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


    def n(self, what):
        return sum(what in line for line in self.said)


@pytest.fixture
def model(tmp_path, request):
    one = H2Model(tmp_path, getattr(request, "param", N_STREAMS))
    yield one
    one.stop()


@pytest.fixture
def gateway(world, model):
    models = [{"name": "test", "type": "openai", "base_url": f"https://localhost:{model.port}/v1", "api_key": "env:MODEL_KEY"}]
    return world.gateway(None, models=models, client={"ca_file": model.cert}).start()


def test_streams_share_one_connection_of_http2(gateway, model):
    page = Person(gateway).connect(gateway)
    threads = [new_thread() for _ in range(N_STREAMS)]
    for thread in threads:
        page.say(thread, "hello")
    wait_until(lambda: all(page.answers(thread) == ["together"] for thread in threads))
    assert (model.n("question"), model.n("connection")) == (N_STREAMS, 1)


@pytest.mark.parametrize("model", [1], indirect=True)
def test_a_stream_that_is_reset_is_one_that_broke_off(gateway, model):
    """The connection, and with it the streams of others, is as good as before."""
    page, at_once, midway = Person(gateway).connect(gateway), new_thread(), new_thread()
    page.say(at_once, "reset at once")
    wait_until(lambda: page.answers(at_once) == ["together"], what="it is asked again")
    page.say(midway, "reset midway")
    wait_until(lambda: page.answers(midway) == ["half\n\n_(the connection to the model broke here)_"])
    assert gateway.metric("parley_model_retries_total") == 1, "not once people saw a part"
    page.say(midway, "and now?")
    wait_until(lambda: page.answers(midway)[1:] == ["together"])
    assert (model.n("question"), model.n("connection")) == (4, 1)
