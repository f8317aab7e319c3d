"""TorchJD's methods as parameters of tests. Those that need a module that is not installed are skipped, with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.config.registries.balancing import BALANCING
from mtlkit.config.registries.methods import ordered
from mtlkit.training.balancing.registry import missing_module

TORCHJD = [method.name for method in ordered(BALANCING) if method.on_gradients]
OWN = [method.name for method in ordered(BALANCING) if not method.on_gradients]


def if_installed(name: str, *more: object, slow: bool = False) -> Any:
    """A parameter (or several, with `more`) that is skipped if the method cannot run; slow ones run with `-m slow`."""
    missing = missing_module(name) if name in BALANCING else None
    marks = [pytest.mark.skipif(missing is not None, reason=f"{name} needs {missing}")]
    return pytest.param(name, *more, marks=[*marks, pytest.mark.slow] if slow else marks)


METHODS = [if_installed(name) for name in TORCHJD]
