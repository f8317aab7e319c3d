"""The entry point of `mtlkit` and `python -m mtlkit`. Handles Ctrl-C during imports too."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

from mtlkit import __version__

INTERRUPTED = 130
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # what a user may set to say how OpenMP's threads wait


def main() -> NoReturn:
    """Runs the command line. During imports, Ctrl-C ends the process at once; an interrupted import would print a long
    traceback."""
    wait_idly()
    if sys.argv[1:] == ["--version"]:  # without the half second that the commands take to import
        with suppress(OSError):  # nobody reads it
            os.write(1, f"mtlkit {__version__}\n".encode())
        sys.exit()
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # ignored under nohup
        signal.signal(signal.SIGINT, lambda *_: _leave())
    from mtlkit.cli.app import main as run

    signal.signal(signal.SIGINT, before)
    run()


def wait_idly() -> None:
    """Lets idle threads sleep, unless the user set a policy. By default OpenMP's threads spin, which slows other processes on a
    shared machine. OpenMP reads the setting once, when torch loads it."""
    if not any(name in os.environ for name in WAITING):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def _leave() -> NoReturn:
    os.write(2, b"mtlkit: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
