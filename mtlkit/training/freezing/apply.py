"""Applies and verifies freezing: no gradient, no dropout, and equal digests before and after training."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import takewhile

from torch import Tensor

from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.weight_names import part_of, parts_of
from mtlkit.training.events import Part
from mtlkit.training.freezing.rules import FreezeRules, prefix_of


def apply_freeze(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Excludes frozen weights from training: without a gradient, neither the optimizer nor weight decay changes them."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(name not in frozen)


def training_mode(model: MultiTaskModel, frozen: frozenset[str]) -> None:
    """Enables dropout, except in parts that are completely frozen."""
    model.train()
    for part, weights in parts_of(name for name, _ in model.named_parameters()).items():
        if frozen.issuperset(weights):
            model.part(part).eval()


def prefix_depth(names: Iterable[str], frozen_params: frozenset[str]) -> int:
    """Number of lowest blocks that are frozen throughout, together with everything below them, in a model with the weights
    `names`; `frozen_params` are the weights that never train. 0 if the embeddings train.
    """
    parts = parts_of(names)
    if not frozen_params.issuperset(parts["embeddings"]):
        return 0
    blocks = sum(part.startswith("layers:") for part in parts)
    return sum(takewhile(bool, (frozen_params.issuperset(parts[f"layers:{block}"]) for block in range(blocks))))


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over the names and bytes of weights."""
    total = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        total.update(name.encode())
        total.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


class FreezeProof:
    """Lists the parts of a model and verifies that weights that never train are unchanged.

    Parts of a trained backbone that are frozen or have their own learning rate get separate rows below it. `lr_scales` are the
    learning rates of the weights relative to the peak `rate`.
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
            if part.startswith("head:") or self.staged or (partly and frozen_params.intersection(weights)):
                self.rows[part] = weights
        self.before = self._digests()
        self.each = self._tensors(self.frozen_params)  # digests per tensor, to find which one changed

    def _digests(self) -> dict[str, str]:
        """Digests of the frozen weights by part; a partly trained backbone has none as a whole."""
        found = {}
        state = self.model.state_dict()
        for part, weights in self.rows.items():
            kept = self.frozen_params.intersection(weights)
            if kept and (part != "backbone" or len(kept) == len(weights)):
                found[part] = digest({name: state[name] for name in kept})
        return found

    def _tensors(self, names: Iterable[str]) -> dict[str, str]:
        state = self.model.state_dict()
        return {name: digest({name: state[name]}) for name in names}

    def _changed(self, part: str) -> tuple[str, ...]:
        """The tensors of a part that are frozen but have changed."""
        now = self._tensors(self.frozen_params.intersection(self.rows[part]))
        return tuple(sorted(name for name, found in now.items() if found != self.each[name]))

    def parts(self, frozen: frozenset[str], *, final: bool = False) -> tuple[Part, ...]:
        """One row per part: number of parameters, how many are trainable now, digests; with a freeze schedule or several
        learning rates, also its rate and when it starts training.
        """
        after = self._digests() if final else {}
        sizes = {name: weight.numel() for name, weight in self.model.named_parameters()}
        return tuple(
            Part(
                part,
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


def lr_scales_of(model: MultiTaskModel, head_rate: float, layer_decay: float) -> dict[str, float]:
    """The learning rate of each weight relative to the backbone's peak: `head_rate` for heads; each block's is that of the
    block above divided by `layer_decay`, and the embeddings' that of the first block divided by it (discriminative learning
    rates: Howard & Ruder 2018).
    """
    layers = len(model.backbone.blocks)
    found = {}
    for name, _ in model.named_parameters():
        part = part_of(name)
        below = layers if part == "embeddings" else layers - 1 - int(part[7:]) if part.startswith("layers:") else 0
        found[name] = head_rate if part.startswith("head:") else layer_decay**-below
    return found
