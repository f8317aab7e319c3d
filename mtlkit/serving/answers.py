"""Answers of routes that run the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response

from mtlkit.serving.model import Counted


def answer(request: Request, document: Mapping[str, Any], computed: Counted, texts: Sequence[Any]) -> Response:
    """A document with its usage, as JSON; notes what the log and the metrics say of the request."""
    usage = {"prompt_tokens": computed.tokens, "total_tokens": computed.tokens}
    request.state.texts, request.state.tokens = texts, computed.tokens
    content = orjson.dumps({**document, "usage": usage}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {"mtlkit-cut": str(computed.cut)} if computed.cut else None
    return Response(content, media_type="application/json", headers=headers)
