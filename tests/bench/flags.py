"""Feature flags in scripts/bench: a look-up, and a change until it is in force in another process."""
import json
import subprocess
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "build/release/parley_flags"
CHANGES = 500


def measure(postgres_url, redis_url):
    """The database is migrated."""
    done = subprocess.run([PROGRAM, postgres_url, redis_url, str(CHANGES)], check=True, text=True, capture_output=True)
    return json.loads(done.stdout)


def rows(d):
    return [
        ("flag look-up: nothing set / a rule of each kind / 2,000 people",
         f"{d['lookup_ns']:.0f} / {d['lookup_rules_ns']:.0f} / {d['lookup_people_ns']:.0f} ns"),
        ("flag changed to in force in another process, p50 / p99", f"{d['effect_p50_ms']:.2f} / {d['effect_p99_ms']:.2f} ms"),
    ]
