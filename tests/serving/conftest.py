"""Real servers on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from forks import Child, Forks
from http_client import Client

from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel

MAX_BYTES = 1 << 16
MAX_TEXTS = 40


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    child: Child
    client: Client

    @property
    def log(self) -> str:
        return self.child.err

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.child.kill(number)
        return self.child.wait()


Serve = Callable[..., Running]


@pytest.fixture(scope="session")
def serve(forks: Forks) -> Iterator[Serve]:
    """`serve(run, "--api-key", "x", hold="...")` starts `mtlkit serve` and waits until it answers."""
    children: list[Child] = []

    def start(*arguments: object, hold: str | None = None, call: int = 1, **environment: str) -> Running:
        words = ("serve", *arguments, "--port", 0, "--json")
        child = forks.start(*words, hold=hold, call=call, environment=environment)
        children.append(child)
        said = child.name.with_suffix(".out")
        assert child.until(lambda: said.exists() and child.out.rstrip().endswith("}"), pause=0.02), child.err
        ready = json.loads(child.out)
        assert ready["pid"] == child.pid
        return Running(child, Client(int(ready["url"].rpartition(":")[2])))

    yield start
    for child in children:
        child.kill()


@pytest.fixture(scope="session")
def server(serve: Serve, runs: Path) -> Running:
    """The run with the heads `kind` and `state`, with low limits."""
    return serve(runs / "mtl", "--max-bytes", MAX_BYTES, "--max-texts", MAX_TEXTS)


@pytest.fixture(scope="session")
def client(server: Running) -> Client:
    return server.client


@pytest.fixture(scope="session")
def keyed(serve: Serve, runs: Path) -> Running:
    """A server that asks for the key "s3cret" and logs texts."""
    return serve(runs / "mtl", "--log-texts", MTLKIT_API_KEY="s3cret")


@pytest.fixture(scope="session")
def loaded(runs: Path) -> LoadedModel:
    """The same model in this process."""
    return load(runs / "mtl")
