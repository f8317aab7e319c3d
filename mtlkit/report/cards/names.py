"""Names of files, models, data and commands as a model card may show them: without folders of this machine, users or secrets."""

from __future__ import annotations

import re
import shlex
from typing import Any
from urllib.parse import urlsplit

from mtlkit.config.architecture import TASK_NAME
from mtlkit.config.shell import command_text
from mtlkit.data.sources.grammar.spec import split_source

CACHED = re.compile(r"models--([\w.-]+?)--([\w.-]+)[\\/]snapshots[\\/]")  # in the cache of the hub
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# absolute on any system, or of a home folder, or above the current one
ELSEWHERE = re.compile(r"[\\/]|[A-Za-z]:[\\/]|~|(?:.*[\\/])?\.\.(?:[\\/]|$)")


def cached_hub_id(path: str) -> str | None:
    """The hub id of a model in the hub's cache; None for any other path."""
    found = CACHED.search(path)
    return f"{found[1]}/{found[2]}" if found else None


def public_path(path: str) -> str:
    """A path or URL: a model of the hub by its id, a relative path as it is, else the last name; a URL without user and query."""
    if hub_id := cached_hub_id(path):
        return hub_id
    if URL.match(path) and not path.startswith("file:"):
        parts = urlsplit(path)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if not ELSEWHERE.match(path) and not path.startswith("file:"):
        return path
    names = [name for name in re.split(r"[\\/]+", path) if name not in ("", ".", "..", "~") and not name.startswith("~")]
    return names[-1] if names else "."


def public_source(source: str) -> str:
    """The data of a task, with its keys."""
    address = split_source(source)[0]
    return public_path(address) + source[len(address) :]


def public_word(word: str) -> str:
    """A value of an option: a path, a source, or NAME=SOURCE; anything else is returned as it is."""
    name, equals, rest = word.partition("=")
    if equals and rest and TASK_NAME.fullmatch(name):
        return f"{name}={public_word(rest)}"
    return public_source(word) if ELSEWHERE.match(word) or URL.match(word) or word.startswith("file:") else word


def public_command(command: str) -> str:
    """A recorded command; empty if it cannot be taken apart."""
    try:
        return command_text(map(public_word, shlex.split(command)))
    except ValueError:  # quotes of another system's shell
        return ""


def public_value(value: Any) -> Any:
    """A JSON value with every string in it as `public_word` shows it."""
    if isinstance(value, dict):
        return {key: public_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [public_value(item) for item in value]
    return public_word(value) if isinstance(value, str) else value
