"""What a request must pass before it reaches a route: the key, the size of its body, and the time that it takes to arrive."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mtlkit.serving.errors import RequestError
from mtlkit.serving.settings import Settings

OPEN = ("/", "/health", "/docs", "/openapi.json")  # no key is needed: nothing is computed or told of other requests
BEARER = re.compile(rb"bearer +(.+)", re.IGNORECASE)
BODIES = 32  # of the largest size that are in memory at a time
DRAINED = 64 << 20  # bytes of a refused body that are read, so that its sender gets to the answer
DRAIN_SECONDS, DRAIN_PAUSE = 10.0, 1.0  # in all, and without any


class Guard:
    """Reads the body of each request before the app runs; answers 401, 408, 413 and 503 itself."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.held = 0  # bytes of bodies in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self._holding() as body:
            try:
                self._check_key(scope)
                await self._read(scope, receive, body)
            except RequestError as refused:
                answer = refused.answer()
                answer.headers["Connection"] = "close"
                await answer(scope, receive, send)
                return
            except ConnectionResetError:  # the client left before its request was complete
                return
            await self.app(scope, _replayed(bytes(body), receive), send)

    def _check_key(self, scope: Scope) -> None:
        """Raises RequestError unless the request has the key, or needs none."""
        key = self.settings.api_key
        if key is None or scope["path"] in OPEN:
            return
        sent = [BEARER.fullmatch(value) for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) != 1 or sent[0] is None or not hmac.compare_digest(sent[0][1], key):
            raise RequestError(401, "the API key is missing or wrong; send the header 'Authorization: Bearer KEY'")

    @contextmanager
    def _holding(self) -> Iterator[bytearray]:
        """A body that is counted while it is in memory."""
        body = bytearray()
        try:
            yield body
        finally:
            self.held -= len(body)

    async def _read(self, scope: Scope, receive: Receive, body: bytearray) -> None:
        """Fills the body. Raises RequestError, and ConnectionResetError if the client leaves."""
        limit = self.settings.max_bytes
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        too_large = RequestError(413, f"the body is larger than {limit:,} bytes; send fewer texts in a request")
        if int(declared if declared.isdigit() else 0) > limit:
            if b"expect" not in headers:  # else the body comes only when it is asked for
                await _drain(receive)
            raise too_large
        try:
            await asyncio.wait_for(self._fill(receive, body, limit), self.settings.timeout)
        except asyncio.TimeoutError:
            raise RequestError(408, f"the body did not arrive within {self.settings.timeout:g} s") from None
        if len(body) > limit:
            await _drain(receive)
            raise too_large

    async def _fill(self, receive: Receive, body: bytearray, limit: int) -> None:
        more = True
        while more and len(body) <= limit:
            chunk, more = _part(await receive())
            if self.held + len(chunk) > BODIES * limit:
                raise RequestError(503, "too many large requests at a time; try again later", retry_after=1)
            body += chunk
            self.held += len(chunk)


def _part(message: Message) -> tuple[bytes, bool]:
    """A part of a body, and whether more follows. Raises ConnectionResetError."""
    if message["type"] == "http.disconnect":
        raise ConnectionResetError
    return message.get("body", b""), message.get("more_body", False)


async def _drain(receive: Receive) -> None:
    """Reads the rest of a body and forgets it: closing a connection with unread data would discard the answer on its way."""

    async def read() -> None:
        done, more = 0, True
        while more and done < DRAINED:
            chunk, more = _part(await asyncio.wait_for(receive(), DRAIN_PAUSE))
            done += len(chunk)

    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(read(), DRAIN_SECONDS)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the whole body first."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
