"""Builds the ASGI app of a model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.types import ASGIApp

from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.serving.errors import add_error_handlers
from mtlkit.serving.guard import Guard
from mtlkit.serving.metrics import Metrics
from mtlkit.serving.model import ServedModel
from mtlkit.serving.observed import Observed
from mtlkit.serving.routes import embeddings, pages, predict, similarity, status
from mtlkit.serving.service import Service
from mtlkit.serving.settings import Settings

ABOUT = "Vectors and predictions of one model. Errors have the shape of OpenAI's: {error: {message, type, param, code}}."


def create_app(loaded: LoadedModel, settings: Settings) -> ASGIApp:
    """The app that serves a model, with its limits, log and metrics."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        served = ServedModel(loaded, settings, metrics)
        metrics.watch_queue(lambda: served.batcher.queued)
        app.state.service, app.state.metrics = Service(served, settings), metrics
        try:
            yield
        finally:
            served.close()

    app = FastAPI(
        title="mtlkit serve",
        description=ABOUT,
        version=version("mtlkit"),
        lifespan=lifespan,
        docs_url=None,  # these pages load scripts from elsewhere; ours do not
        redoc_url=None,
        redirect_slashes=False,
    )
    add_error_handlers(app)
    for route in (embeddings, predict, similarity, status, pages):
        app.include_router(route.router)
    return Observed(Guard(app, settings), metrics, log_texts=settings.log_texts)
