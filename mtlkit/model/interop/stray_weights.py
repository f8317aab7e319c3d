"""Tensors of a Hugging Face folder that no vector depends on: reported once, or refused if they belong to an unmerged adapter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.errors import IntegrityError, listed
from mtlkit.model.interop.families.base import FAMILIES, Family
from mtlkit.model.interop.names import bare_names, their_names
from mtlkit.model.interop.settings.model_kinds import dropped_head
from mtlkit.model.interop.weight_files import stored_types
from mtlkit.model.weight_names import weight_names

# parts of tensor names that peft and adapters use
ADAPTER_TENSOR = re.compile(r"(^|\.)(lora_|loras?\.|ia3_|hada_|vera_|oft_|base_layer\.|adapters?\.|adapter_|prefix_tunings?\.)")
COUNTS = re.compile(r"(^|\.)(position_ids|attn\.bias|attn\.masked_bias|rotary_emb(eddings)?\.inv_freq)$")  # saved buffers
NARROW = ("F16", "BF16")


def check_adapters(folder: Path, names: Iterable[str]) -> None:
    """Raises IntegrityError if any of a folder's tensors belongs to an adapter."""
    adapters = [name for name in names if ADAPTER_TENSOR.search(name)]
    if adapters:
        raise IntegrityError(
            f"{folder}: the weights hold an adapter that is not merged ({listed(adapters, 2)}); merge it with peft's "
            "merge_and_unload(), save the result with save_pretrained(), and name that folder"
        )


def weights_note(folder: Path, architecture: Architecture, config: Mapping[str, Any]) -> str:
    """Reports in one line which weights of a transformer's folder are ignored; empty if there are none."""
    stored = stored_types(folder)
    notes: list[str] = []
    if architecture.transformers is None:
        family = FAMILIES[str(config["model_type"])]
        strays = _strays(stored, family, architecture, outside=not dropped_head(config))
        notes += [f"{folder}: not in {family.model_class}, ignored: {listed(strays, 4)}"] if strays else []
    narrow = sorted({kind for kind in stored.values() if kind in NARROW})
    if narrow and config.get("dtype") is None and config.get("torch_dtype") is None:
        notes.append(f"{folder}: weights stored as {listed(narrow)} (computed in float32)")
    return "; ".join(notes)


def _strays(stored: Iterable[str], family: Family, architecture: Architecture, *, outside: bool) -> list[str]:
    """Names that the bare model does not have; `outside` includes those outside the bare model, which belong to a head."""
    used: set[str] = set()
    for name in weight_names(architecture, {}):
        with suppress(KeyError):  # the token weights, which are in a separate module
            used |= set(their_names(family, name.removeprefix("backbone.")))
    used |= {f"{module}.{kind}" for module in family.unused for kind in ("weight", "bias")}
    used |= {f"{family.token_types}.weight"} if family.token_types else set()
    bare = bare_names(family, stored)
    inside = [name for name in stored if name in bare and bare[name] not in used and not COUNTS.search(name)]
    return sorted([*inside, *(name for name in stored if outside and name not in bare)])
