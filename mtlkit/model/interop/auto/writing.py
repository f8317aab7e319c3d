"""Writes a model that runs through transformers as that library writes it."""

from __future__ import annotations

from pathlib import Path

import torch

from mtlkit.model.auto.automodel import AutoBackbone, unwrapped
from mtlkit.model.auto.hf_classes import library_class, library_config
from mtlkit.model.backbone import Backbone
from mtlkit.model.interop.silence import silence
from mtlkit.model.randomness import Uninitialised


def write_auto(folder: Path, backbone: Backbone) -> None:
    """Writes config.json and the weights of an `AutoBackbone`."""
    assert isinstance(backbone, AutoBackbone)
    stored = backbone.architecture.transformers
    assert stored is not None
    config = library_config(stored)
    config.dtype = torch.float32
    model_class, options = library_class(config)
    with silence(), torch.random.fork_rng(devices=[]), Uninitialised():
        model = model_class(config, **options)
        inner = unwrapped(model)
        ours = backbone.state_dict()
        theirs = {name: ours[backbone.our_name(name)].cpu().float() for name, _ in inner.named_parameters()}
        inner.load_state_dict(theirs, strict=False)  # what it has besides parameters, it computes itself
        model.save_pretrained(folder)
