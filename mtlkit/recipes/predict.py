"""`mtlkit predict`: predictions of each head for texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from mtlkit.config.inference import PredictOptions, parse_reject
from mtlkit.errors import rows_from
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.progress import counting
from mtlkit.recipes.inputs.texts import count_texts, parts, stream_texts


def predict(options: PredictOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[dict[str, Any]]:
    """Yields a dict per text, in order: {"text": ..., "tasks": {task: prediction}}, with the predictions of
    `LoadedModel.predict`. If a router chose the heads, also {"router": {task: probability}}.
    """
    done, total = 0, count_texts(options)
    reject = None if options.reject is None else parse_reject(options.reject)
    for texts in parts(stream_texts(options, standard_input, loaded.recorded(options.task))):
        with rows_from(done), counting("predicting", "encoded", total, done=done):
            predictions = loaded.predict(texts, options.task, reject=reject)
        done += len(texts)
        for text, prediction in zip(texts, predictions, strict=True):
            yield {"text": text, "tasks": dict(prediction), **({"router": prediction.router} if prediction.router else {})}
