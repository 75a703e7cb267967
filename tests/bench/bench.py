"""scripts/bench: the gateway between stub platforms and a stub model, and pgbench for comparison."""
import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import admin
import discord_stub
import flags
import streams
from machine import (FOLDER, GATEWAY_CORE, OTHER_CORE, PARLEY, ROOT, cpu_seconds, family_cpu, free_port, on_core, rss_mb,
                     server_urls, servers)

LOAD = ROOT / "build/release/parley_load"
SECRET = "bench-secret"


class Bench:
    def __init__(self):
        urls = server_urls()
        self.pg_url, self.redis_url = urls["PARLEY_POSTGRES_URL"], urls["PARLEY_REDIS_URL"]
        self.postgres = int((Path(urls["PARLEY_POSTGRES_DATA"]) / "postmaster.pid").read_text().split()[0])
        self.redis = int((FOLDER / "redis/pid").read_text())
        self.gateway_port, self.stub_port = free_port(), free_port()
        self.conf = FOLDER / "parley.conf"
        self.env = dict(os.environ, BENCH_SECRET=SECRET, BENCH_TOKEN="42:bench-token-of-nobody")
        self.gateway = None

    def configure(self, channel, chat="", more="", model_port=None):
        self.conf.write_text(f"""
postgres = {{ url = "{self.pg_url}"; }};
redis = {{ url = "{self.redis_url}"; }};
http = {{ address = "127.0.0.1"; port = {self.gateway_port}; }};
chat = {{ rate_per_minute = 0; rate_ip_per_minute = 0; {chat} }};
log = {{ level = "warn"; }};
models = ( {{ name = "bench"; type = "openai"; base_url = "http://127.0.0.1:{model_port or self.stub_port}/v1";
             api_key = "env:BENCH_SECRET"; }} );
channels = ( {{ name = "bench"; {channel} }} );
{more}
""")

    def psql(self, sql):
        return subprocess.run(["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", self.pg_url, "-c", sql], check=True, text=True,
                              capture_output=True).stdout

    def migrate(self):
        self.configure('type = "web";')
        subprocess.run([PARLEY, "migrate", "--config", self.conf], env=self.env, check=True, stdout=subprocess.DEVNULL)

    @contextlib.contextmanager
    def another_database(self, name):
        """Migrated, and dropped at the end."""
        ours = self.pg_url
        drop = f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"
        self.psql(drop)
        self.psql(f"CREATE DATABASE {name}")
        self.pg_url = ours.replace("/parley?", f"/{name}?")
        try:
            self.migrate()
            yield
        finally:
            self.pg_url = ours
            self.psql(drop)

    def load_start(self, program, *args):
        return subprocess.Popen(["taskset", "-c", OTHER_CORE, program, *map(str, args)], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def gateway_start(self):
        """Returns the milliseconds from exec to the first 200."""
        began = time.monotonic()
        self.gateway = subprocess.Popen(["taskset", "-c", GATEWAY_CORE, PARLEY, "serve", "--config", self.conf],
                                        env=self.env, stderr=(FOLDER / "gateway.log").open("w"))
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway_port}/readyz", timeout=1) as answer:
                    if answer.status == 200:
                        return (time.monotonic() - began) * 1000
            except OSError:
                pass
            if self.gateway.poll() is not None:
                sys.exit(f"the gateway ended: {(FOLDER / 'gateway.log').read_text()}")
            time.sleep(0.002)

    def slow_turns(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway_port}/metrics", timeout=5) as answer:
            return int(re.search(r"^parley_loop_slow_turns_total (\d+)", answer.read().decode(), re.M)[1])

    def gateway_stop(self):
        self.gateway.send_signal(signal.SIGTERM)
        self.gateway.wait(30)

    def load_run(self, load, watched):
        """What the load prints, and the CPU seconds of `watched` over its counted part; RSS at the part's end."""
        load.stdin.write("go\n")
        load.stdin.flush()
        marks, rss = [], 0.0
        for line in load.stderr:
            if line.strip() in ("counting", "counted"):
                marks.append({name: family_cpu(pid) for name, pid in watched.items()})
                rss = rss_mb(watched["gateway"]) if "gateway" in watched else rss
            else:
                print(line.rstrip(), file=sys.stderr)
        out = load.stdout.read()
        load.wait()
        if not out or len(marks) != 2:
            sys.exit(f"the load failed; see {FOLDER}/gateway.log")
        return dict(json.loads(out), rss_load_mb=rss, cpu_s={name: marks[1][name] - marks[0][name] for name in watched})

    def load_through_gateway(self, load):
        """One run of the load on a fresh gateway."""
        first_ms = self.gateway_start()
        time.sleep(1.0)
        idle_mb = rss_mb(self.gateway.pid)
        try:
            result = self.load_run(load, {"gateway": self.gateway.pid, "postgres": self.postgres, "redis": self.redis,
                                          "load": load.pid})
        finally:
            self.gateway_stop()
        return dict(result, first_200_ms=first_ms, rss_idle_mb=idle_mb)

    def phase(self, mode, conversations, seconds, rate=0, path="/hooks/telegram/bench", secret=SECRET, more=""):
        self.configure(f'''type = "telegram"; token = "env:BENCH_TOKEN"; mode = "webhook"; secret_token = "env:BENCH_SECRET";
                       api_url = "http://127.0.0.1:{self.stub_port}";''', more=more)
        result = self.load_through_gateway(self.load_start(LOAD, self.stub_port, self.gateway_port, path, secret, mode,
                                                           conversations, seconds, rate))
        result["cpu_ms"] = {name: s * 1000 / max(1, result["messages"]) for name, s in result["cpu_s"].items()}
        return result

    def run_pgbench(self, *args):
        program = next(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
        done = subprocess.run([program, "-n", "-M", "prepared", *map(str, args), self.pg_url], text=True, capture_output=True)
        if done.returncode:
            sys.exit(f"pgbench failed: {done.stdout}{done.stderr}")
        return done.stdout

    def commits_ms(self, rate, seconds):
        """Of commits that hold one line, at this rate, on the core that is not the gateway's; sorted."""
        with tempfile.TemporaryDirectory() as folder, on_core(OTHER_CORE):
            self.run_pgbench("-c", 1, "-R", rate, "-T", seconds, "-l", "--log-prefix", f"{folder}/log", "-f", ROOT / "tests/bench/commit.sql")
            lines = [line.split() for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
        return sorted((int(line[2]) - int(line[6])) / 1000 for line in lines)  # without what it began too late

    def pgbench(self, seconds):
        self.psql("""
            INSERT INTO users (id) SELECT ('00000000000070008000' || lpad(p::text, 12, '0'))::uuid FROM generate_series(1, 64) p
                ON CONFLICT DO NOTHING;
            INSERT INTO conversations (id, user_id, channel_type, channel, place_channel)
                SELECT id, id, 'telegram', 'pgbench', id::text FROM users WHERE id < '00000000-0000-7000-8000-000000000065'
                ON CONFLICT DO NOTHING""")
        said = self.run_pgbench("-c", 16, "-j", 2, "-T", seconds, "-D", f"ms={int(time.time() * 1000)}",
                         "-f", ROOT / "tests/bench/message.sql")
        return float(re.search(r"^tps = ([\d.]+)", said, re.M)[1])


def discord(bench):
    """One session that 1,000 servers are busy on, and 1 % of it is for the bot."""
    stub, rand = discord_stub.Stub(), random.Random(1)
    bench.configure(f'''type = "discord"; token = "env:BENCH_TOKEN"; commands = false;
                    api_url = "http://127.0.0.1:{stub.port}/api";''', chat='preview_after = "1m";', model_port=stub.port)
    bench.gateway_start()
    pid = bench.gateway.pid
    stub.live.wait(20)
    time.sleep(1)
    result = {"rss_idle_mb": rss_mb(pid)}

    def run(events, answers=0):
        wire, wanted = stub.packed(events), stub.answers + answers
        cpu, began = cpu_seconds(pid), time.monotonic()
        stub.send_until_confirmed(wire)
        seconds = time.monotonic() - began
        while stub.answers < wanted:
            time.sleep(0.05)
        time.sleep(0.3)
        return len(events) / seconds, cpu_seconds(pid) - cpu

    _, cpu = run([discord_stub.guild_create(n) for n in range(2500)])
    result.update(rss_guilds_mb=rss_mb(pid), cpu_ms_guild=cpu * 1000 / 2500)
    slow = bench.slow_turns()
    run([discord_stub.guild_create(3000, 20_000)])
    result.update(slow_turns=bench.slow_turns() - slow)
    n = 60_000
    per_s, cpu = run([discord_stub.ignored(k, rand) for k in range(n)])
    result.update(ignored_per_s=per_s, cpu_us_ignored=cpu * 1e6 / n)
    mixed = [discord_stub.for_us(k) if k % 100 == 0 else discord_stub.ignored(k, rand) for k in range(n // 2)]
    ours = len(mixed) // 100
    per_s, cpu = run(mixed, ours)
    result.update(mixed_per_s=per_s, rss_load_mb=rss_mb(pid), answers=stub.answers,
                  cpu_ms_ours=(cpu - (len(mixed) - ours) * result["cpu_us_ignored"] / 1e6) * 1000 / ours)
    bench.gateway_stop()
    return result


def discord_rows(d):
    return [
        ("Discord: events/s taken, none for us / 1 % for us", f"{d['ignored_per_s']:.0f} / {d['mixed_per_s']:.0f}"),
        ("CPU an ignored event / one for us, answer included", f"{d['cpu_us_ignored']:.1f} µs / {d['cpu_ms_ours']:.2f} ms"),
        ("turns of the loop over 10 ms with a GUILD_CREATE of 5 MB", f"{d['slow_turns']}"),
        ("CPU a GUILD_CREATE", f"{d['cpu_ms_guild']:.2f} ms"),
        ("RSS idle / with 2,500 servers seen / under load",
         f"{d['rss_idle_mb']:.1f} / {d['rss_guilds_mb']:.1f} / {d['rss_load_mb']:.1f} MB"),
    ]


def turns(bench, seconds):
    closed = bench.phase("closed", 64, seconds)
    pgbench = bench.pgbench(seconds)
    half = bench.phase("open", 512, seconds, int(closed["per_s"] / 2))
    return {
        "saturation_msgs_per_s": closed["per_s"], "pgbench_msgs_per_s": pgbench,
        "cpu_ms_per_message": closed["cpu_ms"]["gateway"], "cpu_ms": closed["cpu_ms"],
        "p50_full_ms": closed["p50_ms"], "p99_full_ms": closed["p99_ms"],
        "p50_half_ms": half["p50_ms"], "p95_half_ms": half["p95_ms"], "p99_half_ms": half["p99_ms"],
        "rss_idle_mb": closed["rss_idle_mb"], "rss_load_mb": max(closed["rss_load_mb"], half["rss_load_mb"]),
        "first_200_ms": closed["first_200_ms"],
        "lost": closed["lost"] + half["lost"], "duplicated": closed["duplicated"] + half["duplicated"],
        "out_of_order": closed["out_of_order"] + half["out_of_order"],
    }


def turns_rows(result):
    return [
        ("messages/s, 64 conversations, closed loop", f"{result['saturation_msgs_per_s']:.0f}"),
        ("pgbench, rows of one message, a commit each, 16 clients", f"{result['pgbench_msgs_per_s']:.0f}"),
        ("ratio", f"{result['saturation_msgs_per_s'] / result['pgbench_msgs_per_s']:.2f}"),
        ("CPU of the gateway a message", f"{result['cpu_ms_per_message']:.3f} ms"),
        ("CPU of PostgreSQL / Redis / stubs a message",
         " / ".join(f"{result['cpu_ms'][k]:.3f}" for k in ("postgres", "redis", "load")) + " ms"),
        ("p50 / p95 / p99 at half of saturation",
         " / ".join(f"{result[k]:.1f}" for k in ("p50_half_ms", "p95_half_ms", "p99_half_ms")) + " ms"),
        ("p50 / p99 at saturation", f"{result['p50_full_ms']:.1f} / {result['p99_full_ms']:.1f} ms"),
        ("RSS idle / under load", f"{result['rss_idle_mb']:.1f} / {result['rss_load_mb']:.1f} MB"),
        ("exec to the first 200 of /readyz", f"{result['first_200_ms']:.0f} ms"),
        ("lost / duplicated / out of order", f"{result['lost']} / {result['duplicated']} / {result['out_of_order']}"),
    ]


PARTS = {
    "turns": (turns, turns_rows),
    "discord": (lambda bench, seconds: discord(bench), discord_rows),
    "streams": (streams.measure, streams.rows),
    "flags": (lambda bench, seconds: flags.measure(bench.pg_url, bench.redis_url), flags.rows),
    "hooks": (lambda bench, seconds: admin.measure_hooks(bench, max(3, seconds // 2), SECRET), admin.hooks_rows),
    "admin": (lambda bench, seconds: admin.measure_pages(bench, SECRET), admin.pages_rows),
}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--json", metavar="FILE")
    args.add_argument("--seconds", type=int, default=10)
    args.add_argument("--only", choices=list(PARTS))
    args = args.parse_args()
    shutil.rmtree(FOLDER / "redis", ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    servers("start")
    result = {}
    try:
        bench = Bench()
        bench.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        bench.migrate()
        for name, (measure, rows) in PARTS.items():
            if args.only in (None, name):
                result[name] = measure(bench, args.seconds)
                for what, value in rows(result[name]):
                    print(f"  {what:58} {value}", flush=True)
    finally:
        servers("stop")
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
