"""Commands as processes that start at once: a server that has imported everything forks a child for each."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import pty
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

# what trainings import on first use, mostly when they end: a thousand modules, most of the time of a small one
AT_THE_END = (
    *("huggingface_hub", "scipy.optimize", "scipy.stats", "sklearn.linear_model", "sklearn.feature_extraction.text"),
    *("sklearn.model_selection", "mtlkit.cli.training_view", "mtlkit.cli.new_classes", "mtlkit.recipes.inputs.early_checks"),
)
LONGEST = 120.0  # seconds that anything may take before a test fails


class Child:
    """A running command. Its output is in files, or comes from its own terminal."""

    def __init__(self, forks: Forks, pid: int, name: Path, terminal: int | None) -> None:
        self.forks, self.pid, self.name, self.terminal = forks, pid, name, terminal
        self.shown = b""

    def code(self) -> int | None:
        """The exit code, negative after a signal that killed it; None while it runs."""
        self._drain()
        code: int | None = self.forks.ask(["code", self.pid])
        return code

    def until(self, happens: Callable[[], bool], pause: float = 0.001) -> bool:
        """Waits until `happens()`, which is asked after every pause. False if the command ended first."""
        last = time.monotonic() + LONGEST
        while not happens():
            if self.code() is not None:
                return False
            assert time.monotonic() < last, f"nothing happened: {self.err}"
            time.sleep(pause)
        return True

    def lasts(self, seconds: float) -> bool:
        """Waits for some seconds. False if the command ended first."""
        end = time.monotonic() + seconds
        return self.until(lambda: time.monotonic() >= end)

    def wait(self) -> int:
        """Waits for the end and returns the exit code."""
        self.until(lambda: False, pause=0.01)
        code = self.code()
        assert code is not None
        return code

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends a signal. No other process can have the number yet: only `code` waits for a child."""
        if self.code() is None:
            os.kill(self.pid, number)

    def held(self) -> None:
        """Waits until it reaches the call at which it is to be held."""
        assert self.until(self.name.with_suffix(".held").exists), f"ended before: {self.err}"

    def release(self) -> None:
        """Lets it continue. Signals that were sent before are handled first."""
        self.name.with_suffix(".go").touch()

    def type(self, keys: bytes) -> None:
        """Types on its terminal."""
        assert self.terminal is not None
        os.write(self.terminal, keys)

    def hang_up(self) -> None:
        """Closes its terminal."""
        assert self.terminal is not None
        terminal, self.terminal = self.terminal, None
        os.close(terminal)

    @property
    def out(self) -> str:
        return self.name.with_suffix(".out").read_text(encoding="utf-8")

    @property
    def err(self) -> str:
        if self.terminal is None:
            return self.name.with_suffix(".err").read_text(encoding="utf-8")
        return self.shown.decode(errors="replace")

    def _drain(self) -> None:
        while self.terminal is not None:
            try:
                self.shown += os.read(self.terminal, 1 << 16)
            except OSError:  # nothing more for now, or for ever
                return


class Forks:
    """Starts commands."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.server = subprocess.Popen(
            [sys.executable, "-W", "error", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        )

    def ask(self, question: Any) -> Any:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(question) + "\n")
        self.server.stdin.flush()
        return json.loads(self.server.stdout.readline())

    def start(
        self,
        *arguments: object,
        terminal: bool = False,
        hold: str | None = None,
        call: int = 1,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
    ) -> Child:
        """Starts `mtlkit` with these arguments. `hold` is a function, `package.module:function`, whose call number `call` waits
        to be released. The `environment` is set before the command runs, which is too late for variables that PyTorch reads when
        imported."""
        folder = str(cwd or Path.cwd())
        self.count += 1
        name = self.folder / str(self.count)
        words = list(map(str, arguments))
        if not terminal:
            return Child(self, self.ask(["start", words, str(name), None, hold, call, folder, environment or {}]), name, None)
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        pid = self.ask(["start", words, str(name), os.ttyname(slave), hold, call, folder, environment or {}])
        os.close(slave)
        return Child(self, pid, name, master)

    def close(self) -> None:
        """Ends the server and the commands that still run."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(60)
        self.server.stdout.close()


def serve() -> None:
    """Answers requests, one per line, until the input ends."""

    import torch._dynamo  # noqa: F401 (what any optimizer of PyTorch imports: most of the time that a small training takes)

    import mtlkit.cli.app
    import mtlkit.cli.phase
    import mtlkit.recipes.pretrain
    import mtlkit.recipes.train_mtl
    import mtlkit.recipes.train_sentence  # or each child would import them all again
    import mtlkit.training.validation.best_weights
    import mtlkit.training.validation.calibrate
    from mtlkit.config.registries.task_kinds import KINDS

    for name in AT_THE_END:
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            importlib.import_module(name)
    tuple(KINDS)  # imports every kind of task
    mtlkit.cli.phase.FIRST_LINE = 3600.0  # no phase is named just because the machine is busy
    # scores choose the best epoch, and few rows calibrate, as in the tests' own process
    mtlkit.training.validation.best_weights.FEW = 0
    mtlkit.training.validation.calibrate.LEAST = 1
    gc.collect()
    gc.freeze()  # or the garbage collector of each child looks at all modules again and again
    running: set[int] = set()
    for line in sys.stdin:
        name, *rest = json.loads(line)
        if name == "start":
            if not (pid := os.fork()):
                _be(*rest)
            running.add(pid)
            answer: int | None = pid
        else:
            answer = _code(rest[0], running)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for pid in running:
        os.kill(pid, signal.SIGKILL)


codes: dict[int, int] = {}


def _code(pid: int, running: set[int]) -> int | None:
    if pid in running:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            running.remove(pid)
            codes[pid] = os.waitstatus_to_exitcode(status)
    return codes.get(pid)


def _hold(name: str, function: str, call: int) -> None:
    """Makes a function wait at one of its calls until it is released."""
    module, _, path = function.partition(":")
    *owners, last = path.split(".")
    owner: Any = importlib.import_module(module)
    for name_of_owner in owners:
        owner = getattr(owner, name_of_owner)
    real, calls = getattr(owner, last), 0

    def held(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            Path(f"{name}.held").touch()
            while not Path(f"{name}.go").exists():
                time.sleep(0.001)
        return real(*arguments, **named)

    setattr(owner, last, held)


def _be(
    arguments: list[str],
    name: str,
    terminal: str | None,
    hold: str | None,
    call: int,
    folder: str,
    environment: dict[str, str],
) -> NoReturn:
    """Runs a command in the child, as leader of its own session, so that a terminal becomes its own."""
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        for number, path in enumerate([terminal] * 3 if terminal else [os.devnull, f"{name}.out", f"{name}.err"]):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            os.dup2(descriptor, number)
            os.close(descriptor)
        from mtlkit.cli.app import main

        if hold:
            _hold(name, hold, call)
        sys.argv = ["mtlkit", *arguments]
        os.environ.update({"TERM": "xterm-256color", **environment})
        main()
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
