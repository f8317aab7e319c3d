"""Turns functions of an options object into functions of keyword arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from mtlkit.errors import suggest

Keywords = ParamSpec("Keywords")
Options = TypeVar("Options")
Result = TypeVar("Result")


def takes(options: Callable[Keywords, Options]) -> Callable[[Callable[[Options], Result]], Callable[Keywords, Result]]:
    """Turns a function of an options object into one of its keyword arguments, for type checkers as for `help()`.

    An unknown keyword raises TypeError with the nearest name; a value of the wrong type or out of range raises OptionError.
    """

    def decorate(function: Callable[[Options], Result]) -> Callable[Keywords, Result]:
        declared = _declared(options)
        known = [item.name for item in declared]

        @wraps(function)
        def call(*args: Keywords.args, **kwargs: Keywords.kwargs) -> Result:
            if args:
                raise TypeError(f"{function.__name__}() takes keyword arguments only, such as {known[0]}=...")
            for name in kwargs:
                if name not in known:
                    raise TypeError(f"{function.__name__}() has no option '{name}'{suggest(name, known)}")
            return function(options(*args, **kwargs))

        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [_parameter(item) for item in declared], return_annotation=function.__annotations__["return"]
        )
        call.__doc__ = f"{inspect.getdoc(function)}\n\n{_arguments(declared)}"
        return call

    return decorate


def _declared(options: Callable[..., Any]) -> list[Field[Any]]:
    """The fields of a class of options that the command line has, too."""
    assert isinstance(options, type)
    assert is_dataclass(options)
    return [item for item in fields(options) if "option" in item.metadata]


def _parameter(item: Field[Any]) -> inspect.Parameter:
    default = item.default if item.default_factory is MISSING else item.default_factory()
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=item.type)


def _arguments(declared: Iterable[Field[Any]]) -> str:
    """The section of a docstring that describes the keyword arguments, from the help of the command line."""
    lines = [f"    {item.name}: {item.metadata['option'].full_help}" for item in declared]
    return "\n".join(["Args:", *lines]).replace("\\[", "[")
