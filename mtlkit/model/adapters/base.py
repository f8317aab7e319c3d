"""The declaration of an adapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtlkit.config.registries.adapters import AdapterSpec
from mtlkit.config.registries.methods import Method

if TYPE_CHECKING:
    from torch import nn

    from mtlkit.model.layers.low_rank import Adapter


@dataclass(frozen=True, kw_only=True)
class AdapterMethod(Method):
    """A kind of adapter in the registry. `make` builds one for a backbone, and only then imports torch. `weights` are the names
    of what it adds to a linear layer. `usual_alpha` is the default of alpha / rank.
    """

    make: Callable[[AdapterSpec, nn.Module], Adapter]
    weights: tuple[str, ...]
    usual_alpha: float
