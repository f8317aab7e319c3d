"""Outputs in parts: the same bytes whatever process writes them and wherever it was killed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import dataset, parquet

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.join import JoinOptions
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.outputs import PART_ROWS
from mtlkit.data.outputs.manifest import MANIFEST, WORK
from mtlkit.data.outputs.storage import LocalStorage
from mtlkit.errors import DataError, IntegrityError, UsageError
from mtlkit.inference.load_model import load
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.recipes.embed import embed_to_output
from mtlkit.recipes.inputs import texts as texts_of_inputs
from mtlkit.recipes.join import join
from mtlkit.recipes.outputs.job import OutputProgress
from mtlkit.recipes.predict import predict_to_output

NOTHING = io.StringIO()
COUNTS = (11, 0, 6)  # rows of the files


@pytest.fixture(scope="module")
def loaded(runs: Path) -> LoadedModel:
    return load(runs / "mtl")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three files, one of them without rows and one in a subfolder. Four texts are computed at a time."""
    monkeypatch.setattr(texts_of_inputs, "PART_TEXTS", 4)
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    rows = [{"id": number, "text": f"The cat number {number}{' sleeps' * (number % 3)} é"} for number in range(17)]
    parquet.write_table(pyarrow.Table.from_pylist(rows[:11]), folder / "a.parquet")
    (folder / "b.csv").write_text("id,text\n")
    (folder / "more" / "c.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[11:]))
    return folder


@pytest.fixture
def options(runs: Path, source: Path, tmp_path: Path) -> EmbedOptions:
    return EmbedOptions(model=str(runs / "mtl"), input=[str(source)], keep="id", output=tmp_path / "out", part_rows=5)


def run(options: EmbedOptions | PredictOptions, loaded: LoadedModel) -> OutputProgress:
    """The last step."""
    write: Any = embed_to_output if isinstance(options, EmbedOptions) else predict_to_output
    return list(write(options, loaded, NOTHING))[-1]


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def whole(options: EmbedOptions, loaded: LoadedModel, tmp_path: Path) -> dict[str, bytes]:
    """The files of an output that was not interrupted."""
    assert run(replace(options, output=tmp_path / "whole"), loaded).stage == "written"
    return content(tmp_path / "whole")


def test_parts_are_in_order_with_ids_and_the_vectors_of_one_file(
    options: EmbedOptions, loaded: LoadedModel, whole: dict[str, bytes], tmp_path: Path
) -> None:
    assert list(whole) == [
        *(f"00000-a-{first:010}-{end:010}.parquet" for first, end in ((0, 5), (5, 10), (10, 11))),
        *(f"00002-c-{first:010}-{end:010}.parquet" for first, end in ((0, 5), (5, 6))),
        MANIFEST,
    ]
    table = dataset.dataset(tmp_path / "whole").to_table()
    assert table["id"].to_pylist() == list(range(17))
    run(replace(options, keep=None, output=tmp_path / "one.npy", part_rows=PART_ROWS), loaded)
    assert np.array_equal(np.array(table["vector"].to_pylist(), np.float32), np.load(tmp_path / "one.npy"))
    manifest = json.loads(whole[MANIFEST])
    assert (manifest["rows"], [item["rows"] for item in manifest["inputs"]]) == (17, list(COUNTS))


class Killed(BaseException):
    """The process ends here."""


def faults(patch: pytest.MonkeyPatch, at: int) -> list[str]:
    """Ends the process at a change of the output, before it or after it. Returns the list of changes."""
    done: list[str] = []

    def watched(name: str) -> Any:
        real = getattr(LocalStorage, name)

        def call(*arguments: Any) -> Any:
            for when in ("before", "after"):
                done.append(f"{when} {name}")
                if when == "after":
                    real(*arguments)
                if len(done) == at:
                    raise Killed

        return call

    for name in ("write", "put", "remove"):
        patch.setattr(LocalStorage, name, watched(name))
    return done


def test_killed_anywhere_and_resumed_gives_the_same_bytes(  # fault 57
    options: EmbedOptions, loaded: LoadedModel, whole: dict[str, bytes], tmp_path: Path
) -> None:
    assert options.output is not None
    at = 0
    while True:
        at += 1
        out = replace(options, output=tmp_path / f"out-{at}", resume=True)
        with pytest.MonkeyPatch.context() as patch:
            changes = faults(patch, at)
            try:
                run(out, loaded)
            except Killed:
                pass
            else:
                break
        assert len(changes) == at
        run(out, loaded)
        assert content(tmp_path / f"out-{at}") == whole, changes[-1]
    assert at > 2 * (5 + 5 + 3)  # parts, their records, inputs


def test_a_part_that_is_damaged_or_gone_is_made_again(  # faults 43, 57
    options: EmbedOptions, loaded: LoadedModel, whole: dict[str, bytes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, resumed = tmp_path / "whole", replace(options, output=tmp_path / "whole", resume=True)
    assert run(resumed, loaded) == OutputProgress("finished", 17, 17, 17)
    first, second, *_ = whole
    damaged = bytearray(whole[first])
    damaged[-40] ^= 1
    (folder / first).write_bytes(damaged)
    (folder / second).write_bytes(whole[second][:50])
    assert run(resumed, loaded).reused == 7
    assert content(folder) == whole
    assert [message.rpartition("/")[2] for message in caplog.messages] == [
        f"{name} is damaged; making it again" for name in (first, second)
    ]
    (folder / first).unlink()
    with pytest.raises(DataError, match="is missing; make it again"):
        join(JoinOptions(folder=str(folder)))
    assert run(resumed, loaded).reused == 12
    assert content(folder) == whole


@pytest.mark.parametrize("count", [2, 5])
def test_shards_in_any_order_write_the_same_bytes(  # fault 58
    options: EmbedOptions, loaded: LoadedModel, whole: dict[str, bytes], count: int
) -> None:
    assert options.output is not None
    *others, last = [replace(options, shard=f"{index}/{count}") for index in reversed(range(count))]
    for shard in others:
        assert run(shard, loaded).missing
    with pytest.raises(DataError, match=r"is not complete: missing are (rows 1 to \d+|all rows) of .*a\.parquet.*--resume"):
        join(JoinOptions(folder=str(options.output)))
    assert run(last, loaded).missing == ()
    assert content(options.output) == whole
    joined = join(JoinOptions(folder=str(options.output)))
    assert (joined.rows, joined.parts) == (17, 5)


def test_other_shards_may_finish_what_was_begun(options: EmbedOptions, loaded: LoadedModel, whole: dict[str, bytes]) -> None:
    assert options.output is not None
    run(replace(options, shard="3/5"), loaded)
    assert run(replace(options, resume=True), loaded).reused == 1
    assert content(options.output) == whole


def test_another_input_or_setting_is_refused(  # faults 12, 57
    options: EmbedOptions, loaded: LoadedModel, source: Path
) -> None:
    run(replace(options, shard="0/5"), loaded)
    assert options.output is not None
    before = content(options.output)
    for other, said in (
        ({"resume": False}, "continue with --resume, or start again with --overwrite"),
        ({"normalize": True}, "was started with normalize false, but now it is true"),
        ({"part_rows": 6}, "--part-rows 5, but now it is 6"),
        ({"dtype": "int8"}, "with dtype None, but now it is int8"),
        ({"input": [str(source / "a.parquet")]}, "was started with input"),
    ):
        with pytest.raises(UsageError, match=said):
            run(replace(options, **{"resume": True, **other}), loaded)  # type: ignore[arg-type]
    texts = parquet.read_table(source / "a.parquet").to_pylist()
    size = (source / "a.parquet").stat().st_size
    parquet.write_table(pyarrow.Table.from_pylist([{**texts[0], "text": "The cat number 9 é"}, *texts[1:]]), source / "a.parquet")
    said = "differ from those of" if (source / "a.parquet").stat().st_size == size else "was started with input"
    with pytest.raises(UsageError, match=said):
        run(replace(options, resume=True), loaded)
    assert content(options.output) == before


def test_files_of_others_are_refused_and_overwriting_starts_again(  # fault 40
    options: EmbedOptions, loaded: LoadedModel, whole: dict[str, bytes]
) -> None:
    assert options.output is not None
    options.output.mkdir()
    (options.output / "notes.txt").write_text("mine")
    for more in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(UsageError, match=r"contains notes\.txt, which mtlkit did not write"):
            run(replace(options, **more), loaded)
    assert content(options.output) == {"notes.txt": b"mine"}
    (options.output / "notes.txt").unlink()
    run(replace(options, part_rows=3), loaded)
    run(replace(options, overwrite=True), loaded)
    assert content(options.output) == whole
    with pytest.raises(UsageError, match="would delete what other shards wrote"):
        run(replace(options, overwrite=True, shard="0/2"), loaded)


@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv", "npy", "safetensors"])
@pytest.mark.parametrize("dtype", ["float32", "int8", "binary"])
def test_joined_parts_have_the_rows_of_one_file(
    options: EmbedOptions, loaded: LoadedModel, tmp_path: Path, form: Any, dtype: Any
) -> None:
    if dtype == "int8" and form == "npy":
        pytest.skip("has no place for scales")
    keep = None if form in ("npy", "safetensors") else "id"
    options = replace(options, format=form, dtype=dtype, keep=keep)
    run(options, loaded)
    joined, single = tmp_path / f"joined.{form}", tmp_path / f"single.{form}"
    join(JoinOptions(folder=str(options.output), output=joined))
    run(replace(options, format=None, output=single, part_rows=PART_ROWS), loaded)
    if form == "parquet":
        assert parquet.read_table(joined).equals(parquet.read_table(single))
    else:
        assert joined.read_bytes() == single.read_bytes()


def test_a_flipped_bit_in_a_part_is_named(options: EmbedOptions, loaded: LoadedModel) -> None:  # fault 43
    run(options, loaded)
    assert options.output is not None
    part = next(options.output.glob("*.parquet"))
    damaged = bytearray(part.read_bytes())
    damaged[100] ^= 1
    part.write_bytes(damaged)
    with pytest.raises(IntegrityError, match=f"{part.name} has the SHA-256"):
        join(JoinOptions(folder=str(options.output)))


def test_predictions_in_parts_are_those_of_one_file(options: EmbedOptions, loaded: LoadedModel, tmp_path: Path) -> None:
    asked = PredictOptions(model=options.model, input=options.input, output=options.output, part_rows=5, format="jsonl", top_k=1)
    for keep in (None, "id"):
        asked = replace(asked, keep=keep, overwrite=True)
        run(asked, loaded)
        joined = tmp_path / f"joined-{keep}.jsonl"
        join(JoinOptions(folder=str(asked.output), output=joined))
        rows = [json.loads(line) for line in joined.read_text().splitlines()]
        assert [list(row) for row in rows] == [[keep or "text", "tasks"]] * 17
        assert all(len(answer["probabilities"]) == 1 for row in rows for answer in row["tasks"].values())
        single = replace(asked, format=None, output=tmp_path / f"single-{keep}.jsonl", part_rows=PART_ROWS)
        run(single, loaded)
        assert single.output is not None
        assert single.output.read_bytes() == joined.read_bytes()
    table = replace(asked, format="csv", output=tmp_path / "tables")
    run(table, loaded)
    columns = next((tmp_path / "tables").glob("*.csv")).read_text().partition("\n")[0]
    assert columns.split(",")[:4] == ["id", "kind.label", "kind.probability", "kind.probabilities"]


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Of a finished output, only parts and the manifest are left."""
    yield
    for manifest in tmp_path.glob(f"*/{MANIFEST}"):
        assert not (manifest.parent / WORK).exists()
