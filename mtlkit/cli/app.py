"""The command `mtlkit`: its subcommands, and the handling of errors and signals."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import suppress
from io import TextIOWrapper
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from mtlkit.cli import (
    check_data,
    curves,
    embed,
    evaluate,
    export,
    heads,
    info,
    join,
    mine,
    predict,
    pretrain,
    report,
    runs,
    serve,
    train_mtl,
    train_sentence,
)
from mtlkit.cli.console import SHOWN, close_stdout, reader_left, say
from mtlkit.cli.options.arguments import with_values
from mtlkit.cli.options.command import Command, drawn, shown
from mtlkit.cli.options.completion import VARIABLE, in_bash
from mtlkit.cli.options.help import Entry, Page
from mtlkit.cli.version import show_version
from mtlkit.config.launch import launched
from mtlkit.errors import DataError, MtlkitError, StoppedError, UsageError, shorten

INTERRUPTED, TERMINATED = 130, 143
LONGEST_WORD, LONGEST_MESSAGE = 400, 2000  # letters of an error that are shown

# what an environment that only runs ONNX exports does without
OPTIONAL = ("torch", "datasets", "pyarrow", "scipy", "plotext", "fsspec")

SUMMARY = "From raw text to a small sentence encoder with several task heads."
TRAIN, USE, LOOK = "Train", "Use a model", "Inspect data and runs"
PANELS_OF = {
    TRAIN: (pretrain, train_sentence, train_mtl),
    USE: (embed, predict, join, mine, heads, export, serve),
    LOOK: (check_data, evaluate, curves, report, runs, info),
}


class Commands(TyperGroup):
    """All commands; its help groups them."""

    def get_help(self, ctx: Any) -> str:
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        entries = [
            Entry(name, command.get_short_help_str(200), command.panel)
            for name, command in commands
            if isinstance(command, Command)
        ]
        page = Page("mtlkit COMMAND [OPTIONS]", f"{SUMMARY}\n\n{MORE}", [*entries, *OWN], EXAMPLES)
        return shown(drawn(page))


MORE = "Every command works without options, on small samples and a model in the package. Start with these:"
EXAMPLES = (
    'mtlkit embed --similarity "A man plays the guitar." "Somebody makes music."',
    "mtlkit train-mtl --freeze backbone",
    "mtlkit eval --confusion",
)
OWN = (
    Entry("-h, --help", "Show this help; with a command, show its options.", "Help"),
    Entry("--version", "Show the version; with -v, all that a bug report should say about the installation.", "Help"),
    Entry("--install-completion", "Install completion for the current shell.", "Help"),
    Entry("--show-completion", "Show the completion script, to install it by hand.", "Help"),
)

app = typer.Typer(
    name="mtlkit",
    help=SUMMARY,
    cls=Commands,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in PANELS_OF.items():
    for command in commands:
        command.register(app, panel)


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="With --version: describe the installation.")] = False,
) -> None:
    if version:
        show_version(verbose)
        raise typer.Exit
    if verbose:
        raise UsageError("-v needs --version here; --verbose of a command follows its name, as in: mtlkit train-mtl --verbose")
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


class Terminated(BaseException):
    """SIGTERM or SIGHUP as an exception, so that cleanup code runs."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


def terminate(number: int, _frame: FrameType | None) -> None:
    if number != signal.SIGTERM:
        signal.signal(number, signal.SIG_IGN)  # several come when a terminal closes; the others must not disturb the cleaning up
    raise Terminated(number)


def heed_signals() -> None:
    """Makes SIGTERM and SIGHUP end the program cleanly. A SIGHUP that is ignored, as under nohup, stays ignored."""
    signal.signal(signal.SIGTERM, terminate)
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        signal.signal(hangup, terminate)


def main() -> NoReturn:
    """Runs the command line. Exit codes: 0 ok, 1 bug, 2 usage, 3 data, 4 integrity, 5 diverged, 6 network, 129, 130, 143."""
    heed_signals()
    logging.getLogger("mtlkit").addHandler(SHOWN)
    Console.on_broken_pipe = reader_left  # type: ignore[method-assign,assignment]  # that of Typer's help, too
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that the terminal lacks shows as its number
    if os.environ.get(VARIABLE) == "complete_bash":
        in_bash(lambda: app(standalone_mode=False))
        sys.exit(0)
    try:
        code = app(with_values(sys.argv[1:]), standalone_mode=False)
        sys.stdout.flush()
    except (MtlkitError, StoppedError) as error:
        fail(str(error), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Terminated as error:
        fail("terminated" if error.exit_code == TERMINATED else "the terminal was closed (SIGHUP)", error.exit_code)
    except BrokenPipeError:
        close_stdout()
        sys.exit(0)
    except OSError as error:
        from mtlkit.runs.atomic import DISK_FULL

        if isinstance(error, PermissionError) and error.filename is not None:
            fail(
                f"{os.fsdecode(error.filename)}: no permission; change its permissions, or name another place",
                UsageError.exit_code,
            )
        if error.errno not in DISK_FULL:
            raise
        close_stdout()
        fail(f"no room left ({error.strerror}); make some and run this again", DataError.exit_code)
    except ModuleNotFoundError as error:
        if (missing := (error.name or "").partition(".")[0]) not in OPTIONAL:
            raise
        fail(f"{missing} is not installed, and this needs it; install it with: pip install {missing}", UsageError.exit_code)
    except Exception as error:
        if was_interrupted(error):  # in the middle of an import, whose library made its own error of it
            fail("interrupted", INTERRUPTED)
        # Typer's own complaints about options carry their exit code; anything else is a bug and shows its traceback.
        if not hasattr(error, "format_message"):
            raise
        fail(complaint(error), getattr(error, "exit_code", 2))
    if code == INTERRUPTED:
        fail("interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def complaint(error: Any) -> str:
    """What Typer has against the command line; in the words of mtlkit if a value is no number."""
    causes = getattr(error.__cause__, "errors", None)  # of pydantic, by which Typer reads values
    first = causes()[0] if callable(causes) else {"type": ""}
    kind = "whole number" if first["type"].startswith("int_") else "number" if first["type"].startswith("float_") else ""
    names = getattr(getattr(error, "param", None), "opts", None)
    if kind and names:
        return f"{names[0]}: {shorten(repr(first['input']), 60)} is not a {kind}"
    return f"{error.format_message()} (see --help)"


def was_interrupted(error: BaseException | None) -> bool:
    """Whether an error was caused by Ctrl-C."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def fail(message: str, code: int) -> NoReturn:
    """One line on stderr, shortened: a message may contain long user input."""
    with suppress(UsageError):
        if launched().size > 1:  # the launcher now stops all processes, and this one has said why it ends
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    words = " ".join(shorten(word, LONGEST_WORD) for word in message.split())
    with suppress(OSError):  # nobody reads it, or its terminal was closed
        say(f"mtlkit: {shorten(words, LONGEST_MESSAGE)}")
    sys.exit(code)
