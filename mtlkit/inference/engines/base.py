"""The interface of inference engines, which run a model on tokenized texts. The engine is chosen when a model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mtlkit.data.encoded import Encoded
from mtlkit.errors import NotFiniteError
from mtlkit.evaluation.metrics import check_finite

Array = NDArray[np.float32]
Pairs = NDArray[np.int64]

# in a list of tasks, the router and the vectors themselves, those of texts without a task; task names contain no colon
ROUTER, VECTORS = ":router", ":vectors"

VECTOR = "vector"  # in error messages


def vectors_for(task: str) -> str:
    """In a list of tasks, the vectors that the head of a task with an adapter reads."""
    return f"{VECTORS}:{task}"


def task_of(output: str) -> str | None:
    """The task of an output: that of a head, or of the vectors for a task; None for the router and other vectors."""
    return output.removeprefix(f"{VECTORS}:") if output not in (ROUTER, VECTORS) else None


def are_vectors(output: str) -> bool:
    """Whether an output are vectors, for a task or not."""
    return output == VECTORS or output.startswith(f"{VECTORS}:")


def output_label(task: str) -> str:
    """The output of a task's head, or of the router, in error messages."""
    if are_vectors(task):
        return VECTOR
    return "output of the router" if task == ROUTER else f"output of '{task}'"


# Tokens per batch without gradients: on a CPU, what fits into its caches; on a GPU, what keeps it busy.
BATCH_TOKENS, GPU_BATCH_TOKENS = 3072, 65536


def checked_output(outputs: Array, task: str, begins: NDArray[np.bool_] | None = None) -> Array:
    """Returns outputs unchanged. Raises NotFiniteError for the first text with NaN or infinity. `begins`: outputs are of words,
    and these are the first words of texts."""
    try:
        return check_finite(outputs, output_label(task))
    except NotFiniteError as error:
        if begins is None:
            raise
        text = int(begins[: error.row + 1].sum()) - 1
        raise NotFiniteError(error.what, text) from None


class Engine(Protocol):
    """Computes vectors and outputs of heads, in the order of the texts. Both methods raise NotFiniteError for the first text with
    NaN or infinity."""

    @property
    def precision(self) -> str:
        """The precision of its matrix products: fp32, bf16 or int8."""
        ...

    @property
    def tokens_at_once(self) -> int:
        """The number of tokens that keeps the machine busy: of a batch, or of as many as it runs in parallel."""
        ...

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None, task: str | None = None) -> Array:
        """The vectors of N texts, (N, D), for a task with an adapter, or without one. With None, the engine chooses the batch
        size."""
        ...

    def outputs(self, encoded: Encoded, tasks: Sequence[str], pairs: Pairs | None = None) -> dict[str, Array]:
        """The outputs of each task's head, (N, outputs), for ROUTER the router's, (N, tasks), and for VECTORS the vectors,
        (N, D), and for `vectors_for` a task those that its head reads, in one pass of the layers that they share.

        For heads that read pairs of texts, `encoded` are the texts, each once, and `pairs`, (2, N), the numbers of the texts of
        each pair; outputs and vectors, (N, 4 D), are those of the pairs. Of `EncodedWords`, the outputs of heads that read words
        are (W, outputs); other heads read the texts that it names."""
        ...
