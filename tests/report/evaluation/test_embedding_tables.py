from __future__ import annotations

import re

import numpy as np
import pytest
from drawing import HOSTILE, STYLE, drawn, widest

from mtlkit.report.evaluation.embedding_tables import cosine_cell, cosine_table, probe_table, sts_table


@pytest.mark.parametrize("count", range(2, 13))
def test_cosines_of_up_to_twelve_texts_fit_eighty_columns(count: int) -> None:
    text = drawn(
        cosine_table(
            [f"text number {row}, which is rather a long one" for row in range(count)], np.full((count, count), -0.5), 80
        )
    )
    assert widest(text) <= 80
    assert len(re.findall(r"-0\.50+\b", text)) == count * count


def test_cosines_that_do_not_fit_are_not_shown() -> None:
    assert cosine_table(["a"] * 12, np.eye(12, dtype=np.float32), 60) is None


def test_texts_in_the_cosine_table_are_shown_literally() -> None:  # fault 30
    text = STYLE.sub("", drawn(cosine_table(list(HOSTILE), np.eye(5, dtype=np.float32), 120), 120, colour=True))
    assert "[red]r[/red]" in text
    assert "\x1b" not in text


def test_cosines_are_greener_the_higher_and_red_below_zero() -> None:
    assert [cosine_cell(value, 2).plain for value in (1.0, 0.5, -0.25)] == ["1.00", "0.50", "-0.25"]
    styles = [str(cosine_cell(value, 2).style) for value in (1.0, 0.5, -0.25, 0.0)]
    assert styles == ["bold reverse green", "bold reverse green", "bold red", "dim"]


def sts_row(source: str, split: str = "test") -> dict[str, object]:
    figures = {"spearman": 0.8203, "spearman_interval": [0.7996, 0.8405], "pearson": -0.1, "pearson_interval": [-0.2, 0.1]}
    return {"source": source, "split": split, "pairs": 123_456, "dim": 384, **figures}


def test_similarities_of_sentences_fit_eighty_columns_with_the_whole_source() -> None:
    source = "a/long/path/of/folders/to/the/data/of[/]/stsb.parquet"
    text = drawn(sts_table([sts_row("stsb"), sts_row(source)]))
    assert widest(text) <= 80
    assert "cosine of 384-dimensional" in text
    for figure in ("123,456", "0.8203", "0.7996..0.8405", "-0.1000", "-0.2000..0.1000"):
        assert text.count(figure) == 2
    first = "".join(line.strip().split("  ")[0] for line in text.splitlines())
    assert f"{source} (test)".replace(" ", "") in first.replace(" ", "")


def test_probes_fit_eighty_columns_with_every_figure() -> None:
    row = {
        "split": "test",
        "dim": 384,
        "train": 1_234_567,
        "n": 250_000,
        "accuracy": 0.9,
        "accuracy_interval": [0.85, 0.95],
        "macro_f1": 0.8,
        "macro_f1_interval": [0.75, 0.85],
        "cross_validated": 0.7,
        "cross_validated_interval": [0.65, 0.75],
        "c": 0.003,
    }
    text = drawn(probe_table({"topic": row, "a_task_with_a_rather_long_name": row}, 80))
    assert widest(text) <= 80
    assert "384-dimensional vectors, evaluated on test" in text
    lines = [line.split() for line in text.splitlines() if "0.9000" in line]
    assert [line[0] for line in lines] == ["topic", lines[1][0]]
    assert lines[1][0].startswith("a_task")
    assert lines[1][0].endswith("…")
    for line in lines:
        assert line[1:] == ["1,234,567", "250,000", "0.9000", "0.8500..0.9500", "0.8000", "0.7000", "0.003"]
    assert "0.7000 0.6500..0.7500 0.003" in " ".join(drawn(probe_table({"topic": row}, 120), 120).split())
