"""Files that a command must not overwrite: refused with exit code 2, unchanged, even with --overwrite."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtlkit.inference.find_model import mini_folder
from mtlkit.runs.lock import locked
from mtlkit.runs.record import file_digest, verify

if TYPE_CHECKING:
    from .conftest import Typed


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "d.jsonl"
    path.write_text('{"text":"a","label":"x"}\n{"text":"b","label":"y"}\n')
    return path


def refused(typed: Typed, *words: object, said: str) -> None:
    for more in ((), ("--overwrite",)):
        answer = typed(*words, *more)
        assert (answer.code, answer.out) == (2, ""), answer.err
        assert answer.err.count("\n") == 1
        assert said in answer.err


def test_embed_spares_its_input_by_any_name(typed: Typed, mtl: Path, texts: Path, tmp_path: Path) -> None:  # fault 40
    before = texts.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(texts)
    os.link(texts, tmp_path / "hard.jsonl")
    for name in ("d.jsonl", "link.jsonl", "hard.jsonl"):
        refused(typed, "embed", "--model", mtl, "--input", texts, "--output", tmp_path / name, said=" --input ")
    assert texts.read_bytes() == before


def test_embed_spares_what_it_reads_on_standard_input(typed: Typed, mtl: Path, texts: Path) -> None:  # fault 40
    before, old, file = texts.read_bytes(), os.dup(0), os.open(texts, os.O_RDONLY)
    try:
        os.dup2(file, 0)
        refused(typed, "embed", "--model", mtl, "-", "--output", texts, said="standard input")
    finally:
        os.dup2(old, 0)
        os.close(old)
        os.close(file)
    assert texts.read_bytes() == before


def test_embed_spares_models(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 40
    run = Path(shutil.copytree(mtl, tmp_path / "run"))
    other = Path(shutil.copytree(mini_folder(), tmp_path / "other"))
    for folder in (run, other):
        for name in ("model.safetensors", "v.npy"):
            refused(typed, "embed", "--model", run, "hi", "--output", folder / name, said=f"{folder / name} is inside ")
    verify(run)
    verify(other)


def test_embed_replaces_a_file_only_when_asked(typed: Typed, mtl: Path, texts: Path, tmp_path: Path) -> None:  # fault 40
    out = tmp_path / "v.jsonl"
    out.write_text("mine")
    words = ("embed", "--model", mtl, "--input", texts, "--output", out)
    answer = typed(*words)
    assert (answer.code, out.read_text()) == (2, "mine")
    assert "exists; " in answer.err
    assert typed(*words, "--resume").code == 2  # it is not known what made it
    assert out.read_text() == "mine"
    assert typed(*words, "--overwrite").code == 0
    assert out.read_text().count("\n") == 2


def test_resuming_a_finished_output_does_nothing_where_it_is_the_same(  # fault 40
    typed: Typed, mtl: Path, texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "v.npy"
    words = ("embed", "--model", mtl, "--input", texts, "--output", out)
    assert typed(*words).code == 0
    before = out.stat()
    answer = typed(*words, "--resume")
    assert (answer.code, answer.out) == (0, f"{out}: 2 vectors of 32\n")
    assert "already complete" in answer.err
    for more, said in ((("--normalize",), "normalize false, not true"), (("--dim", 16), "dim 32, not 16")):
        answer = typed(*words, "--resume", *more)
        assert (answer.code, said in answer.err) == (2, True), answer.err
    texts.write_text('{"text":"a","label":"x"}\n{"text":"c","label":"y"}\n')
    answer = typed(*words, "--resume")
    assert (answer.code, "texts" in answer.err) == (2, True)
    assert (out.stat().st_mtime_ns, out.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    out.write_bytes(b"mine")
    answer = typed(*words, "--resume")
    assert (answer.code, "--overwrite" in answer.err) == (2, True)
    assert out.read_bytes() == b"mine"


@pytest.mark.parametrize("command", ["embed", "curves", "export"])
def test_second_writer_of_an_output_is_refused_and_the_first_named(  # fault 42
    typed: Typed, mtl: Path, tmp_path: Path, command: str
) -> None:
    words, name = {
        "embed": (("embed", "--model", mtl, "hi", "--output"), "v.npy"),
        "curves": (("curves", mtl, "--output"), "c.svg"),
        "export": (("export", mtl, "--format", "compact"), "out"),
    }[command]
    with locked(tmp_path / name, "mtlkit first"):
        answer = typed(*words, tmp_path / name)
    assert (answer.code, answer.out) == (2, "")
    assert f"{tmp_path / name} is being written by this process since " in answer.err
    assert "(mtlkit first)" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_a_training_spares_a_folder_with_anything_of_the_user(
    typed: Typed, data: Path, mtl: Path, tmp_path: Path
) -> None:  # fault 40
    proj = tmp_path / "proj"
    proj.mkdir()
    (proj / "run.json").write_text("{}")
    (proj / "thesis.tex").write_text("thesis")
    shutil.copy(data / "kind" / "train.csv", proj / "data.csv")
    train = ("train-mtl", "--init", mtl, "--epochs", 1, "--overwrite")
    for source in (proj / "data.csv", data / "kind"):
        answer = typed(*train, "--task", f"kind={source}", "--out", proj)
        assert (answer.code, answer.out) == (2, "")
    assert "contains data.csv, run.json, thesis.tex, not part of a run" in answer.err
    assert sorted(path.name for path in proj.iterdir()) == ["data.csv", "run.json", "thesis.tex"]


def test_a_training_spares_its_start_and_its_data(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:  # fault 40
    par = Path(shutil.copytree(mtl, tmp_path / "par"))
    base = Path(shutil.copytree(mtl, par / "base"))
    for init, out in ((base, par), (par, par), (par, par / "run"), (base, base)):
        answer = typed("train-mtl", "--init", init, "--task", f"kind={data / 'kind'}", "--out", out, "--overwrite")
        assert (answer.code, answer.out) == (2, ""), answer.err
        assert " --init " in answer.err
    answer = typed("train-mtl", "--init", mtl, "--task", f"kind={data / 'kind'}", "--out", data / "kind" / "run")
    assert (answer.code, "is inside --task" in answer.err) == (2, True)
    verify(par)
    verify(base)
    assert not (data / "kind" / "run").exists()


def test_an_export_spares_its_source_and_other_runs(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 40
    full = Path(shutil.copytree(mtl, tmp_path / "full"))
    before = file_digest(full / "model.safetensors")
    refused(typed, "export", full, full, "--format", "compact", said="full is ")
    refused(typed, "export", full, full / "below", "--format", "compact", said="is inside ")
    other = Path(shutil.copytree(mtl, tmp_path / "other"))
    answer = typed("export", full, other, "--format", "compact", "--overwrite")
    assert (answer.code, "is not an export" in answer.err) == (2, True)
    (tmp_path / "card.md").write_text("mine")
    assert file_digest(full / "model.safetensors") == before
    verify(full)
    verify(other)


def test_curves_spare_logs_runs_and_pictures(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 40
    run = Path(shutil.copytree(mtl, tmp_path / "run"))
    (tmp_path / "log.svg").write_bytes((run / "metrics.jsonl").read_bytes())
    refused(typed, "curves", tmp_path / "log.svg", "-o", tmp_path / "log.svg", said="log.svg is ")
    refused(typed, "curves", run, "-o", run / "curves.svg", said="is inside ")
    refused(typed, "curves", run, "-o", run / "metrics.jsonl", said="is not one of .svg, .png")
    (tmp_path / "old.svg").write_text("mine")
    answer = typed("curves", run, "-o", tmp_path / "old.svg")
    assert (answer.code, (tmp_path / "old.svg").read_text()) == (2, "mine")


def test_the_file_of_options_is_no_output(typed: Typed, mtl: Path, tmp_path: Path) -> None:  # fault 40
    config = tmp_path / "options.npy"
    config.write_text("normalize = true\n")
    refused(typed, "embed", "--model", mtl, "hi", "--config", config, "--output", config, said="--config")
    assert config.read_text() == "normalize = true\n"
