"""Fast paths: operators that other versions of torch may lack or change, with a self-test at first use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import torch
from torch import Tensor

from mtlkit.errors import first_line

LOG = logging.getLogger(__name__)


class FastPath:
    """A group of operators that are used together or not at all.

    `name` and `slower` are used in the warning: what is unavailable, and what is slower without it. `test` raises if an operator
    does not work as expected. A torch built without oneDNN warns only about paths that the user requests (`optional`).
    """

    def __init__(self, name: str, slower: str, test: Callable[[], None], optional: bool = False) -> None:
        self.name, self.slower, self.test, self.optional = name, slower, test, optional
        self._works: bool | None = None
        self._lock = threading.Lock()

    def works(self) -> bool:
        """Whether the operators can be used; the first call runs the self-test."""
        if self._works is None:
            if torch.compiler.is_compiling():  # traced or exported graphs use public operators, and tests cannot run
                return False
            with self._lock:
                if self._works is None:
                    self._works = self._tested()
        return self._works

    def _tested(self) -> bool:
        built: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        try:
            if not built:
                raise RuntimeError("this build of torch has no oneDNN")
            with torch.no_grad(), torch.autocast("cpu", enabled=False):
                self.test()
        except Exception as error:  # other versions of torch may raise anything
            LOG.log(
                logging.WARNING if built or self.optional else logging.INFO,
                "%s cannot be used with torch %s (%s); using torch's public operators: same results, but %s",
                self.name, torch.__version__, first_line(error), self.slower,
            )  # fmt: skip
            return False
        return True


def numbers(rows: int, columns: int, largest: int = 3) -> Tensor:
    """Integers from -largest to largest for a self-test, float32 (rows, columns). Sums of their products are exact."""
    count = torch.arange(rows * columns, dtype=torch.float32, device="cpu")
    return ((7 * count + count.div(columns).floor()) % (2 * largest + 1) - largest).view(rows, columns)


def check_close(result: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """Raises RuntimeError unless both have the same shape and dtype, and values that differ by at most `tolerance`."""
    same = result.shape == expected.shape and result.dtype == expected.dtype
    if not same or not float((result.float() - expected.float()).abs().max()) <= tolerance:
        raise RuntimeError("an operator gives wrong numbers")
