"""`GET /health` and `GET /metrics`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from mtlkit.serving.metrics import CONTENT_TYPE, Metrics
from mtlkit.serving.service import Service, service_of

router = APIRouter(tags=["Status"])


@router.get("/health")
async def health(service: Annotated[Service, Depends(service_of)]) -> JSONResponse:
    """200 while the server computes; 503 if it cannot."""
    alive = service.served.batcher.thread.is_alive()
    return JSONResponse({"status": "ok" if alive else "failed", "model": service.settings.name}, 200 if alive else 503)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Counts in the text format of Prometheus."""
    counts: Metrics = request.app.state.metrics
    return Response(counts.text(), media_type=CONTENT_TYPE)
