"""Adds up what scripts/test has run: the JUnit files of ctest and pytest, and one NAME.fuzz for a fuzz target.

A ctest test is one Criterion program: its test cases count, by the summary that Criterion prints. A program that
fails otherwise (it crashed, leaked, hung, or printed no summary) counts as one failed case.
"""
import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

SUMMARY = re.compile(r"Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)")


def unit(path):
    for case in ET.parse(path).getroot().iter("testcase"):
        name = case.get("name")
        output = "".join(e.text or "" for e in case.iter("system-out"))
        output = re.sub(r"\x1b\[[0-9;]*m", "", output)
        passed = failed = 0
        for _, passing, failing, crashing in SUMMARY.findall(output):
            passed += int(passing)
            failed += int(failing) + int(crashing)
        if not passed + failed or (case.get("status") != "run" and not failed):
            failed += 1
        yield name, passed, failed


def e2e(path):
    for case in ET.parse(path).getroot().iter("testcase"):
        kinds = {e.tag for e in case}
        bad = bool(kinds & {"failure", "error"})
        # A test that cannot run here proves nothing: it does not count as passed.
        yield f"{case.get('classname')}::{case.get('name')}", int(not bad and "skipped" not in kinds), int(bad)


def fuzz(path):
    passed = path.read_text().strip() == "passed"
    yield path.stem, int(passed), int(not passed)


def main():
    results = Path(sys.argv[1])
    cases = []
    shares = [results / f"e2e-{n + 1}.xml" for n in range(int(sys.argv[2]))]
    for path, read in ((results / "unit.xml", unit), *((share, e2e) for share in shares)):
        if path.exists():
            cases += read(path)
        else:
            cases.append((f"{path.name} is missing: the runner itself failed", 0, 1))
    for path in sorted(results.glob("*.fuzz")):
        cases += fuzz(path)
    passed = sum(p for _, p, _ in cases)
    failed = sum(f for _, _, f in cases)
    for name, _, bad in cases:
        if bad:
            print(f"FAILED {name}")
    if not passed + failed:
        print("no test has that name")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
