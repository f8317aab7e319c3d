"""The entry point of `mtlkit` and `python -m mtlkit`: answers Ctrl-C in one line from the first moment."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Runs the command line. While its modules are imported nothing is at stake, so Ctrl-C ends the process at once; an import
    that is interrupted would print dozens of lines."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # ignored under nohup
        signal.signal(signal.SIGINT, lambda *_: _leave())
    from mtlkit.cli.app import main as run

    signal.signal(signal.SIGINT, before)
    run()


def _leave() -> NoReturn:
    os.write(2, b"mtlkit: interrupted\n")
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
