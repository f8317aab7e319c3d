"""Options of a transformer's blocks that modern encoders have. Does not import torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mtlkit.errors import UsageError, shorten

if TYPE_CHECKING:
    from mtlkit.config.architecture import Architecture

NormType = Literal["layer", "rms"]
BlockName = Literal["gpt2", "modern"]
SHORTEST_WAVE, LONGEST_WAVE = 1.0, 1e12  # limits of a base of rotary positions


@dataclass(frozen=True)
class BlockOptions:
    """What the blocks of an encoder have or lack; the defaults are those of BERT, GPT-2 and our own models.

    rotary_base        base of rotary positions (Su et al. 2021), which replace learned ones; None for learned ones
    local_rotary_base  base in `local_layers`, if another
    rotary_scale       what positions are divided by
    window             tokens on either side that a token of `local_layers` attends to
    local_layers       layers with such a window, counted from 0; all others attend to the whole text
    kv_heads           heads of keys and values, each for several heads of queries (Ainslie et al. 2023); None for as many
    gated              the MLP is contract(activation(a) * b), a and b the halves of what it expands to (Shazeer 2020)
    norm_type          LayerNorm, or RMSNorm (Zhang & Sennrich 2019), which has no bias
    norm_bias, attention_bias, expand_bias, contract_bias
                       whether norms, both products of attention, and each of the MLP's two have biases
    first_norm         whether the first block has a norm before its attention
    """

    rotary_base: float | None = None
    local_rotary_base: float | None = None
    rotary_scale: float = 1.0
    window: int | None = None
    local_layers: tuple[int, ...] = ()
    kv_heads: int | None = None
    gated: bool = False
    norm_type: NormType = "layer"
    norm_bias: bool = True
    attention_bias: bool = True
    expand_bias: bool = True
    contract_bias: bool = True
    first_norm: bool = True

    @property
    def rotary(self) -> bool:
        """Whether positions are rotary; otherwise, they are learned."""
        return self.rotary_base is not None

    @property
    def norms_have_bias(self) -> bool:
        return self.norm_bias and self.norm_type == "layer"

    def window_of(self, layer: int) -> int | None:
        """The window of a layer; None if it attends to the whole text."""
        return self.window if layer in self.local_layers else None

    def base_of(self, layer: int) -> float | None:
        """The base of a layer's rotary positions."""
        return self.local_rotary_base or self.rotary_base if layer in self.local_layers else self.rotary_base

    @property
    def effective(self) -> BlockOptions:
        """Without what only layers with a window have, if there are none."""
        return self if self.local_layers else replace(self, window=None, local_rotary_base=None)


# the blocks of ModernBERT (Warner et al. 2024) with attention to the whole text in every layer
MODERN = BlockOptions(
    rotary_base=10_000.0,
    gated=True,
    norm_bias=False,
    attention_bias=False,
    expand_bias=False,
    contract_bias=False,
    first_norm=False,
)


def gated_width(dim: int) -> int:
    """The width of a gated MLP with as many weights as one of 4 * dim without a gate, to a multiple of 8 for fast products."""
    return max(8, round(dim / 3) * 8)


def check_block_options(architecture: Architecture) -> None:
    """Raises UsageError if the options of its blocks do not fit an architecture."""
    options, heads = architecture.blocks, architecture.heads
    for name in ("rotary_base", "local_rotary_base", "rotary_scale"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and SHORTEST_WAVE <= value <= LONGEST_WAVE):
            raise UsageError(f"{name} {value} is out of range; use a value between 1 and {LONGEST_WAVE:.0e}")
    if options.rotary and architecture.dim // heads % 2:
        raise UsageError(f"rotary positions need heads of an even width, and {architecture.dim} / {heads} is odd")
    if options.kv_heads is not None and (options.kv_heads < 1 or heads % options.kv_heads):
        number = shorten(str(options.kv_heads), 20)
        raise UsageError(f"the number of attention heads, {heads}, is not a multiple of that of keys and values, {number}")
    if options.window is not None and options.window < 0:
        raise UsageError(f"window {shorten(str(options.window), 20)} is out of range; use 0 or more")
    if options.local_layers and (options.window is None or not set(options.local_layers) <= set(range(architecture.layers))):
        raise UsageError(f"local_layers need a window, and numbers from 0 to {architecture.layers - 1}")
