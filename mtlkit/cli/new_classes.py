"""Asks what to do with classes that an existing head does not know."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args

from mtlkit.cli.console import can_ask, say, stderr
from mtlkit.config.launch import launched
from mtlkit.config.task_training import NewClasses, TaskTrainingOptions
from mtlkit.errors import NewClassesError

if TYPE_CHECKING:
    from mtlkit.training.events import Event

Options = TypeVar("Options", bound=TaskTrainingOptions)
ANSWERS = [choice for choice in get_args(NewClasses) if choice != "ask"]


def followed_asking(stream: Callable[[Options], Iterable[Event]], options: Options, as_json: bool) -> None:
    """Trains and shows it. If data has classes that its head does not know, asks on a terminal and begins again."""
    from mtlkit.cli.training_view import follow

    try:
        follow(stream(options), as_json, verbose=options.verbose)
    except NewClassesError as error:
        interactive = can_ask() and launched().size == 1
        if options.new_classes != "ask" or not interactive:
            raise
        say(str(error), "yellow")
        if (choice := asked()) == "refuse":
            raise
        follow(stream(replace(options, new_classes=cast(Any, choice))), as_json, verbose=options.verbose)


def asked() -> str:
    """The choice that was typed, in full or by its first letters; refuse for an empty line or the end of the input."""
    while True:
        stderr().print(f"--new-classes {'|'.join(ANSWERS)} (refuse): ", end="", markup=False)
        typed = sys.stdin.readline().strip().lower()
        chosen = [choice for choice in ANSWERS if typed and choice.startswith(typed)]
        if not typed or len(chosen) == 1:
            return chosen[0] if chosen else "refuse"
