"""What every route that runs the model shares: checks of a request, its time limit, and a client that leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from fastapi import Request

from mtlkit.errors import counted
from mtlkit.serving.errors import GONE, RequestError
from mtlkit.serving.model import ServedModel
from mtlkit.serving.settings import Settings

T = TypeVar("T")


class Service:
    """A served model with its settings."""

    def __init__(self, served: ServedModel, settings: Settings) -> None:
        self.served, self.loaded, self.settings = served, served.loaded, settings

    def check(self, model: str | None, texts: Sequence[Any], field: str) -> None:
        """Raises RequestError for another model than the served one, and for too many texts."""
        if model is not None and model != self.settings.name:
            raise RequestError(
                404, f"this server has no model of that name; it has {self.settings.name}", field="model", code="model_not_found"
            )
        if len(texts) > self.settings.max_texts:
            most = self.settings.max_texts
            raise RequestError(422, f"{field}: {counted(len(texts), 'text')} in one request; send {most:,} or less", field=field)

    def dim(self, dimensions: int | None) -> int:
        """The width of vectors. Raises RequestError."""
        if dimensions is not None and dimensions > self.loaded.full_dim:
            raise RequestError(
                422, f"dimensions: the vectors of this model have {self.loaded.full_dim}; send that or less", field="dimensions"
            )
        return dimensions or self.settings.dim

    async def within_limits(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, which is cancelled if the client leaves or it takes too long. Raises RequestError then."""
        working = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait({working, leaving}, timeout=self.settings.timeout, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            if leaving.done():
                raise RequestError(GONE, "the client closed the connection")
            raise RequestError(503, f"not computed within {self.settings.timeout:g} s; send fewer texts", retry_after=1)
        finally:
            working.cancel()
            leaving.cancel()


async def _left(request: Request) -> None:
    """Returns when the client has closed its connection; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def service_of(request: Request) -> Service:
    """The service of the app, for FastAPI's dependencies."""
    service: Service = request.app.state.service
    return service
