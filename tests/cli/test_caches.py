"""`mtlkit info --caches` and `--clear-caches` find the caches of mtlkit and touch nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtlkit.config.architecture import Encoding
from mtlkit.data.cache import encode_cached
from mtlkit.data.outputs.columns import OutputRows
from mtlkit.data.outputs.resumable_output import OutputParts
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.runs.lock import locked
from mtlkit.runs.store import FEATURES, RowStream, entry_in

Typed = Callable[..., Any]
ROWS = np.ones((500, 8), np.float32)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text_encoder: TextEncoder) -> Path:
    """A folder with a cache of tokens, one of features beside its runs, parts of an output, and files of others everywhere."""
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    encode_cached(["a cat"], TextEncoder(text_encoder.tokenizer, Encoding(16)))
    entry_in(tmp_path / "runs" / ".cache" / FEATURES, FEATURES, "0123456789abcdef" * 4).write({"rows": ROWS})
    parts = OutputParts(tmp_path / "out.npy", {"model": "m"})
    parts.open(resume=False, overwrite=False)
    parts.write(0, OutputRows(["a"], ROWS[:1]))
    for path in mine(tmp_path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    (tmp_path / "user" / "tokens" / f"{'a' * 32}.safetensors").symlink_to(tmp_path / "out.npy")
    return tmp_path


def mine(home: Path) -> list[Path]:
    """Files that are no caches of mtlkit."""
    names = ["user/notes.txt", "user/tokens/model.safetensors", "user/other/" + "b" * 32 + ".safetensors", "out.npy"]
    names += ["runs/.cache/notes.txt", "runs/.cache/features/notes.npy", "runs/run/model.safetensors", ".mine.parts/notes.txt"]
    return [home / name for name in names]


def kinds(document: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {one["kind"]: (one["path"], one["files"]) for one in document["caches"]}


def test_caches_are_listed_with_places_and_sizes(typed: Typed, home: Path) -> None:
    answer = typed("info", "--caches", "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert kinds(document) == {
        "tokens": (str(home / "user" / "tokens"), 1),
        "features": ("runs/.cache", 1),
        "output parts": (str(home / ".out.npy.parts"), 2),
    }
    assert document["bytes"] == sum(one["bytes"] for one in document["caches"]) > ROWS.nbytes
    table = typed("info", "--caches", width=120)
    assert table.code == 0
    assert str(home / "user" / "tokens")[-20:] in table.out
    assert "4 files, 0.0 MB" in table.out


def test_caches_are_cleared_and_nothing_else_is(typed: Typed, home: Path) -> None:
    before = json.loads(typed("info", "--caches", "--json").out)
    answer = typed("info", "--clear-caches", "--json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert (document["bytes"], kinds(document), document["kept"]) == (before["bytes"], kinds(before), [])
    assert all(path.read_text() == "mine" for path in mine(home))
    assert (home / "user" / "tokens" / f"{'a' * 32}.safetensors").is_symlink()
    assert not (home / ".out.npy.parts").exists()
    assert json.loads(typed("info", "--caches", "--json").out) == {"caches": [], "bytes": 0}
    again = typed("info", "--clear-caches")
    assert (again.code, again.out.strip()) == (0, "0 files, 0.0 MB freed")


def test_parts_that_a_running_process_writes_are_kept(typed: Typed, home: Path) -> None:
    with locked(home / "out.npy", "mtlkit embed"):
        document = json.loads(typed("info", "--clear-caches", "--json").out)
    assert "output parts" not in kinds(document)
    assert [one["path"] for one in document["kept"]] == [str(home / ".out.npy.parts")]
    assert "being written" in document["kept"][0]["reason"]
    assert (home / ".out.npy.parts" / "00000000.safetensors").exists()


HOLDING = """
import sys
from pathlib import Path
from mtlkit.runs.store import FEATURES, entry_in

found = entry_in(Path(sys.argv[1]), FEATURES, "0123456789abcdef" * 4).read(lambda arrays: True, mapped=True)
print("mapped", flush=True)
sys.stdin.readline()
assert (found["rows"] == 1).all()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
def test_features_that_a_running_process_reads_are_kept(typed: Typed, home: Path) -> None:
    folder = home / "runs" / ".cache" / FEATURES
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mapped\n"
        answer = typed("info", "--clear-caches")
        assert answer.code == 0
        assert "a running process uses it" in " ".join(answer.out.split())
        assert len(list(folder.glob("*.safetensors"))) == 1
        process.communicate("\n", timeout=60)
    assert process.returncode == 0
    typed("info", "--clear-caches")
    assert not list(folder.glob("*.safetensors"))


def test_caches_of_earlier_versions_are_listed_too(typed: Typed, home: Path) -> None:
    place = home / "runs" / ".cache"
    earlier = [place / f"{'0a' * 32}-01234567.npy", place / "baselines" / ("0b" * 16) / "outputs.safetensors"]
    earlier += [earlier[1].with_name("run.json"), home / "user" / "int8" / f"{'0c' * 16}-1.safetensors"]
    for path in earlier:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"12345")
    document = json.loads(typed("info", "--clear-caches", "--json").out)
    assert {kind: files for kind, (_, files) in kinds(document).items()} == {
        "tokens": 1,
        "int8": 1,
        "features": 2,
        "baselines": 2,
        "output parts": 2,
    }
    assert not any(path.exists() for path in earlier)
    assert not (place / "baselines").exists()


def test_a_file_that_is_being_written_is_kept(typed: Typed, home: Path) -> None:
    def parts() -> Any:
        yield ROWS
        assert typed("info", "--clear-caches").code == 0
        yield ROWS

    file = entry_in(home / "runs" / ".cache" / FEATURES, FEATURES, "ab" * 32)
    file.write({"rows": RowStream((1000, 8), parts())})
    assert file.read(lambda _: True) is not None


def test_a_run_beside_caches_is_refused(typed: Typed, home: Path) -> None:
    answer = typed("info", "runs/run", "--caches")
    assert answer.code == 2
    assert "runs/run" in answer.err


def test_no_torch_is_loaded(home: Path) -> None:
    code = "import sys; sys.argv = ['mtlkit', 'info', '--caches']\nfrom mtlkit.cli.app import main\n"
    code += "try: main()\nexcept SystemExit as end: print(end.code, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_damaged_cache_gives_a_warning_and_the_same_result(typed: Typed, mtl: Path, home: Path, data: Path) -> None:
    task = f"kind={data / 'kind'}"
    whole = typed("eval", "--model", mtl, "--task", task, "--json")
    assert whole.code == 0, whole.err
    for path in (home / "user" / "tokens").glob("*.safetensors"):
        if not path.is_symlink() and path.name != "model.safetensors":
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)
    again = typed("eval", "--model", mtl, "--task", task, "--json")
    assert (again.code, again.out) == (0, whole.out)
    (warning,) = [line for line in again.err.splitlines() if "damaged" in line]
    assert warning.startswith(f"warning: {home / 'user' / 'tokens'}/")
