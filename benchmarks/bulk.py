"""A bulk job end to end: rows with ids from real texts, embedded in parts by a process that is killed and resumed, and checked.

The texts are repeated until there are enough rows. Everything is kept in --folder, and the same command continues there after
an interruption. It prints CPU time and peak memory of all processes, and whether every id came out once and in order.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import chain, cycle, islice
from pathlib import Path

import pyarrow
from compare import positive
from pyarrow import dataset, parquet

from mtlkit.data.sources.text_files import read_column

FILES = 4


def options() -> Namespace:
    made = ArgumentParser(description=__doc__)
    made.add_argument("--data", required=True, action="append", metavar="FILE", help="texts; may be repeated")
    made.add_argument("--folder", required=True, type=Path, help="for the rows and the vectors")
    made.add_argument("--rows", type=positive, default=1_000_000, help="(default: %(default)s)")
    made.add_argument("--model", default="mini", help="(default: %(default)s)")
    made.add_argument("--kills", type=int, nargs="*", default=[3, 7], help="kill after so many parts (default: %(default)s)")
    made.add_argument("--part-rows", type=positive, default=65536, help="(default: %(default)s)")
    return made.parse_args()


def write_rows(asked: Namespace, folder: Path) -> None:
    """Files of equal size with the columns id and text."""
    texts = cycle(chain.from_iterable(list(read_column(source, None, None)) for source in asked.data))
    size = -(-asked.rows // FILES)
    folder.mkdir(parents=True)
    for number in range(FILES):
        ids = [name_of(row) for row in range(number * size, min(asked.rows, (number + 1) * size))]
        table = pyarrow.table({"id": ids, "text": list(islice(texts, len(ids)))})
        parquet.write_table(table, folder / f"rows-{number}.parquet")


def name_of(row: int) -> str:
    return f"row-{row:09}"


def runs(command: list[str], out: Path, kills: list[int]) -> Iterator[tuple[float, float]]:
    """CPU seconds and peak memory in MB of each process, until the output is complete."""
    while not (out / "_manifest.json").exists():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = next((parts for parts in kills if parts > count(out)), None)
        while limit is not None and count(out) < limit and not ended(process.pid):
            time.sleep(0.1)
        if limit is not None:
            time.sleep(1)  # in the midst of the next part
            process.kill()
        _, status, used = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) not in (0, -9):
            raise SystemExit(f"exit code {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
        yield used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def ended(pid: int) -> bool:
    """Whether a process has ended; what it used can still be asked for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def count(out: Path) -> int:
    """The number of parts."""
    return len(list(out.glob("0*.parquet")))


def main() -> None:
    asked = options()
    rows, out = asked.folder / "rows", asked.folder / "vectors"
    if not rows.exists():
        write_rows(asked, rows)
    command = [sys.executable, "-m", "mtlkit", "embed", "--model", asked.model, "--input", str(rows), "--column", "text"]
    command += ["--keep", "id", "--output", str(out), "--dtype", "float16", "--part-rows", str(asked.part_rows), "--resume"]
    used = list(runs(command, out, asked.kills))
    seconds, peak = sum(cpu for cpu, _ in used), max(memory for _, memory in used)
    subprocess.run([sys.executable, "-m", "mtlkit", "join", str(out)], check=True)
    ids = dataset.dataset(out).to_table(columns=["id"])["id"].to_pylist()
    kept = ids == [name_of(row) for row in range(asked.rows)]
    print(f"{len(ids):,} rows, {'all ids in order' if kept else 'IDS DIFFER'}; {len(used)} processes")
    print(f"{seconds:.0f} CPU seconds, {len(ids) / seconds:,.0f} rows per CPU second, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
