"""The command `mtlkit`: its subcommands, and what becomes of errors and signals."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from mtlkit import __version__
from mtlkit.cli import embed, evaluate, predict, pretrain, train_mtl, train_sentence
from mtlkit.errors import MtlkitError

INTERRUPTED, TERMINATED = 130, 143

app = typer.Typer(
    name="mtlkit",
    help="From raw text to a small sentence encoder with several task heads.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (pretrain, train_sentence, train_mtl, embed, evaluate, predict):
    command.register(app)


def show_version(value: bool) -> None:
    if value:
        typer.echo(f"mtlkit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """From raw text to a small sentence encoder with several task heads."""


class Terminated(BaseException):
    """SIGTERM, raised where the program stands so that what was begun is cleaned up."""


def terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def main() -> NoReturn:
    """Runs the command line. Exit codes: 0 ok, 1 bug, 2 usage, 3 data, 4 integrity, 5 diverged, 6 network, 130, 143."""
    signal.signal(signal.SIGTERM, terminate)
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except MtlkitError as error:
        fail(str(error), error.exit_code)
    except typer.TyperException as error:
        error.show()
        sys.exit(error.exit_code)
    except typer.Abort:
        fail("interrupted", INTERRUPTED)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except Terminated:
        fail("terminated", TERMINATED)
    except BrokenPipeError:
        # The reader (head, less) has left: no fault of anybody's. What is still buffered goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str, code: int) -> NoReturn:
    print(f"mtlkit: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
