"""Reads the TOML file of `--config`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mtlkit.config.small_files import Unreadable, read_text
from mtlkit.errors import UsageError, listed, suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_config(path: Path, known: list[str], lists: list[str]) -> dict[str, Any]:
    """The options in a TOML file; `batch-tokens` and `batch_tokens` are the same. An option of `lists` may have a single value.

    Raises UsageError for an unknown key.
    """
    try:
        values = tomllib.loads(read_text(path))
    except Unreadable as error:
        raise UsageError(f"--config {path}: {error}; give a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"--config {path}: not TOML ({error})") from None
    options = {key.replace("-", "_"): value for key, value in values.items()}
    for key in options:
        if key not in known:
            names = [name.replace("_", "-") for name in known]
            raise UsageError(
                f"--config {path}: no option '{key}'; options: {listed(names, 40)}{suggest(key.replace('_', '-'), names)}"
            )
    return {key: [value] if key in lists and not isinstance(value, list) else value for key, value in options.items()}
