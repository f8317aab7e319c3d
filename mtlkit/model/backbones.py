"""The backbone of an architecture: mtlkit's own encoder, or a model of transformers."""

from __future__ import annotations

from mtlkit.config.architecture import Architecture
from mtlkit.model.backbone import Backbone
from mtlkit.model.encoder import Encoder


def build_backbone(architecture: Architecture) -> Backbone:
    """A backbone with new weights; one of transformers has none yet, for a caller that loads them. Raises UsageError if it needs
    transformers, which is not installed."""
    if architecture.transformers is None:
        return Encoder(architecture)
    from mtlkit.model.auto.automodel import AutoBackbone

    return AutoBackbone(architecture)
