"""Rotary positions in a config.json, as transformers reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtlkit.model.interop.families.base import UnsupportedSetting

TYPES = {"default": "1", "linear": "factor"}  # by rope_type: what positions are divided by
ROPE_KEYS = ("rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor", "head_dim")


def number(values: Mapping[str, Any], key: str, default: float) -> float:
    """A number of a config.json; null counts as missing. Raises ValueError."""
    value = values.get(key)
    if value is None:
        return default
    if type(value) not in (int, float):
        raise ValueError(f"{key} {value!r} is not a number")
    return float(value)


def entries(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object of a config.json; null counts as empty. Raises ValueError."""
    value = values.get(key) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not an object")
    return value


def rope(config: Mapping[str, Any], default_base: float) -> tuple[float, float]:
    """The base of a model's rotary positions, and what positions are divided by. Raises UnsupportedSetting, ValueError."""
    parameters = entries(config, "rope_scaling") or entries(config, "rope_parameters")
    return rope_of(config, parameters, number(config, "rope_theta", default_base))


def rope_of(config: Mapping[str, Any], parameters: Mapping[str, Any], default_base: float) -> tuple[float, float]:
    """The same from the rope parameters of a model or of one kind of its layers."""
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind not in TYPES:
        raise UnsupportedSetting("rope_type", kind, TYPES)
    for values in (parameters, config):
        if (part := number(values, "partial_rotary_factor", 1.0)) != 1.0:
            raise UnsupportedSetting("partial_rotary_factor", part, (1.0,))
    return number(parameters, "rope_theta", default_base), number(parameters, "factor", 1.0) if kind == "linear" else 1.0


def check_head_dim(config: Mapping[str, Any], dim: Any, heads: Any) -> None:
    """Raises UnsupportedSetting for heads of another width than that of the model divided by their number."""
    width = config.get("head_dim")
    if width is not None and type(dim) is type(heads) is int and (type(width) is not int or width * heads != dim):
        raise UnsupportedSetting("head_dim", width, ("hidden_size / num_attention_heads",))


def rope_parameters(base: float | None, scale: float) -> dict[str, Any]:
    """The inverse of `rope_of`."""
    kind = {"rope_type": "default"} if scale == 1.0 else {"rope_type": "linear", "factor": scale}
    return {**kind, "rope_theta": base}
