"""Columns of outputs: types of vectors, and of the columns that are carried along."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from mtlkit.data.outputs.columns import Column, Layout, OutputRows, VectorColumn, as_kind, check_names, kind_of_values, quantized
from mtlkit.errors import DataError, UsageError

VECTORS = np.random.default_rng(0).standard_normal((50, 24)).astype(np.float32)


def test_int8_is_within_half_a_step_of_its_scale() -> None:
    stored, scales = quantized(VECTORS, "int8")
    assert stored.dtype == np.int8
    assert scales is not None
    assert np.abs(stored.astype(np.int64)).max(1).tolist() == [127] * 50
    assert (np.abs(stored * scales[:, None] - VECTORS) <= scales[:, None] * 0.5001).all()


def test_a_vector_of_zeros_stays_one() -> None:
    stored, scales = quantized(np.zeros((1, 4), np.float32), "int8")
    assert stored.tolist() == [[0] * 4]
    assert scales is not None
    assert scales.tolist() == [0]
    assert quantized(np.zeros((0, 4), np.float32), "int8")[0].shape == (0, 4)


def test_binary_is_a_bit_for_each_number() -> None:
    stored, scales = quantized(VECTORS[:, :11], "binary")
    assert scales is None
    assert stored.shape == (50, VectorColumn(11, "binary").width) == (50, 2)
    assert np.array_equal(np.unpackbits(stored, axis=1)[:, :11].astype(bool), VECTORS[:, :11] > 0)


@pytest.mark.parametrize("kind", ["float16", "int8", "binary"])
def test_a_stored_vector_does_not_depend_on_others(kind: str) -> None:
    alone = [quantized(VECTORS[row : row + 1], kind)[0] for row in range(50)]  # type: ignore[arg-type]
    assert np.array_equal(np.concatenate(alone), quantized(VECTORS, kind)[0])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, None], "int"),
        ([1, 2.5], "float"),
        ([True], "bool"),
        (["1", None], "string"),
        ([None], "string"),
        ([1, "a"], "json"),
        ([[1]], "json"),
        ([2**63], "json"),
        ([Decimal("1.5")], "string"),
    ],
)
def test_the_kind_of_a_column_follows_from_its_values(values: list[object], kind: str) -> None:
    assert kind_of_values(values) == kind


def test_a_later_value_of_another_kind_is_named() -> None:
    assert as_kind(1, Column("id", "float"), "a.jsonl:3") == 1.0
    assert as_kind(None, Column("id", "int"), "a.jsonl:3") is None
    with pytest.raises(DataError, match=r"a\.jsonl:3: column 'id' holds a string \(x\).* int values"):
        as_kind("x", Column("id", "int"), "a.jsonl:3")


def test_kept_columns_come_before_the_vector_and_instead_of_the_text() -> None:
    layout = Layout(False, (Column("id", "int"),), VectorColumn(24, "int8"))
    batch = layout.batch(OutputRows(["a", "b"], VECTORS[:2], [(1,), (2,)]))
    assert list(batch) == list(layout.names) == ["id", "vector", "scale"]
    assert list(batch["id"]) == [1, 2]
    with pytest.raises(UsageError, match="two columns 'vector'"):
        check_names(Layout(False, (Column("vector", "int"),), VectorColumn(24)))
