"""Several heads on one backbone, and an optional router that predicts the task of a text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import cast

from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture, TaskSpec
from mtlkit.model.encoder import Encoder
from mtlkit.model.heads import Head, build_head
from mtlkit.model.router import Router


class Heads(nn.ModuleDict):
    """Heads by task. Task names may be "type" or "training", which a ModuleDict reserves."""

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __setitem__(self, task: str, head: nn.Module) -> None:
        self._modules[task] = head


class MultiTaskModel(nn.Module):
    """A sentence encoder with one head per task. Without tasks it is only a sentence encoder, or a base.

    `router` predicts which task a text belongs to and is not a task itself; None if absent.
    """

    def __init__(self, backbone: Encoder, tasks: Iterable[TaskSpec] = (), router: Collection[str] = ()) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = Heads()
        for spec in tasks:
            self.add_task(spec)
        self.router: Router | None = Router(self.vector_dim, router) if router else None

    def add_task(self, spec: TaskSpec) -> None:
        """Adds a task with a new head, replacing any head of the same name."""
        architecture = self.backbone.architecture
        if spec.joint:
            self.backbone.train_types()
        self.heads[spec.name] = build_head(spec, spec.width(architecture), architecture.dropout)

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

    def encode(self, batch: Batch) -> Tensor:
        """One vector per text, (N, V); of a batch with words, what `Encoder.read` gives."""
        return self.backbone.encode(batch)

    def states(self, batch: Batch, depth: int) -> Tensor:
        """The input of block `depth` for all tokens, (T, D)."""
        return self.backbone.states(batch, depth)

    def forward(self, batch: Batch, task: str) -> Tensor:
        """Outputs of the head of a task that reads single texts, (N, outputs)."""
        return cast(Tensor, self.head(task)(self.encode(batch)))

    def parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The top-level parts by name: `backbone`, `head:NAME` for each task, and `router` if present."""
        yield "backbone", self.backbone
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
