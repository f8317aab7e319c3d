"""The engine that runs a model with torch."""

from __future__ import annotations

import os
from collections.abc import Sequence

from torch import Tensor

from mtlkit.data.encoded import Encoded
from mtlkit.evaluation.metrics import check_finite
from mtlkit.inference.compute import Compute, check_fork
from mtlkit.inference.encoding import encode_all, outputs_of_head
from mtlkit.inference.engine import VECTOR, VECTORS, Array, Pairs, output_label
from mtlkit.inference.fast import SupportsEncode, fastest
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.pair_vectors import head_inputs


class TorchEngine:
    """Runs a model in evaluation mode on the device of `compute`.

    `fast` is an equivalent encoder that computes the vectors, by default the fastest available; `precision` is its precision if
    it differs from that of `compute`.
    """

    def __init__(
        self, model: MultiTaskModel, compute: Compute, fast: SupportsEncode | None = None, precision: str | None = None
    ) -> None:
        self.model = model.to(compute.device).eval()
        self.compute, self.process = compute, os.getpid()
        self.precision = precision or compute.precision
        self.fast = fast or fastest(self.model, compute)

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None) -> Array:
        check_fork(self.compute.device, self.process)
        return check_finite(encode_all(self.fast, encoded, self.compute, batch_tokens).cpu().numpy(), VECTOR)

    def outputs(self, encoded: Encoded, tasks: Sequence[str], pairs: Pairs | None = None) -> dict[str, Array]:
        check_fork(self.compute.device, self.process)
        vectors = encode_all(self.fast, encoded, self.compute)
        inputs = head_inputs(vectors, pairs)
        checked = check_finite(inputs.cpu().numpy(), VECTOR)
        return {task: checked if task == VECTORS else self._outputs_of(task, inputs) for task in tasks}

    def _outputs_of(self, task: str, inputs: Tensor) -> Array:
        return check_finite(outputs_of_head(self.model, task, inputs), output_label(task))
