"""The making of the model inside the package runs from its two inputs to its folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

import mtlkit
from mtlkit.data.datasets.corpus import read_texts
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.inference.find_model import mini_folder
from mtlkit.runs.record import verify

EXAMPLES = Path(__file__).parents[2] / "examples" / "mini"
OPTIONS = ["--layers", "1", "--dim", "32", "--heads", "2", "--vocab-size", "400", "--matryoshka", "16", "--epochs", "1"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files of paragraphs."""
    folder = tmp_path_factory.mktemp("inputs")
    paths = []
    for sample in ("topic", "sentiment"):
        texts = list(read_texts(f"sample:{sample}?limit=60", ReadOptions("utf-8", "error", SkippedRows())))
        paths.append(folder / f"{sample}.parquet")
        parquet.write_table(pyarrow.table({"text": texts}), paths[-1])
    return paths


@pytest.mark.slow
def test_the_script_makes_a_model_of_the_same_kind(inputs: list[Path], tmp_path: Path) -> None:
    command = [EXAMPLES / "make.sh", *inputs, mini_folder(), tmp_path / "work", *OPTIONS]
    scripts = Path(sys.executable).parent
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=240, env={"PATH": f"{scripts}:/usr/bin:/bin"}
    )
    assert done.returncode == 0, done.stderr
    made = tmp_path / "work" / "mini"
    record = verify(made)
    assert record.data["texts"]["teacher"]["path"] == "teacher"
    assert str(tmp_path) not in (made / "run.json").read_text()
    assert mtlkit.load(made).embed(["a text"]).shape == (1, 32)
    assert "## License" in (made / "README.md").read_text()


def test_texts_are_the_same_every_time(inputs: list[Path], tmp_path: Path) -> None:
    outputs = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    for out in outputs:
        subprocess.run([sys.executable, EXAMPLES / "prepare.py", *inputs, out], check=True, timeout=60, capture_output=True)
    first, second = (parquet.read_table(out)["text"].to_pylist() for out in outputs)
    assert first == second
    assert len(first) == len(set(first)) > 100
