"""`mtlkit predict`: predictions of each head for texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from mtlkit.config.commands.predict import PredictOptions, parse_reject
from mtlkit.errors import rows_from
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.words import TextWithWords
from mtlkit.progress import counting
from mtlkit.recipes.inputs.pairs import predicts_pairs, stream_pairs
from mtlkit.recipes.inputs.texts import count_by_reading, count_texts, parts, stream_texts
from mtlkit.recipes.inputs.words import reads_words, stream_words


def predict(options: PredictOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[dict[str, Any]]:
    """Yields a dict per text, in order: {"text": ..., "tasks": {task: prediction}}, with the predictions of
    `LoadedModel.predict`, and {"pair": [first, second], "tasks": ...} per pair of texts. If a router chose the heads, also
    {"router": {task: probability}}.
    """
    done, total = 0, count_texts(options) or count_by_reading(options, loaded.recorded(options.task))
    reject = None if options.reject is None else parse_reject(options.reject)
    for texts in parts(examples(options, loaded, standard_input)):
        words = [text.words for text in texts if isinstance(text, TextWithWords)] or None
        texts = [text.text if isinstance(text, TextWithWords) else text for text in texts]
        with rows_from(done), counting("predicting", "encoded", total, done=done):
            predictions = loaded.predict(texts, options.task, reject=reject, words=words)
        done += len(texts)
        for text, prediction in zip(texts, predictions, strict=True):
            what = {"text": text} if isinstance(text, str) else {"pair": list(text)}
            yield {**what, "tasks": dict(prediction), **({"router": prediction.router} if prediction.router else {})}


def examples(options: PredictOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[Any]:
    """The texts, the pairs of texts for heads that read these, or texts whose words are known. Raises UsageError, DataError."""
    records = loaded.recorded(options.task)
    if predicts_pairs(options, loaded.specs):
        return stream_pairs(options, standard_input, records)
    if reads_words(options, records):
        return stream_words(options, records)
    return stream_texts(options, standard_input, records)
