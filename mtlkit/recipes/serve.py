"""`mtlkit serve`: a model behind HTTP."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mtlkit.config.commands.serve import ServeOptions
from mtlkit.errors import UsageError, listed
from mtlkit.inference.loaded_model import LoadedModel

if TYPE_CHECKING:
    from mtlkit.serving.server import Address
    from mtlkit.serving.settings import Settings

NEEDED = ("fastapi", "uvicorn", "prometheus_client", "orjson")


@dataclass(frozen=True)
class Opened:
    """A server that listens, and does not answer yet."""

    loaded: LoadedModel
    settings: Settings
    listening: socket.socket
    address: Address

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serves until SIGTERM or Ctrl-C, after which requests that are under way are finished. Calls `ready` first."""
        from mtlkit.serving.app import create_app
        from mtlkit.serving.server import run

        run(create_app(self.loaded, self.settings), self.listening, self.settings, ready)


def check_installed() -> None:
    """Raises UsageError if the extra `serve` is not installed."""
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise UsageError(f"serve needs {listed(missing)}; install with: pip install 'mtlkit[serve]'")


def open_server(options: ServeOptions, loaded: LoadedModel) -> Opened:
    """Listens on the port. Raises UsageError."""
    from mtlkit.serving.server import Address, listen
    from mtlkit.serving.settings import resolve

    settings = resolve(options, loaded, os.environ)
    listening = listen(options.host, options.port)
    return Opened(loaded, settings, listening, Address(options.host, listening.getsockname()[1]))
