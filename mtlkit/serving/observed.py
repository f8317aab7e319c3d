"""The outermost layer of the server: counts and logs each request, and answers 500 for a bug. No text of a request is logged
unless the settings say so."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mtlkit.errors import counted
from mtlkit.serving.errors import error_answer
from mtlkit.serving.metrics import Metrics

REQUESTS = logging.getLogger("mtlkit.serving.requests")
QUIET = ("/health", "/metrics")  # asked for every few seconds
OTHER = "other"


class Observed:
    def __init__(self, app: ASGIApp, metrics: Metrics, *, log_texts: bool) -> None:
        self.app, self.metrics, self.log_texts = app, metrics, log_texts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        state: dict[str, Any] = scope.setdefault("state", {})
        try:
            with self.metrics.running.track_inprogress():
                await self.app(scope, receive, noting)
        except Exception as error:
            REQUESTS.error("%s", self._trace(error))
            if not status:
                await error_answer(500, "internal error; the server's log says more")(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", OTHER)
            texts, tokens = state.get("texts", ()), state.get("tokens", 0)
            seconds = time.perf_counter() - started
            self.metrics.request(route, status, seconds, len(texts), tokens)
            if route not in QUIET:
                REQUESTS.info("%s", self._line(scope, route, status, seconds, texts, tokens))

    def _line(self, scope: Scope, route: str, status: int, seconds: float, texts: Sequence[Any], tokens: int) -> str:
        """The client, the route (never the path itself, which may have anything in it), the status, the time and the amount."""
        client = (scope.get("client") or ("-",))[0]
        line = f"{client} {scope['method']} {route} {status} {1000 * seconds:.1f} ms"
        if texts:
            line += f", {counted(len(texts), 'text')}, {counted(tokens, 'token')}"
            if self.log_texts:
                line += f": {json.dumps(texts)}"  # with line breaks and control characters escaped
        return line

    def _trace(self, error: Exception) -> str:
        """Where a bug is; without its message, which may have a text in it."""
        shown = traceback.format_exception(error) if self.log_texts else traceback.format_tb(error.__traceback__)
        return f"internal error: {type(error).__name__}\n{''.join(shown)}".rstrip()
