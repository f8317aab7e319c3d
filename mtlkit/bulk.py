"""Callables for engines that distribute work over many machines, such as Ray Data and Spark.

An object is small to send: it holds names and settings, and each process loads the model once, when it computes its first batch.
It takes batches in the forms that engines use and returns the same form with a column more:

- a pyarrow Table or RecordBatch: `spark.read.parquet(...).mapInArrow(lambda batches: map(embed, batches), schema)`,
- a dict of columns, as of numpy arrays: `ray.data.read_parquet(...).map_batches(Embed("runs/mtl"))`.

The vector of a text depends on nothing but the text and the model, so batches may have any size and order.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from mtlkit.config.commands.embed import VectorType
from mtlkit.data.outputs.columns import SCALE, VECTOR, quantized
from mtlkit.errors import UsageError, listed, suggest
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel

if TYPE_CHECKING:
    from collections.abc import Mapping

Rows = TypeVar("Rows")  # a dict of columns, a pyarrow Table or a RecordBatch


@lru_cache(maxsize=4)
def _loaded(model: str, settings: tuple[tuple[str, Any], ...]) -> LoadedModel:
    """The model of this process."""
    return load(model, **dict(settings))


@dataclass(frozen=True)
class _ModelColumns:
    """Adds columns that a model computes from the texts in `column`. `settings` are those of `mtlkit.load`, such as `device`."""

    model: str
    column: str = "text"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, rows: Rows) -> Rows:
        """The rows with the computed columns; none of those there are is changed. Raises UsageError for a missing column."""
        names = list(rows) if isinstance(rows, dict) else list(rows.schema.names)  # type: ignore[attr-defined]
        if self.column not in names:
            raise UsageError(f"column '{self.column}' not found; columns: {listed(names)}{suggest(self.column, names)}")
        texts = rows[self.column] if isinstance(rows, dict) else rows.column(self.column)  # type: ignore[attr-defined]
        made = self.columns(_strings(texts))
        if isinstance(rows, dict):
            return {**rows, **made}  # type: ignore[return-value]
        added: Rows = _with_columns(rows, made)
        return added

    @property
    def loaded(self) -> LoadedModel:
        return _loaded(self.model, tuple(sorted(self.settings.items())))

    def columns(self, texts: list[str]) -> dict[str, Any]:
        raise NotImplementedError


@dataclass(frozen=True)
class Embed(_ModelColumns):
    """Adds the column `vector`: (N, dim) of type `dtype`, and for int8 `scale`. `task`, `dim` and `normalize` are as in
    `LoadedModel.embed`."""

    dim: int | None = None
    normalize: bool = False
    task: str | None = None
    dtype: VectorType = "float32"

    def columns(self, texts: list[str]) -> dict[str, Any]:
        vectors = self.loaded.embed(texts, dim=self.dim, normalize=self.normalize, task=self.task)
        stored, scales = quantized(vectors, self.dtype)
        return {VECTOR: stored} if scales is None else {VECTOR: stored, SCALE: scales}


@dataclass(frozen=True)
class Predict(_ModelColumns):
    """Adds the column `tasks`: for each text a JSON object with the answer of each head, as `mtlkit predict` prints it. `task`
    and `reject` are as in `LoadedModel.predict`."""

    task: str | None = None
    reject: Any = None

    def columns(self, texts: list[str]) -> dict[str, Any]:
        answers = self.loaded.predict(texts, self.task, reject=self.reject)
        return {"tasks": np.array([json.dumps(dict(answer), ensure_ascii=False) for answer in answers], object)}


def _strings(values: Any) -> list[str]:
    """The texts of a column. Raises UsageError for a missing one, with its number in the batch."""
    texts: Sequence[Any] = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    for number, text in enumerate(texts, 1):
        if not isinstance(text, str):
            raise UsageError(f"row {number} of the batch has no text: {text!r}")
    return [str(text) for text in texts]  # numpy's strings are a class of their own


def _with_columns(rows: Any, made: Mapping[str, Any]) -> Any:
    """A pyarrow Table or RecordBatch with more columns."""
    import pyarrow

    arrays, schema = list(rows.columns), rows.schema
    for name, values in made.items():
        if values.ndim == 2:
            ends = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
            array = pyarrow.ListArray.from_arrays(ends, pyarrow.array(values.ravel()))  # Spark knows no lists of fixed length
        else:
            array = pyarrow.array(values.tolist(), pyarrow.string()) if values.dtype == object else pyarrow.array(values)
        arrays.append(array)
        schema = schema.append(pyarrow.field(name, array.type))
    return type(rows).from_arrays(arrays, schema=schema)
