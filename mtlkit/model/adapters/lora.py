"""LoRA: low-rank adaptation (Hu et al. 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtlkit.config.registries.adapters import ADAPTERS, AdapterSpec
from mtlkit.model.adapters.base import AdapterMethod

if TYPE_CHECKING:
    from torch import nn

    from mtlkit.model.layers.low_rank import Adapter


def make(spec: AdapterSpec, backbone: nn.Module) -> Adapter:
    from mtlkit.model.layers.low_rank import Adapter

    return Adapter(spec, backbone)


ADAPTERS.add(
    AdapterMethod(
        name="lora",
        help="two small matrices of rank RANK beside each product of attention and MLP, scaled by ALPHA / RANK (ALPHA: 2 RANK by "
        "default); only they train, the backbone is frozen.",
        form="lora:RANK[:ALPHA][@layers:A-B]",
        make=make,
        weights=("a", "b"),
        group="Kinds",
        usual_alpha=2.0,
    )
)
