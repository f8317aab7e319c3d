"""How long `mtlkit --help` takes, as a whole process, against an interpreter that shows the help of an empty Typer app.

Lower is better. Both sides run from compiled bytecode, as an installed package does. For Linux and macOS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from compare import Measure, Side, compare, describe, parser

OURS = ["-m", "mtlkit", "--help"]
EMPTY_APP = "import typer; app = typer.Typer(); app.callback(invoke_without_command=True)(lambda: None); app()"
THEIRS = ["-c", EMPTY_APP, "--help"]


def run(arguments: list[str], environment: dict[str, str]) -> Measure:
    """Seconds from start to exit of an interpreter with these arguments, and its peak memory."""
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with exit code {process.returncode}")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    return Measure(seconds, usage.ru_utime + usage.ru_stime, {"peak MiB": usage.ru_maxrss / unit})


def main() -> None:
    options = parser(__doc__).parse_args()
    describe(["torch", "typer", "rich"], options.threads)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment["OMP_NUM_THREADS"] = str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        ours = Side("mtlkit --help", lambda: run(OURS, environment))
        theirs = Side("empty Typer app", lambda: run(THEIRS, environment))
        for side in (ours, theirs):  # not counted: compiles, and fills the disk cache
            side.run()
        compare(ours, [theirs], options.rounds, "s")


if __name__ == "__main__":
    main()
