"""Which model a command takes: the folder asked for, the hub's, or the newest run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.architecture import Stage
from mtlkit.errors import IntegrityError, UsageError, listed, suggest
from mtlkit.runs import diagnose, newest

WAYS = {
    "base": "train one with 'mtlkit pretrain', or start from fresh weights with --init scratch",
    "sentence": "train one with 'mtlkit pretrain' and 'mtlkit train-sentence', or start from fresh weights with --init scratch",
    "any": "train one with 'mtlkit pretrain', 'mtlkit train-sentence' or 'mtlkit train-mtl', or name one with --model",
    "export": "train one with 'mtlkit pretrain', 'mtlkit train-sentence' or 'mtlkit train-mtl', or name its folder",
}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Found:
    """A model's folder and why it was taken."""

    path: Path
    reason: str


def find_model(asked: str | None, runs: Path, stages: Sequence[Stage], way: str) -> Found:
    """The folder or hub id asked for, else the newest run of the first stage that has one.

    Raises UsageError when there is none, NetworkError when the hub cannot be asked.
    """
    if asked is not None:
        path = Path(asked).expanduser()
        if not path.exists():
            if HUB_ID.fullmatch(asked) and not path.parent.is_dir():
                from mtlkit.recipes.hub import download

                return Found(download(asked), f"{asked} of the Hugging Face hub")
            there = [str(one.parent) for one in sorted(runs.glob("*/run.json"))] if runs.is_dir() else []
            known = f"; runs: {listed(there)}" if there else ""
            raise UsageError(f"model {asked}: no such folder{known}{suggest(asked, there)}")
        if path.is_file():
            what = diagnose(path) or "a file"
            raise IntegrityError(f"{asked}: {what}; name the folder of a run")
        return Found(path, "as asked")
    path_found = newest(runs, stages)
    if path_found is None:
        raise UsageError(f"no model under {runs}/; {WAYS[way]}")
    return Found(path_found, f"the newest run under {runs}/ that fits")
