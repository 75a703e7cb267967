"""Fixtures of the end-to-end tests. `servers` is shared by the session; every test has a world of its own."""
import os
import re
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from harness.gateway import BINARY, Gateway  # noqa: E402
from harness.peer import MODULES  # noqa: E402
from harness.servers import Servers  # noqa: E402
from harness.world import World  # noqa: E402

os.environ["PATH"] = f"{MODULES / '.bin'}:{os.environ['PATH']}"  # a Node.js that is new enough for the packages


def pytest_addoption(parser):
    parser.addoption("--match", default="", help="a regular expression: run the tests whose name matches")
    parser.addoption("--share", default="1/1", help="K/N: run every Nth test, beginning with the Kth")


def pytest_collection_modifyitems(config, items):
    pattern = re.compile(config.getoption("--match"))
    share, shares = map(int, config.getoption("--share").split("/"))
    chosen = [item for item in items if pattern.search(item.nodeid)][share - 1::shares]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the gateways said belongs into the report of a failure."""
    report = (yield).get_result()
    world = getattr(item, "funcargs", {}).get("world")
    page = getattr(item, "funcargs", {}).get("page")
    if report.failed and page:
        report.sections.append(("the page", page.described()))
    if report.failed and world:
        for gateway in world.gateways:
            lines = (line for line in gateway.log().splitlines() if ' debug eraser "step ' not in line)  # each second
            report.sections.append((f"log of {gateway.folder.name}", "\n".join(lines)[-8000:]))


@pytest.fixture(scope="session")
def servers():
    assert Path(BINARY).exists(), f"{BINARY} is not built"
    running = Servers()
    yield running
    running.close()


@pytest.fixture(scope="session")
def template(servers, tmp_path_factory):
    """A migrated database to copy."""
    return migrated(servers, tmp_path_factory.mktemp("template"))


def migrated(servers, folder):
    name = servers.database_new()
    gateway = Gateway(folder, {"postgres": {"url": servers.url_of(name)}, "redis": {"url": servers.redis_url}})
    done = gateway.run("migrate")
    assert done.returncode == 0, done.stderr
    return name


@pytest.fixture
def world(servers, template, tmp_path):
    one = World(servers, tmp_path, template)
    yield one
    one.close()


@pytest.fixture(scope="module")
def shared_world(servers, template, tmp_path_factory):
    """For all tests of a file that can bear what the others leave behind."""
    one = World(servers, tmp_path_factory.mktemp("shared"), template)
    yield one
    one.close()


@pytest.fixture
def own_servers():
    """A PostgreSQL and a Redis that a test may kill."""
    running = Servers()
    yield running
    running.close()


@pytest.fixture
def own_world(own_servers, tmp_path, request):
    one = World(own_servers, tmp_path, migrated(own_servers, tmp_path / "template"))
    request.node.funcargs["world"] = one
    yield one
    own_servers.resume()
    own_servers.start()
    one.close()
