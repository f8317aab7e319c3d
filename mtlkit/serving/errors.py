"""Errors as answers: a status and a body in the shape of OpenAI's."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mtlkit.errors import MtlkitError, NotFiniteError, UsageError, shorten, suggest

LOG = logging.getLogger(__name__)
TYPES = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}  # others by their class
LONGEST_PLACE = 80
GONE = 499  # the client left before its answer was ready


class RequestError(Exception):
    """A request that is not carried out: its status, and for the client a message, the field at fault, a code, and after how
    many seconds another try may succeed."""

    def __init__(
        self, status: int, message: str, *, field: str | None = None, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.code, self.retry_after = status, message, field, code, retry_after

    def answer(self) -> JSONResponse:
        headers = {} if self.retry_after is None else {"Retry-After": str(max(1, math.ceil(self.retry_after)))}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return error_answer(self.status, self.message, self.field, self.code, headers)


def error_answer(
    status: int, message: str, field: str | None = None, code: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    error = {"message": message, "type": kind, "param": field, "code": code}
    return JSONResponse({"error": error}, status, dict(headers or {}))


def add_error_handlers(app: FastAPI) -> None:
    """Turns every error into an answer in one shape. None of them repeats what the client sent."""

    def refused(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestError)
        return error.answer()

    def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        field, message = explain(error)
        return error_answer(422, f"{field}: {message}" if field else message, field)

    def http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        malformed = error.status_code == 400
        message = "the body is not valid JSON in UTF-8" if malformed else str(error.detail)
        return error_answer(error.status_code, message, headers=error.headers)

    def failed(request: Request, error: Exception) -> JSONResponse:
        """A request that the model cannot carry out, a text whose vector is not finite, or a damaged model. Clients do not learn
        where its files are."""
        if isinstance(error, UsageError):
            service = request.app.state.service
            return error_answer(422, str(error).replace(service.loaded.name, service.settings.name))
        LOG.error("%s", error)
        return error_answer(
            500, str(error) if isinstance(error, NotFiniteError) else "the model failed; the server's log says more"
        )

    app.add_exception_handler(RequestError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(MtlkitError, failed)


def explain(error: RequestValidationError) -> tuple[str | None, str]:
    """The field that the first problem is in, and what is wrong with it."""
    first: dict[str, Any] = error.errors()[0]
    kind, place = first["type"], [part for part in first["loc"] if part != "body"]
    if kind == "json_invalid":
        return None, "the body is not valid JSON"
    if not place:
        return None, "the body is not a JSON object; send one with the header 'Content-Type: application/json'"
    field = shorten("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip("."), LONGEST_PLACE)
    if kind == "extra_forbidden":
        return field, f"no such field{suggest(field, first.get('ctx', {}).get('fields', ()))}"
    return field, str(first["msg"]).removeprefix("Value error, ")
