"""What each head says of texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from mtlkit.config.inference import PredictOptions
from mtlkit.errors import rows_from
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.progress import counting
from mtlkit.recipes.inputs.texts import count_texts, parts, stream_texts


def predict(options: PredictOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[dict[str, Any]]:
    """One dict a text: {"text", "tasks": {task: answer}}, as `LoadedModel.predict` answers, in the order of the texts; and
    {"router": {task: likelihood}} where a router chose the heads."""
    done, total = 0, count_texts(options)
    for texts in parts(stream_texts(options, standard_input, loaded.recorded(options.task))):
        with rows_from(done), counting("predicting", "encoded", total, done=done):
            answers = loaded.predict(texts, options.task)
        done += len(texts)
        for text, found in zip(texts, answers, strict=True):
            yield {"text": text, "tasks": dict(found), **({"router": found.router} if found.router else {})}
