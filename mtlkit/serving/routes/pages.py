"""`GET /`, a page to try the model, and `GET /docs`, a page about the routes. Both load nothing from elsewhere."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import resources

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from mtlkit.serving.docs_page import docs_page

router = APIRouter(include_in_schema=False)
INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


@cache
def try_page() -> str:
    """The static file."""
    return (resources.files("mtlkit.serving") / "page.html").read_text(encoding="utf-8")


def policy(html: str) -> str:
    """A Content-Security-Policy that allows the page's own script and style, requests to this server, and nothing else."""
    allowed: dict[str, list[str]] = {"script": [], "style": []}
    for kind, content in INLINE.findall(html):
        allowed[kind].append(f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'")
    inline = [f"{kind}-src {' '.join(hashes)}" for kind, hashes in allowed.items() if hashes]
    rest = ("img-src data:", "connect-src 'self'", "base-uri 'none'", "form-action 'none'")
    return "; ".join(["default-src 'none'", *inline, *rest])


def page(html: str) -> HTMLResponse:
    headers = {"Content-Security-Policy": policy(html), "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return HTMLResponse(html, headers=headers)


@router.get("/")
async def try_it() -> HTMLResponse:
    return page(try_page())


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    return page(docs_page(request.app.openapi()))
