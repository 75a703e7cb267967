"""What the parts of scripts/bench share: which core is whose, and what processes use."""
import contextlib
import os
import re
import socket
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/bench"
PARLEY = ROOT / "build/release/parley"
TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
GATEWAY_CORE, OTHER_CORE = str(CORES[0]), str(CORES[-1])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def on_core(core):
    """This process, and those that it starts."""
    os.sched_setaffinity(0, {int(core)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)


def servers(action):
    return subprocess.run(["taskset", "-c", OTHER_CORE, ROOT / "scripts/servers", action, FOLDER], check=True, text=True,
                          capture_output=True).stdout


def server_urls():
    return dict(re.findall(r"^(\w+)='(.*)'$", servers("env"), re.M))


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def rss_mb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def family_cpu(pid):
    """A server and its children: PostgreSQL's backends."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    total = 0.0
    for one in [pid, *children]:
        try:
            total += cpu_seconds(one)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total
