# ruff: noqa: T201
"""Feeds damaged files to everything that reads files: each is read, or refused in one line.

    python tests/fuzz/fuzz_inputs.py --count 10000 --seed 0

Anything else is a finding: another exception, ten seconds without an end, a gigabyte of memory, the end of the process. Findings
stay under --keep, with what was raised. The same seed gives the same inputs, so a finding comes again with --only KIND:NUMBER.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.pool import Outcome, fuzz


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="inputs of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", help="some kinds alone")
    parser.add_argument("--only", help="one input alone, such as csv:17")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("findings"), help="where findings go")
    asked = parser.parse_args()
    counts: Counter[tuple[str, str]] = Counter()
    names: Counter[str] = Counter()
    for outcome in fuzz(asked.count, asked.seed, asked.kinds, asked.only, asked.workers, asked.keep):
        counts[outcome.kind, outcome.result] += 1
        if outcome.found:
            names[f"{outcome.kind}: {outcome.said.strip().splitlines()[-1][:150]}"] += 1
            print(f"{outcome.kind}:{outcome.number} {outcome.result}", flush=True)
        if (done := sum(counts.values())) % 1000 == 0:
            print(f"{done} inputs", flush=True)
    show(counts, names)
    return int(bool(names))


def show(counts: Counter[tuple[str, str]], names: Counter[str]) -> None:
    kinds, results = sorted({kind for kind, _ in counts}), ("loaded", "refused", *Outcome.FOUND)
    print("kind".ljust(18), *(one.rjust(10) for one in results))
    for kind in kinds:
        print(kind.ljust(18), *(str(counts[kind, one]).rjust(10) for one in results))
    print("all".ljust(18), *(str(sum(counts[kind, one] for kind in kinds)).rjust(10) for one in results))
    for name, times in names.most_common():
        print(f"{times:5} {name}")


if __name__ == "__main__":
    sys.exit(main())
