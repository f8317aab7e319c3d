"""Applies and verifies freezing: no gradient, no dropout, and equal digests before and after training."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import takewhile

from torch import Tensor

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import part_of, part_titles, parts_of
from mtlkit.training.events import Part
from mtlkit.training.freezing.rules import FreezeRules, prefix_of

ADAPTED = re.compile(r"adapters\.[^.]+\.blocks\.(\d+)\.")  # a weight of an adapter, with the number of the adapted block


def apply_freeze(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Excludes frozen weights from training: the optimizer, including weight decay, ignores weights without a gradient."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in frozen)


def training_mode(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Sets the model to training mode, except parts that are completely frozen, which get no dropout."""
    model.train()
    for part, weights in parts_of(name for name, _ in model.named_parameters()).items():
        if frozen.issuperset(weights):
            model.part(part).eval()


def prefix_depth(names: Collection[str], frozen_params: frozenset[str]) -> int:
    """The number of consecutive blocks, from the lowest, whose outputs never change in a model with the weights `names`; 0 if the
    embeddings train. `frozen_params` are the weights that never train.
    """
    parts = parts_of(names)
    adapted = {match[1] for name in names if (match := ADAPTED.match(name)) and name not in frozen_params}
    if not frozen_params.issuperset(parts["embeddings"]):
        return 0
    blocks = sum(part.startswith("layers:") for part in parts)
    fixed = (frozen_params.issuperset(parts[f"layers:{block}"]) and str(block) not in adapted for block in range(blocks))
    return sum(takewhile(bool, fixed))


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names and bytes of weights."""
    total = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        total.update(name.encode())
        total.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


class FreezeProof:
    """Proves that the `frozen_params`, which never train, are unchanged: compares SHA-256 digests before and after the training.

    Lists the backbone, each head and each adapter; parts of the backbone that are frozen or have their own learning rate are
    listed separately. `lr_scales` are the learning rates of the weights relative to the peak `rate`.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        freezing: FreezeRules,
        frozen_params: frozenset[str],
        rate: float,
        lr_scales: Mapping[str, float],
    ) -> None:
        self.model, self.freezing, self.frozen_params, self.rate, self.lr_scales = model, freezing, frozen_params, rate, lr_scales
        names = [name for name, _ in model.named_parameters()]
        backbone = [name for name in names if name.startswith(prefix_of("backbone"))]
        self.staged = len(freezing.states) > 1 or len({lr_scales[name] for name in backbone}) > 1
        partly = 0 < len(frozen_params.intersection(backbone)) < len(backbone)
        self.rows = {"backbone": backbone}
        for part, weights in parts_of(names).items():
            if part.startswith(("head:", "adapter")) or self.staged or (partly and frozen_params.intersection(weights)):
                self.rows[part] = weights
        self.before = self._digests()
        self.tensor_digests = self._tensors(self.frozen_params)  # digests per tensor, to find which one changed

    def _digests(self) -> dict[str, str]:
        """Digests of the frozen weights by part; none for a backbone that trains partly."""
        digests = {}
        state = self.model.state_dict()
        for part, weights in self.rows.items():
            frozen = self.frozen_params.intersection(weights)
            if frozen and (part != "backbone" or len(frozen) == len(weights)):
                digests[part] = digest({name: state[name] for name in frozen})
        return digests

    def _tensors(self, names: Iterable[str]) -> dict[str, str]:
        state = self.model.state_dict()
        return {name: digest({name: state[name]}) for name in names}

    def _changed(self, part: str) -> tuple[str, ...]:
        """The tensors of a part that are frozen but have changed."""
        now = self._tensors(self.frozen_params.intersection(self.rows[part]))
        return tuple(sorted(name for name, sha256 in now.items() if sha256 != self.tensor_digests[name]))

    def parts(self, frozen: frozenset[str], *, final: bool = False) -> tuple[Part, ...]:
        """The parts of the model while the weights in `frozen` are frozen. `final`: after training, with digests to compare.

        With a freeze schedule or several learning rates, each part has its rate and when it starts training.
        """
        after = self._digests() if final else {}
        sizes = {name: weight.numel() for name, weight in self.model.named_parameters()}
        titles = part_titles(self.model.architecture)
        return tuple(
            Part(
                titles.get(part, part),
                sum(sizes[name] for name in weights),
                sum(sizes[name] for name in weights if name not in frozen),
                self.before.get(part),
                after.get(part),
                *(self._stage(part, weights) if self.staged else (None, "")),
                self._changed(part) if after.get(part) != self.before.get(part) and final else (),
            )
            for part, weights in self.rows.items()
        )

    def _stage(self, part: str, weights: Iterable[str]) -> tuple[float | None, str]:
        own = [name for name in weights if name not in self.frozen_params]
        rates = {self.lr_scales[name] for name in own}
        rate = self.rate * rates.pop() if len(rates) == 1 and part != "backbone" else None
        return rate, self.freezing.begins(own) if own and part != "backbone" else ""


def lr_scales_of(model: MultiTaskModel, head_rate: float, layer_decay: float, adapter_rate: float = 1.0) -> dict[str, float]:
    """The learning rate of each weight relative to that of the top of the backbone (discriminative learning rates: Howard & Ruder
    2018).

    `head_rate` for heads, `adapter_rate` for adapters. Each block has the rate of the block above divided by `layer_decay`; the
    embeddings have that of the first block divided by it.
    """
    layers = len(model.backbone.blocks)
    scales = {}
    for name, _ in model.named_parameters():
        part = part_of(name)
        below = layers if part == "embeddings" else layers - 1 - int(part[7:]) if part.startswith("layers:") else 0
        own = head_rate if part.startswith("head:") else adapter_rate if part.startswith("adapter") else None
        scales[name] = layer_decay**-below if own is None else own
    return scales
