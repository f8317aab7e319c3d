"""`mtlkit serve`."""

from __future__ import annotations

import logging
import os
import sys

import typer

from mtlkit.cli.console import StandardError, print_json, say, say_notes
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import loading
from mtlkit.config.commands.serve import ServeOptions


def serve(options: ServeOptions, as_json: bool) -> None:
    """Serve a model over HTTP: vectors, predictions, a page to try it.

    POST /v1/embeddings answers as OpenAI's API does, so that its clients work with base_url="http://127.0.0.1:8000/v1"; POST
    /predict gives what every head says. GET / is a page to type a text, /docs describes all routes, /health and /metrics are for
    monitoring. Requests that arrive together are computed together.

    Ctrl-C or SIGTERM stops it after the requests that are under way. No text is logged unless --log-texts is given. Needs the
    extra 'serve'; with an ONNX export as RUN, no torch.
    """
    from mtlkit.recipes.serve import check_installed

    check_installed()
    with loading():
        from mtlkit.recipes.inputs.open_model import open_model
        from mtlkit.recipes.serve import open_server
        from mtlkit.serving.settings import LOCAL

        loaded, found = open_model(options)
    opened = open_server(options, loaded)
    say(f"model: {found}, {found.reason}")
    say_notes(loaded)
    if options.host not in LOCAL and opened.settings.api_key is None:
        say(f"anyone who reaches {opened.address} can use it; set a key in MTLKIT_API_KEY", "yellow")
    log_requests()

    def ready() -> None:
        if as_json:
            print_json({"url": str(opened.address), "model": opened.settings.name, "pid": os.getpid()})
            sys.stdout.flush()
        say(f"serving {opened.settings.name} at {opened.address} (Ctrl-C stops)")

    opened.run(ready)


def log_requests() -> None:
    """Writes a line for each request to stderr."""
    logger = logging.getLogger("mtlkit.serving")
    handler = logging.StreamHandler(StandardError())
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit serve mini",
        "mtlkit serve runs/mtl --port 9000",
        "MTLKIT_API_KEY=secret mtlkit serve runs/mtl --host 0.0.0.0",
        "mtlkit serve runs/mtl/onnx",
    ]
    add_command(app, "serve", ServeOptions, serve, examples, panel)
