"""What runs a model over texts that are already tokens. An engine is chosen at load; nothing above knows which it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.encoded import Encoded

Array = NDArray[np.float32]

ROUTER = ":router"  # asks for the router's logits beside those of heads; no task has a colon in its name

VECTOR = "vector"  # what errors call it


def output_of(task: str) -> str:
    """What errors call the output of a task's head, or of the router."""
    return "output of the router" if task == ROUTER else f"output of '{task}'"


# Of texts that are encoded without gradients: on a CPU, what still lies in its caches; on a GPU, what keeps it busy.
BATCH_TOKENS, GPU_BATCH_TOKENS = 3072, 65536


class Engine(Protocol):
    """Vectors and outputs of heads, in the order of the texts, whatever the batches are. Both raise NotFiniteError for the first
    text whose numbers are not finite."""

    @property
    def precision(self) -> str:
        """The arithmetic that it computes in: fp32, bf16, or int8."""
        ...

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None) -> Array:
        """One vector a text, (N, D); None leaves the size of batches to the engine."""
        ...

    def outputs(self, encoded: Encoded, tasks: Sequence[str]) -> dict[str, Array]:
        """What the head of each task gives, each (N, outputs), and the router where ROUTER is among them, with one pass of the
        backbone."""
        ...
