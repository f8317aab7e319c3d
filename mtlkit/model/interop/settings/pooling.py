"""The configuration of sentence-transformers' Pooling module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtlkit.config.pooling import MOST, WEIGHTED, Pooling, pooling_modes
from mtlkit.errors import IntegrityError, listed
from mtlkit.model.interop.json_files import read_object, read_optional

POOLINGS: dict[str, Pooling] = {  # our modes by theirs
    "cls": "first",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "mean_by_position",
    "lasttoken": "last",
}
THEIR_POOLINGS = {ours: theirs for theirs, ours in POOLINGS.items()} | {WEIGHTED: "mean"}
FLAGS = {  # pooling flags of sentence-transformers before 5, in the order in which several are concatenated
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
ALWAYS_WRITTEN = list(FLAGS)[:4]  # the flags of the first versions


def read_pooling(path: Path, word_weights: Path | None) -> Pooling:
    """The pooling of a configuration, after a WordWeights module if there is one. Raises IntegrityError."""
    config = read_object(path)
    named = config.get("pooling_mode")  # since sentence-transformers 5; older versions use flags, and the mean if none is set
    modes = [named] if isinstance(named, str) else named
    if "pooling_mode" not in config:
        modes = [mode for flag, mode in FLAGS.items() if config.get(flag)] or ["mean"]
    if not isinstance(modes, list) or not 0 < len(modes) <= MOST or not all(str(mode) in POOLINGS for mode in modes):
        stated = listed(map(str, modes)) if isinstance(modes, list) else modes
        raise IntegrityError(f"{path}: pooling {stated} is not supported; supported: {listed(POOLINGS)}")
    if word_weights is None:
        return "+".join(POOLINGS[str(mode)] for mode in modes)
    if modes != ["mean"]:
        raise IntegrityError(f"{path}: pooling {listed(map(str, modes))} after WordWeights is not supported; supported: mean")
    return WEIGHTED


def bare_pooling(path: Path) -> Pooling:
    """The pooling of a model without modules.json: of language models the last token."""
    config = read_optional(path)
    architectures = config.get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else ""
    last = isinstance(named, str) and named.endswith("ForCausalLM") and config.get("is_causal", True)
    return "last" if last else "mean"


def pooling_config(pooling: Pooling) -> dict[str, Any]:
    """The entries of a pooling's configuration: flags, which all versions read, if they can express the modes."""
    modes = [THEIR_POOLINGS[mode] for mode in pooling_modes(pooling)]
    flags = {flag: mode in modes for flag, mode in FLAGS.items() if flag in ALWAYS_WRITTEN or mode in modes}
    in_order = [FLAGS[flag] for flag in FLAGS if flags.get(flag)]
    return flags if modes == in_order else {"pooling_mode": modes}
