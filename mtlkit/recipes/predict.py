"""`mtlkit predict`: predictions of each head for texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO, cast

from mtlkit.config.commands.predict import PredictOptions, parse_reject
from mtlkit.config.source_record import SourceRecord
from mtlkit.data.outputs.columns import Column, Layout, OutputRows
from mtlkit.data.sources.kept_columns import KeptRow, pairs_and_values, texts_and_values
from mtlkit.errors import UsageError, rows_from
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.predictions import heads_for, most_probable
from mtlkit.inference.routing import Prediction
from mtlkit.inference.words import TextWithWords
from mtlkit.model.digest import digest_of
from mtlkit.progress import counting
from mtlkit.recipes.inputs.pairs import predicts_pairs, stream_pairs
from mtlkit.recipes.inputs.texts import count_by_reading, count_texts, parts, stream_texts
from mtlkit.recipes.inputs.words import reads_words, stream_words
from mtlkit.recipes.outputs.answers import flat_columns, flat_values
from mtlkit.recipes.outputs.job import Job, OutputProgress, RowOptions, examples_and_kept, identities, settings_of_texts
from mtlkit.recipes.outputs.write import check_no_output, write_output


def predict(options: PredictOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[dict[str, Any]]:
    """Yields a dict per text, in order: {"text": ..., "tasks": {task: prediction}}, with the predictions of
    `LoadedModel.predict`, and {"pair": [first, second], "tasks": ...} per pair of texts. If a router chose the heads, also
    {"router": {task: probability}}.
    """
    check_no_output(options)
    done, total = 0, count_texts(options) or count_by_reading(options, loaded.recorded(options.tasks))
    for part in parts(examples(options, loaded, standard_input)):
        with rows_from(done), counting("predicting", "encoded", total, done=done):
            predictions = predictions_of(part, options, loaded)
        done += len(part)
        for example, prediction in zip(part, predictions, strict=True):
            what = {"pair": list(example)} if isinstance(example, tuple) else {"text": text_of(example)}
            yield {**what, "tasks": tasks_of(prediction, options), **({"router": prediction.router} if prediction.router else {})}


def text_of(example: str | TextWithWords) -> str:
    return example.text if isinstance(example, TextWithWords) else example


def predictions_of(part: list[Any], options: PredictOptions, loaded: LoadedModel) -> list[Prediction]:
    """The predictions for texts, pairs of texts or texts with words."""
    words = [text.words for text in part if isinstance(text, TextWithWords)] or None
    texts: list[Any] = [text if isinstance(text, tuple) else text_of(text) for text in part]
    reject = None if options.reject is None else parse_reject(options.reject)
    return loaded.predict(texts, options.tasks, reject=reject, words=words)


def tasks_of(prediction: Prediction, options: PredictOptions) -> dict[str, Any]:
    """The answers of all tasks, with the likeliest labels only if `--top-k` says so."""
    if options.top_k is None:
        return dict(prediction)
    return {task: most_probable(answer, options.top_k) for task, answer in prediction.items()}


def examples(options: PredictOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[Any]:
    """The texts, the pairs of texts for heads that read these, or texts whose words are known. Raises UsageError, DataError."""
    records = loaded.recorded(options.tasks)
    if predicts_pairs(options, loaded.specs):
        return stream_pairs(options, standard_input, records)
    if reads_words(options, records):
        return stream_words(options, records)
    return stream_texts(options, standard_input, records)


def predict_to_output(options: PredictOptions, loaded: LoadedModel, standard_input: TextIO) -> Iterator[OutputProgress]:
    """Writes the predictions to `options.output`, in parts, so that an interrupted run can be resumed.

    Raises UsageError, DataError, SavingError.
    """
    if not loaded.tasks:
        loaded.predict(["a text"])  # raises the error that says what to do
    return write_output(options, loaded, lambda suffix: PredictJob(options, loaded, standard_input, suffix))


class PredictJob(Job):
    """Predictions of heads for texts, pairs of texts, or texts with words."""

    command, activity = "predict", "predicting"

    def __init__(self, options: PredictOptions, loaded: LoadedModel, standard_input: TextIO, suffix: str) -> None:
        self.options = options
        self.of_pairs = predicts_pairs(options, loaded.specs)
        self.tasks = heads_for(loaded.specs, options.tasks, loaded.name, pairs=self.of_pairs)
        self.routed = bool(loaded.router) and options.tasks is None and not self.of_pairs
        self.flat = flat_columns(loaded.specs, self.tasks, reject=options.reject is not None)
        super().__init__(options, loaded, standard_input, suffix)
        if self.keep and reads_words(options, self.recorded):
            raise UsageError("--keep carries no columns of rows with words; leave it out, or give texts with --column NAME")

    @property
    def recorded(self) -> list[SourceRecord]:
        return self.loaded.recorded(self.options.tasks)

    def make_layout(self) -> Layout:
        if self.keep:
            columns = self.keep
        elif self.of_pairs:
            columns = (Column("pair", "json"),) if self.nested else (Column("first", "string"), Column("second", "string"))
        else:
            columns = (Column("text", "string"),)
        answers = (Column("tasks", "json"),) if self.nested else self.flat
        return Layout(False, (*columns, *answers, *([Column("router", "json", optional=True)] if self.routed else [])))

    def prepare(self, rows: list[Any]) -> bool:
        return True  # texts are tokenized as heads read them

    def compute(self, rows: list[Any], prepared: bool) -> OutputRows:
        examples, kept = examples_and_kept(rows)
        predictions = predictions_of(examples, self.options, self.loaded)
        values = []
        for first, prediction in zip(kept or map(self._shown, examples), predictions, strict=True):
            tasks = tasks_of(prediction, self.options)
            router = [prediction.router or None] if self.routed else []
            values.append([*first, *([tasks] if self.nested else flat_values(tasks, self.flat)), *router])
        return OutputRows(identities(rows), None, values)

    def _shown(self, example: Any) -> tuple[Any, ...]:
        """The first columns of a row without kept ones."""
        if isinstance(example, tuple):
            return (list(example),) if self.nested else example
        return (text_of(example),)

    def examples(self, options: RowOptions) -> Iterator[Any]:
        return examples(cast(PredictOptions, options), self.loaded, self.standard_input)

    def kept_rows(self, table: str, options: RowOptions) -> Iterator[KeptRow]:
        if self.of_pairs:
            return pairs_and_values(table, self.options.pair, options.encoding, self.recorded, self.keep)
        return texts_and_values(table, options.column, options.encoding, self.recorded, self.keep)

    def settings(self) -> dict[str, str]:
        options, loaded = self.options, self.loaded
        asked = {"task": ",".join(options.task) or None, "pair": options.pair, "reject": options.reject, "top-k": options.top_k}
        return {
            "model": digest_of(loaded.path)[:16],
            "engine": type(loaded.engine).__name__,
            "precision": loaded.engine.precision,
            **{name: str(value) for name, value in asked.items() if value is not None},
            **settings_of_texts(loaded),
        }
