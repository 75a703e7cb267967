"""conf/parley.1 is the manual that the program makes of its tables, and a manual."""
import re
import subprocess

from harness.gateway import BINARY
from harness.openapi import description
from harness.servers import ROOT


def printed():
    return subprocess.run([BINARY, "man"], check=True, text=True, capture_output=True).stdout


def test_the_file_is_what_the_program_prints():
    assert printed() == (ROOT / "conf/parley.1").read_text(), "run: parley man > conf/parley.1"


def test_mandoc_has_nothing_to_say_against_it():
    linted = subprocess.run(["mandoc", "-Tlint", "-W", "warning"], input=printed(), text=True, capture_output=True)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_every_command_and_argument_is_in_it():
    text = subprocess.run(["mandoc", "-Tutf8", "-O", "width=300"], input=printed(), text=True, capture_output=True, check=True).stdout
    plain = re.sub(".\b", "", text)  # bold is written over itself
    for operation in description().operations:
        title = "parley " + operation.id.replace(".", " ").replace("_", "-")
        part = re.search(rf"^ +{title}(?: [A-Z_ ]+)?\n(.*?)(?=^ +parley |^ {{0,3}}\S)", plain, re.M | re.S)
        assert part, title
        assert re.sub(r"\s+", " ", operation.is_a["summary"]) in re.sub(r"\s+", " ", part[1]), title
        for name in operation.names:
            assert name.upper() in part[0], (title, name)
        for parameter in operation.is_a["parameters"]:
            if parameter["in"] == "query" and parameter["name"] not in ("limit", "after"):
                assert parameter["name"].replace("_", "-") in part[1].lower().replace("_", "-"), (title, parameter["name"])
