"""Runs the app on a port until a signal stops it."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from mtlkit.errors import UsageError
from mtlkit.serving.settings import Settings

KEEP_ALIVE = 75  # seconds that an idle connection stays open, more than proxies keep theirs
BACKLOG = 2048


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections. Raises UsageError."""
    if not host.strip():
        raise UsageError("--host is empty; use an address of this machine, such as 127.0.0.1")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host {host}: {error}; use an address of this machine, such as 127.0.0.1") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(f"cannot listen on {Address(host, port)} ({error.strerror}); use another --port or --host") from None
    return listening


def run(app: ASGIApp, listening: socket.socket, settings: Settings, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or Ctrl-C; then finishes the requests that are under way, and raises the signal again."""
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # garbage on a connection is no news; `Observed` logs the rest
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        ws="none",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=math.ceil(settings.timeout) + 1,
        limit_concurrency=settings.max_connections,
        backlog=BACKLOG,
    )
    server = Server(config, ready)
    server.run([listening])


class Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready()
