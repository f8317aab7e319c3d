"""Shows the functions of mtlkit.api with the keyword arguments that they take when called, which their decorator derives."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import griffe

KINDS = {inspect.Parameter.KEYWORD_ONLY: griffe.ParameterKind.keyword_only}


class DerivedSignatures(griffe.Extension):
    """Replaces the parameters of decorated functions."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        if func.module.path != "mtlkit.api" or not func.decorators:
            return
        called = getattr(import_module(func.module.path), func.name)
        func.parameters = griffe.Parameters(
            *(
                griffe.Parameter(one.name, annotation=str(one.annotation), kind=KINDS[one.kind], default=shown(one.default))
                for one in inspect.signature(called).parameters.values()
            )
        )


def shown(default: Any) -> str:
    """A default as it would be written."""
    return f"Path({str(default)!r})" if isinstance(default, Path) else repr(default)
