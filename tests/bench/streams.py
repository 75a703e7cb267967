"""What the gateway adds to a model's stream: the same load asks the stub model itself, then through the gateway."""
from machine import ROOT

LOAD = ROOT / "build/release/parley_streams"
RATE, DELTAS = 30, 60  # a second; of one answer
PAUSE = 0.1  # of the load, after an answer
LEVELS = (10, 100, 1000)
MANY, MANY_DELTAS, MANY_RATE, MANY_RAMP = 10_000, 14, 0.75, 10  # memory: all of them at once, for some seconds
SATURATING, SATURATING_RATE = 500, 1000  # people who ask again as soon as they have been answered, by a fast model


def configure(bench):
    bench.configure('type = "web";', chat=f"turns_max = {MANY};", more=f"client = {{ connections_max = {MANY + 100}; }};")


def direct(bench, n, seconds):
    load = bench.load_start(LOAD, bench.stub_port, 0, n, DELTAS, RATE, seconds, DELTAS // RATE)
    return bench.load_run(load, {"load": load.pid})


def through(bench, n, seconds, deltas=DELTAS, rate=RATE, ramp=DELTAS // RATE):
    bench.psql("ANALYZE")  # as autovacuum would have, were the tables not minutes old: else plans are those for empty ones
    load = bench.load_start(LOAD, bench.stub_port, bench.gateway_port, n, deltas, rate, seconds, ramp)
    result = bench.load_through_gateway(load)
    result["cpu_us_a_delta"] = result["cpu_s"]["gateway"] * 1e6 / result["deltas"]
    result["kb_a_stream"] = (result["rss_load_mb"] - result["rss_idle_mb"]) * 1024 / max(1, result["in_flight"])
    return result


def measure(bench, seconds):
    configure(bench)
    result = {"levels": {}}
    for n in LEVELS:
        result["levels"][n] = {"direct": direct(bench, n, 2), "gateway": through(bench, n, max(3, seconds * 6 // 10)),
                               "commits_ms": bench.commits_ms(n / (DELTAS / RATE + PAUSE), 5)}
    direct_full = bench.load_start(LOAD, bench.stub_port, 0, SATURATING, DELTAS, SATURATING_RATE, 2, 1)
    result["direct_full"] = bench.load_run(direct_full, {"load": direct_full.pid})
    result["full"] = through(bench, SATURATING, max(3, seconds // 2), rate=SATURATING_RATE, ramp=1)
    result["many"] = through(bench, MANY, 3, MANY_DELTAS, MANY_RATE, MANY_RAMP)
    return result


def share(run, name):
    """Of a core."""
    return f"{run['cpu_s'][name] * 100 / run['seconds']:.0f} %"


def level_rows(n, level):
    straight, ours = level["direct"], level["gateway"]
    for key, name in (("first", "first token"), ("whole", "whole answer")):
        for p in ("p50", "p99"):
            a, b = straight[f"{key}_{p}_ms"], ours[f"{key}_{p}_ms"]
            yield (f"{n} streams: {name} {p}, directly / through / later by",
                   f"{a:.2f} / {b:.2f} / {b - a:.2f} ms ({b / a:.3f}×)")
    commits = level["commits_ms"]
    yield (f"{n} streams: a commit of PostgreSQL alone, as often, p50 / p99",
           f"{commits[len(commits) // 2]:.2f} / {commits[len(commits) * 99 // 100]:.2f} ms")
    yield (f"{n} streams: a delta is under way p50 / p99, directly, through",
           f"{straight['late_p50_ms']:.2f} / {straight['late_p99_ms']:.2f}, {ours['late_p50_ms']:.2f} / {ours['late_p99_ms']:.2f} ms")
    yield f"{n} streams: CPU of the gateway a delta", f"{ours['cpu_us_a_delta']:.1f} µs"
    yield (f"{n} streams: core of the gateway / load / PostgreSQL / load directly",
           " / ".join([share(ours, k) for k in ("gateway", "load", "postgres")] + [share(straight, "load")]))
    yield (f"{n} streams: RSS idle / in flight, kB a stream with its page",
           f"{ours['rss_idle_mb']:.1f} / {ours['rss_load_mb']:.1f} MB, {ours['kb_a_stream']:.1f}")


def rows(result):
    full, straight, many = result["full"], result["direct_full"], result["many"]
    for n, level in result["levels"].items():
        yield from level_rows(n, level)
    yield (f"{SATURATING} people who ask again at once: answers/s, deltas/s",
           f"{full['answers'] / full['seconds']:.0f}, {full['deltas'] / full['seconds']:.0f}")
    yield "the same directly", f"{straight['deltas'] / straight['seconds']:.0f} deltas/s"
    yield ("CPU of the gateway a delta; core of the gateway / load / PostgreSQL",
           f"{full['cpu_us_a_delta']:.1f} µs; " + " / ".join(share(full, k) for k in ("gateway", "load", "postgres")))
    yield (f"{MANY} streams: in flight at once; RSS idle / then, kB a stream",
           f"{many['in_flight']}; {many['rss_idle_mb']:.1f} / {many['rss_load_mb']:.1f} MB, {many['kb_a_stream']:.1f}")
    yield "failed / unanswered", " / ".join(str(sum(run[k] for run in (*[v["gateway"] for v in result["levels"].values()],
                                                                      full, many))) for k in ("bad", "unanswered"))
