"""Several heads on one backbone, and an optional router that predicts the task of a text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import cast

from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.config.registries.adapters import ADAPTERS, SHARED, AdapterSpec
from mtlkit.model.backbone import Backbone
from mtlkit.model.encoder import own_encoder
from mtlkit.model.heads.base import Head, build_head
from mtlkit.model.heads.router import Router
from mtlkit.model.layers.low_rank import Adapter
from mtlkit.model.weight_names import adapter_part


class ByTask(nn.ModuleDict):
    """Modules by task. Task names may be "type" or "training", which a ModuleDict reserves."""

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __setitem__(self, task: str, module: nn.Module) -> None:
        self._modules[task] = module


class MultiTaskModel(nn.Module):
    """A sentence encoder with one head per task. Without tasks it is only a sentence encoder, or a base.

    `router` predicts which task a text belongs to and is not a task itself; None if absent. `adapters` change the backbone for
    one task, by its name, or for all texts, under SHARED; the router reads the vectors of texts without a task.
    """

    def __init__(
        self,
        backbone: Backbone,
        tasks: Iterable[TaskSpec] = (),
        router: Collection[str] = (),
        adapters: Mapping[str, AdapterSpec] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = ByTask()
        for spec in tasks:
            self.add_task(spec)
        self.adapters = ByTask()
        for task, adapter in (adapters or {}).items():
            self.add_adapter(task, adapter)
        self.router: Router | None = Router(self.vector_dim, router) if router else None

    def add_task(self, spec: TaskSpec) -> None:
        """Adds a task with a new head, replacing any head of the same name."""
        architecture = self.backbone.architecture
        if spec.joint:
            self.backbone.train_types()
        self.heads[spec.name] = build_head(spec, spec.width(architecture), architecture.dropout)

    def add_adapter(self, task: str, spec: AdapterSpec) -> None:
        """Adds a new adapter for a task, or for all under SHARED, replacing any that it has. At first, it changes nothing."""
        self.adapters[task] = ADAPTERS[spec.name].make(spec, self.backbone)

    def adapter(self, task: str | None) -> Adapter | None:
        """The adapter that the texts of a task pass through (None: texts without a task)."""
        name = SHARED if SHARED in self.adapters else task
        return cast(Adapter, self.adapters[name]) if name is not None and name in self.adapters else None

    @property
    def adapter_specs(self) -> dict[str, AdapterSpec]:
        """The adapters, by task."""
        return {task: cast(Adapter, adapter).spec for task, adapter in self.adapters.items()}

    def encoder(self, task: str | None = None) -> Backbone:
        """The backbone as it trains for a task: with its adapter, if there is one."""
        adapter = self.adapter(task)
        return self.backbone if adapter is None else adapter.adapted(self.backbone)

    def merged_encoder(self, task: str | None = None) -> Backbone:
        """The encoder for a task, with its adapter in the weights; it shares what is not adapted with the backbone."""
        adapter = self.adapter(task)
        return self.backbone if adapter is None else adapter.merged(self.backbone)

    def head(self, task: str) -> Head:
        return cast(Head, self.heads[task])

    @property
    def tasks(self) -> dict[str, TaskSpec]:
        return {name: cast(Head, head).spec for name, head in self.heads.items()}

    @property
    def architecture(self) -> Architecture:
        return self.backbone.architecture

    @property
    def vector_dim(self) -> int:
        """Length of the vector of a text."""
        return self.architecture.vector_dim

    def encode(self, batch: Batch, task: str | None = None) -> Tensor:
        """One vector per text, (N, V), for a task; of a batch with words, what `Backbone.read` gives."""
        return self.encoder(task).encode(batch)

    def states(self, batch: Batch, depth: int) -> Tensor:
        """The input of block `depth` for all tokens, (T, D)."""
        return own_encoder(self.encoder()).states(batch, depth)

    def encode_from(self, batch: Batch, states_TD: Tensor, depth: int) -> Tensor:
        """Like `encode`, but starts from the result of `states` for the same batch and depth."""
        return own_encoder(self.encoder()).encode_from(batch, states_TD, depth)

    def forward(self, batch: Batch, task: str) -> Tensor:
        """Outputs of the head of a task that reads single texts, (N, outputs)."""
        return cast(Tensor, self.head(task)(self.encode(batch, task)))

    def parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The top-level parts by name: `backbone`, `head:NAME` for each task, and, if present, adapters (`adapter:NAME`, or
        `adapter` for that of all tasks) and `router`."""
        yield "backbone", self.backbone
        for name, adapter in self.adapters.items():
            yield adapter_part(name), adapter
        for name, head in self.heads.items():
            yield f"head:{name}", head
        if self.router is not None:
            yield "router", self.router

    def part(self, name: str) -> nn.Module:
        """A part by name; also `embeddings`, `layers:N` and `pooling` of the backbone."""
        if name == "embeddings":
            return self.backbone.embeddings()
        if name == "pooling":
            return self.backbone.pooling()
        if name.startswith("layers:"):
            return self.backbone.blocks[int(name.removeprefix("layers:"))]
        return dict(self.parts())[name]
