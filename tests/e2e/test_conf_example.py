"""conf/parley.conf.example is what the field tables say."""
import subprocess

from harness.gateway import BINARY
from harness.servers import ROOT


def test_the_example_is_what_the_program_prints():
    printed = subprocess.run([BINARY, "conf"], check=True, text=True, capture_output=True).stdout
    assert printed == (ROOT / "conf/parley.conf.example").read_text(), "run: parley conf > conf/parley.conf.example"
