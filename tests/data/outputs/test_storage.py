"""Folders for outputs: local, in memory, and in a real S3 service on this machine."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pyarrow
import pytest
from pyarrow import parquet

from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.join import JoinOptions
from mtlkit.data.outputs.remote_storage import open_storage
from mtlkit.data.outputs.storage import Storage
from mtlkit.errors import DataError, NetworkError
from mtlkit.inference.load_model import load
from mtlkit.recipes.embed import embed_to_output
from mtlkit.recipes.join import join

NOTHING = io.StringIO()


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    import fsspec

    address = str(tmp_path / "out") if request.param == "local" else "memory://bucket/out"
    with open_storage(address) as opened:
        opened.staging.mkdir(parents=True, exist_ok=True)
        yield opened
    fsspec.filesystem("memory").store.clear()


def test_files_are_written_listed_read_and_removed(storage: Storage) -> None:
    assert storage.names() == []
    assert storage.names("_parts") == []
    assert storage.read("a.json") is None
    assert storage.size("a.json") is None
    storage.write("_parts/b.json", b"b")
    storage.write("_parts/a.json", b"a")
    assert storage.names("_parts") == ["a.json", "b.json"]
    assert storage.read_all(["_parts/b.json", "_parts/a.json"]) == [b"b", b"a"]
    with pytest.raises(FileNotFoundError):
        storage.read_all(["_parts/a.json", "_parts/c.json"])
    staged = storage.staging / "part"
    staged.write_bytes(b"part")
    storage.put(staged, "part.npy")
    assert not staged.exists()
    assert storage.size("part.npy") == 4
    with storage.file("part.npy").open() as file:
        assert file.read() == b"part"
    for name in ("part.npy", "part.npy", "_parts/a.json", "_parts/b.json"):
        storage.remove(name)
    storage.remove_folder("_parts")
    assert storage.names() == []


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of moto's S3 service with an empty bucket."""
    pytest.importorskip("s3fs", reason="needs s3fs: pip install 'mtlkit[s3]'")
    pytest.importorskip("moto", reason="needs moto: pip install 'moto[server]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urlopen(url, timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "ENDPOINT_URL": url}.items():
                patch.setenv(f"AWS_{name}", value)
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            import s3fs

            s3fs.S3FileSystem.clear_instance_cache()
            s3fs.S3FileSystem().mkdir("bucket")
            yield "s3://bucket"
            s3fs.S3FileSystem.clear_instance_cache()
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of botocore
def test_s3_has_the_same_parts_as_a_folder(
    s3: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fault 59
    import s3fs

    rows = [{"id": number, "text": f"The cat number {number}"} for number in range(11)]
    folder = tmp_path / "in"
    folder.mkdir()
    for name, some in (("a", rows[:7]), ("b", rows[7:])):
        parquet.write_table(pyarrow.Table.from_pylist(some), folder / f"{name}.parquet")
        s3fs.S3FileSystem().put_file(str(folder / f"{name}.parquet"), f"bucket/in/{name}.parquet")
    loaded = load(runs / "mtl")
    common: dict[str, Any] = {"model": str(runs / "mtl"), "keep": "id", "part_rows": 4}
    local = EmbedOptions(input=[str(folder)], output=tmp_path / "out", **common)
    list(embed_to_output(local, loaded, NOTHING))
    remote = EmbedOptions(input=[f"{s3}/in/*.parquet"], output=f"{s3}/out", **common)  # type: ignore[arg-type]
    (step,) = [step for step in embed_to_output(replace(remote, shard="1/2"), loaded, NOTHING) if step.stage == "written"]
    assert step.missing
    with pytest.raises(DataError, match=r"is not complete: missing are all rows of s3://bucket/in/a\.parquet"):
        join(JoinOptions(folder=f"{s3}/out"))
    assert list(embed_to_output(replace(remote, resume=True), loaded, NOTHING))[-1].reused == 4
    assert join(JoinOptions(folder=f"{s3}/out", output=tmp_path / "joined.parquet")).rows == 11
    assert parquet.read_table(tmp_path / "joined.parquet")["id"].to_pylist() == list(range(11))
    system = s3fs.S3FileSystem()
    for path in (tmp_path / "out").glob("*.parquet"):
        assert system.cat_file(f"bucket/out/{path.name}") == path.read_bytes()
    assert sorted(path.rpartition("/")[2] for path in system.find("bucket/out")) == sorted(os.listdir(tmp_path / "out"))
    folder_input = EmbedOptions(input=[f"{s3}/in"], output=tmp_path / "again", **common)
    assert list(embed_to_output(folder_input, loaded, NOTHING))[-1].texts == 11


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_unreachable_address_is_one_line(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fault 59
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs: pip install 'mtlkit[s3]'")
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "ENDPOINT_URL": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    (tmp_path / "a.csv").write_text("text\na\n")
    options = EmbedOptions(model=str(runs / "mtl"), input=[str(tmp_path / "a.csv")], output="s3://bucket/out")  # type: ignore[arg-type]
    with pytest.raises(NetworkError, match=r"s3://bucket/out.*cannot be reached.*--resume"):
        list(embed_to_output(options, load(runs / "mtl"), NOTHING))
    s3fs.S3FileSystem.clear_instance_cache()
