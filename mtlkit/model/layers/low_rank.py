"""Low-rank adapters (LoRA: Hu et al. 2021) of the linear layers of any module, found by name.

The module itself never changes: `Adapter.adapted` makes a copy of it that shares everything but the adapted layers, for training,
and `Adapter.merged` one with plain layers, in which nothing but the weights tells that there is an adapter.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mtlkit.config.registries.adapters import AdapterSpec

Module = TypeVar("Module", bound=nn.Module)

BLOCK = re.compile(r"(?:.+?\.)?(?:blocks|layers?|h|block)\.(\d+)\..+")  # a path within a block, with the number of the block


class LowRank(nn.Module):
    """What an adapter adds to a linear layer: scale * x @ a.T @ b.T. a: (rank, in); b: (out, rank), zero at first."""

    def __init__(self, layer: nn.Linear, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.a = nn.Parameter(torch.empty(rank, layer.in_features))
        self.b = nn.Parameter(torch.empty(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))
        nn.init.zeros_(self.b)

    def forward(self, states: Tensor) -> Tensor:
        return functional.linear(functional.linear(states, self.a) * self.scale, self.b)

    def added_to(self, outputs: Tensor, states: Tensor) -> Tensor:
        """The term for states (T, in), added to the outputs of the layer, (T, out)."""
        return torch.addmm(outputs, functional.linear(states, self.a), self.b.T, alpha=self.scale)

    def product(self) -> Tensor:
        """What is added to the weight, (out, in)."""
        return self.scale * (self.b @ self.a)


class AdaptedLinear(nn.Linear):
    """A linear layer with a low-rank term. Weight and bias are those of the layer that it was made from."""

    def __init__(self, layer: nn.Linear, term: LowRank) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.weight, self.bias, self.term = layer.weight, layer.bias, term

    def forward(self, states: Tensor) -> Tensor:
        result: Tensor = super().forward(states) + self.term(states)
        return result


@torch.no_grad()
def merged_linear(layer: nn.Linear, term: LowRank) -> nn.Linear:
    """The layer with the term in its weight, as a new weight."""
    merged = copy.copy(layer)
    merged._parameters = {**layer._parameters, "weight": nn.Parameter(layer.weight + term.product())}
    return merged


class Adapter(nn.Module):
    """Low-rank terms for the linear layers within the blocks of a module, at the same paths as these."""

    def __init__(self, spec: AdapterSpec, module: nn.Module) -> None:
        super().__init__()
        self.spec = spec
        for path, layer in linear_layers(module, spec.blocks).items():
            *parents, name = path.split(".")
            inner: nn.Module = self
            for parent in parents:
                if parent not in inner._modules:
                    inner.add_module(parent, nn.Module())
                inner = inner.get_submodule(parent)
            inner.add_module(name, LowRank(layer, spec.rank, spec.scale))

    def terms(self) -> dict[str, LowRank]:
        """The terms by the path of their layer."""
        return {path: module for path, module in self.named_modules() if isinstance(module, LowRank)}

    def adapted(self, module: Module) -> Module:
        """A copy of the module with adapted layers, for training. All weights are those of the module and of the adapter."""
        return self._changed(module, AdaptedLinear)

    def merged(self, module: Module) -> Module:
        """A copy of the module with the adapter in its weights; what is not adapted is shared."""
        return self._changed(module, merged_linear)

    def _changed(self, module: Module, change: Callable[[nn.Linear, LowRank], nn.Linear]) -> Module:
        layers = {path: (module.get_submodule(path), term) for path, term in self.terms().items()}
        return replaced(
            module, {path: change(layer, term) for path, (layer, term) in layers.items() if isinstance(layer, nn.Linear)}
        )


def linear_layers(module: nn.Module, blocks: range) -> dict[str, nn.Linear]:
    """The linear layers within some of the blocks of a module, by path."""
    return {
        path: layer
        for path, layer in module.named_modules(remove_duplicate=False)
        if isinstance(layer, nn.Linear) and (match := BLOCK.fullmatch(path)) and int(match[1]) in blocks
    }


def replaced(module: Module, changes: Mapping[str, nn.Module]) -> Module:
    """A copy of a module with others at some paths. It shares every module that contains none of them, and all weights."""
    inside: dict[str, dict[str, nn.Module]] = {}
    for path, change in changes.items():
        child, _, rest = path.partition(".")
        inside.setdefault(child, {})[rest] = change
    copied = copy.copy(module)
    copied._modules = dict(module._modules)
    for child, below in inside.items():
        copied._modules[child] = below[""] if "" in below else replaced(module.get_submodule(child), below)
    return copied
