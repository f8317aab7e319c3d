"""The page about the routes, made from their OpenAPI description. The pages that FastAPI has load scripts from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --dim: #59636e; --paper: #fff; --line: #d1d9e0; --accent: #00695c; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --dim: #9aa5b1; --paper: #15191e; --line: #3a434d; --accent: #4db6ac; }
}
body { margin: 0 auto; max-width: 52rem; padding: 1rem; font: 16px/1.5 system-ui, sans-serif; }
body { background: var(--paper); color: var(--ink); }
h2 { font-size: 1.1rem; margin: 2rem 0 .2rem; } a { color: var(--accent); } .dim { color: var(--dim); }
code, pre { font: 14px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; border: 1px solid var(--line); border-radius: 6px; padding: .6rem; }
dt { border-top: 1px solid var(--line); padding-top: .3rem; } dt span { color: var(--dim); padding-left: .6rem; }
dd { margin: 0 0 .4rem; }
"""
EXAMPLES = {
    "/v1/embeddings": '{"input": ["A man plays the guitar.", "Somebody makes music."]}',
    "/predict": '{"texts": ["The striker scored twice before the interval."], "top_k": 3}',
    "/similarity": '{"text": "a cat", "candidates": ["a kitten", "a car"]}',
}


def docs_page(api: Mapping[str, Any]) -> str:
    """The page as HTML."""
    routes = "".join(route for path, methods in api["paths"].items() for route in _routes(api, path, methods))
    info = api["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(info['title'])}</title><style>{STYLE}</style></head><body>"
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p><a href=".">Try the model</a> · <a href="openapi.json">openapi.json</a>, for tools that read OpenAPI</p>'
        f"{routes}</body></html>"
    )


def _routes(api: Mapping[str, Any], path: str, methods: Mapping[str, Any]) -> Iterator[str]:
    for method, route in methods.items():
        yield f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2><p>{_prose(route.get('description', ''))}</p>"
        if body := route.get("requestBody"):
            schema = _resolved(api, body["content"]["application/json"]["schema"])
            yield f"<dl>{''.join(_fields(api, schema))}</dl>"
        yield f"<pre>{escape(_command(path, method))}</pre>"


def _fields(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        need = "required" if name in required else f"default {field['default']}" if field.get("default") is not None else ""
        facts = ", ".join(filter(None, (_type(api, field), need)))
        yield f"<dt><code>{escape(name)}</code><span>{escape(facts)}</span></dt><dd>{_prose(field.get('description', ''))}</dd>"


def _prose(text: str) -> str:
    """A description, with code in backquotes."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _type(api: Mapping[str, Any], field: Mapping[str, Any]) -> str:
    """A JSON schema in a few words."""
    field = _resolved(api, field)
    if "anyOf" in field:
        return " or ".join(_type(api, part) for part in field["anyOf"] if part.get("type") != "null")
    if "enum" in field or "const" in field:
        return " or ".join(f'"{value}"' for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return f"list of {_type(api, field.get('items', {}))}"
    return str(field.get("type", "any"))


def _resolved(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema, or the one that it refers to."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return api["components"]["schemas"][name] if name else schema


def _command(path: str, method: str) -> str:
    """The route as a command of curl."""
    if method == "get":
        return f"curl http://127.0.0.1:8000{path}"
    return f"curl http://127.0.0.1:8000{path} -H 'Content-Type: application/json' \\\n  -d '{EXAMPLES.get(path, '{}')}'"
