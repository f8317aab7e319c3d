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
from mtlkit.inference.engines.base import (
    BATCH_TOKENS,
    GPU_BATCH_TOKENS,
    VECTOR,
    Array,
    Pairs,
    are_vectors,
    checked_output,
    task_of,
)
from mtlkit.inference.engines.fast import fastest
from mtlkit.inference.engines.task_encoders import TaskEncoders
from mtlkit.model.heads.pair_vectors import head_inputs
from mtlkit.model.multitask import MultiTaskModel


class TorchEngine:
    """Runs a model in evaluation mode on the device of `compute`.

    `encoders` compute the vectors, by default the fastest available; `precision` is their precision if it differs from that of
    `compute`.
    """

    def __init__(
        self, model: MultiTaskModel, compute: Compute, encoders: TaskEncoders | None = None, precision: str | None = None
    ) -> None:
        self.model = model.to(compute.device).eval()
        self.compute, self.process = compute, os.getpid()
        self.precision = precision or compute.precision
        self.encoders = encoders or fastest_encoders(self.model, compute)

    @property
    def tokens_at_once(self) -> int:
        on_cpu = self.compute.device.type == "cpu"
        return BATCH_TOKENS * torch.get_num_threads() if on_cpu else GPU_BATCH_TOKENS

    def vectors(self, encoded: Encoded, batch_tokens: int | None = None, task: str | None = None) -> Array:
        check_fork(self.compute.device, self.process)
        return check_finite(encode_all(self.encoders.of(task), encoded, self.compute, batch_tokens).cpu().numpy(), VECTOR)

    def outputs(self, encoded: Encoded, tasks: Sequence[str], pairs: Pairs | None = None) -> dict[str, Array]:
        check_fork(self.compute.device, self.process)
        if isinstance(encoded, EncodedWords):
            return self._outputs_of_words(encoded, tasks)
        vectors = self.encoders.each(list(map(task_of, tasks)), lambda encoder: (encode_all(encoder, encoded, self.compute),))
        inputs: dict[int, tuple[Tensor, Array]] = {}  # by the vectors, as most tasks have the same
        outputs = {}
        for task in tasks:
            (own,) = vectors[task_of(task)]
            if id(own) not in inputs:
                inputs[id(own)] = (joined := head_inputs(own, pairs)), check_finite(joined.cpu().numpy(), VECTOR)
            read, checked = inputs[id(own)]
            outputs[task] = checked if are_vectors(task) else self._outputs_of(task, read)
        return outputs

    def _outputs_of_words(self, encoded: EncodedWords, tasks: Sequence[str]) -> dict[str, Array]:
        """The outputs of heads that read words, and those of others for the texts that these are in."""
        specs, own = self.model.tasks, list(map(task_of, tasks))
        of_words = [task for task in tasks if task in specs and specs[task].tags is not None]
        if len(of_words) == len(tasks):
            read = self.encoders.each(own, lambda encoder: (encode_all(encoder, encoded, self.compute),))
            return {task: self._outputs_of(task, read[task][0], encoded.begins) for task in tasks}
        assert encoded.texts is not None
        places = torch.from_numpy(encoded.texts).to(self.compute.device)
        read = self.encoders.each(own, lambda encoder: encode_texts_and_words(encoder, encoded, self.compute))
        outputs = {}
        for task in tasks:
            windows, words = read[task_of(task)]
            if task in of_words:
                outputs[task] = self._outputs_of(task, words, encoded.begins)
                continue
            texts = windows[places]
            checked = check_finite(texts.cpu().numpy(), VECTOR)
            outputs[task] = checked if are_vectors(task) else self._outputs_of(task, texts)
        return outputs

    def _outputs_of(self, task: str, inputs: Tensor, begins: NDArray[np.bool_] | None = None) -> Array:
        return checked_output(outputs_of_head(self.model, task, inputs, begins), task, begins)


def fastest_encoders(model: MultiTaskModel, compute: Compute) -> TaskEncoders:
    """The fastest encoders of a model that is not going to change."""
    base = fastest(model, compute)
    return TaskEncoders(base, model.adapter_specs, lambda task: fastest(model, compute, task, base))
