"""Writes rows to parquet files in parts, in bounded memory."""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from mtlkit.data.outputs.columns import SCALE, VECTOR, Batch, Layout, plain


class ParquetWriter:
    """All columns; vectors are lists of fixed length."""

    def __init__(self, file: BinaryIO, layout: Layout) -> None:
        import pyarrow
        from pyarrow import parquet

        self.arrow: Any = pyarrow
        self.columns, self.schema = {column.name: column for column in layout.columns}, schema_of(layout)
        self.writer = parquet.ParquetWriter(file, self.schema, compression="zstd")

    def add(self, batch: Batch) -> None:
        arrays = []
        for field, values in zip(self.schema, batch.values(), strict=True):
            if field.name == VECTOR:
                flat = self.arrow.array(np.asarray(values).ravel(), field.type.value_type)
                arrays.append(self.arrow.FixedSizeListArray.from_arrays(flat, type=field.type))
            elif (column := self.columns.get(field.name)) is not None:
                arrays.append(self._array([plain(value, column) for value in values], field.type))
            else:
                arrays.append(self.arrow.array(values, field.type))
        self.writer.write_table(self.arrow.table(arrays, schema=self.schema))

    def _array(self, values: list[Any], kind: Any) -> Any:
        try:
            return self.arrow.array(values, kind)
        except UnicodeEncodeError:  # half of a character in JSON
            sound = [None if value is None else value.encode("utf-8", "backslashreplace").decode() for value in values]
            return self.arrow.array(sound, kind)

    def close(self) -> None:
        self.writer.close()


def schema_of(layout: Layout) -> Any:
    """The pyarrow schema of a layout."""
    import pyarrow

    numbers = {"int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    fields = [(column.name, numbers.get(column.kind, pyarrow.string())) for column in layout.columns]
    if layout.vector is not None:
        kind = {"float32": pyarrow.float32(), "float16": pyarrow.float16(), "int8": pyarrow.int8(), "binary": pyarrow.uint8()}
        fields.append((VECTOR, pyarrow.list_(kind[layout.vector.type], layout.vector.width)))
        if layout.vector.scaled:
            fields.append((SCALE, pyarrow.float32()))
    return pyarrow.schema(fields)
