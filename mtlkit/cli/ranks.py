"""Of the processes of a training, only the first prints; the others speak up with an error of their own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mtlkit.cli.console import stderr
from mtlkit.config.launch import launched
from mtlkit.errors import MtlkitError, StoppedError

PATIENCE = 3.0  # seconds: an error of all is printed by rank 0, whose end makes the launcher stop the others


@contextmanager
def one_voice() -> Iterator[None]:
    """Within it, ranks other than the first print nothing. They leave after it, as the launcher stops all when one has left."""
    if (launch := launched()).is_main:
        yield
        return
    stderr().quiet = True
    try:
        yield
    except StoppedError as error:
        time.sleep(PATIENCE)
        os._exit(error.exit_code)
    except MtlkitError as error:
        time.sleep(PATIENCE)
        stderr().quiet = False
        failure = MtlkitError(f"rank {launch.rank}: {error}")
        failure.exit_code = error.exit_code
        raise failure from None
