"""The engine that runs a model with torch."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtlkit.data.encoded import Encoded, EncodedWords
from mtlkit.evaluation.metrics import check_finite
from mtlkit.inference.compute import Compute, check_fork
from mtlkit.inference.encoding import encode_all, encode_texts_and_words, outputs_of_head
from mtlkit.inference.engine import VECTOR, VECTORS, Array, Pairs, checked_output
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
        if isinstance(encoded, EncodedWords):
            return self._outputs_of_words(encoded, tasks)
        vectors = encode_all(self.fast, encoded, self.compute)
        inputs = head_inputs(vectors, pairs)
        checked = check_finite(inputs.cpu().numpy(), VECTOR)
        return {task: checked if task == VECTORS else self._outputs_of(task, inputs) for task in tasks}

    def _outputs_of_words(self, encoded: EncodedWords, tasks: Sequence[str]) -> dict[str, Array]:
        """The outputs of heads that read words, and those of others for the texts that these are in."""
        specs = self.model.tasks
        of_words = [task for task in tasks if task in specs and specs[task].tags is not None]
        if len(of_words) == len(tasks):
            words = encode_all(self.fast, encoded, self.compute)
            return {task: self._outputs_of(task, words, encoded.begins) for task in tasks}
        assert encoded.texts is not None
        windows, words = encode_texts_and_words(self.fast, encoded, self.compute)
        texts = windows[torch.from_numpy(encoded.texts).to(windows.device)]
        checked = check_finite(texts.cpu().numpy(), VECTOR)
        outputs = {task: self._outputs_of(task, words, encoded.begins) for task in of_words}
        others = {task: checked if task == VECTORS else self._outputs_of(task, texts) for task in tasks if task not in of_words}
        return outputs | others

    def _outputs_of(self, task: str, inputs: Tensor, begins: NDArray[np.bool_] | None = None) -> Array:
        return checked_output(outputs_of_head(self.model, task, inputs, begins), task, begins)
