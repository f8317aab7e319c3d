"""Options of `mtlkit join`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import OUTPUT
from mtlkit.config.option import COMMON, option


@dataclass(frozen=True, kw_only=True)
class JoinOptions(CheckedOptions):
    """Options of `mtlkit join`."""

    folder: str | None = option(
        None, "Folder or URL that embed or predict wrote.", panel=COMMON, positional=True, metavar="FOLDER", complete="file"
    )
    output: Path | None = option(
        None,
        "Join the parts into this file, of their format.",
        metavar="FILE",
        panel=COMMON,
        short="-o",
        default_text="check the parts only",
        complete="file",
    )
    overwrite: bool = option(False, "Replace --output.", panel=OUTPUT)
