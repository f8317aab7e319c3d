"""Hub ids: cached files are used; without a network, others fail with a one-line error."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hub_server import hub, mute
from peers import write_peer

from mtlkit.inference.find_model import HUB_ID
from mtlkit.inference.load_model import load

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of other libraries are not ours to fix

Cli = Callable[..., subprocess.CompletedProcess[str]]
CLOSED = "http://127.0.0.1:9"  # the discard port: refused at once
TEXT = "The cat sleeps near the river."


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The hub's local cache with one model in it."""
    place = tmp_path / "hub" / "models--someone--tiny-bert"
    revision = "0" * 39 + "1"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(revision)
    write_peer("bert", place / "snapshots" / revision, [TEXT] * 20)
    return tmp_path / "hub"


def test_cached_hub_model_is_used(cache: Path, forked: Cli, tmp_path: Path) -> None:
    environment = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": CLOSED}
    done = forked("embed", "--model", "someone/tiny-bert", TEXT, "--json", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.rstrip().endswith(", someone/tiny-bert from the Hugging Face Hub")
    folder = next(cache.glob("*/snapshots/*"))
    vector = json.loads(done.stdout)["vectors"][0]["vector"]
    np.testing.assert_allclose(vector, load(folder).embed([TEXT])[0], atol=1e-5)


@pytest.mark.parametrize("how", ["offline", "refused", "mute"])
def test_uncached_model_needs_a_network(how: str, cache: Path, forked: Cli, tmp_path: Path) -> None:  # fault 34
    more = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1" if how == "offline" else ""}
    with mute() if how == "mute" else nullcontext(CLOSED) as address:
        done = forked("embed", "--model", "someone/other", TEXT, cwd=tmp_path, HF_ENDPOINT=address, **more)
    assert done.returncode == 6
    set_offline = "not in the local cache, and HF_HUB_OFFLINE is set; unset it, or give a local folder"
    reason = set_offline if how == "offline" else "the hub cannot be reached; give a local folder"
    assert done.stderr == f"mtlkit: model someone/other: no such folder, and {reason}\n"


NO_SOCKETS = """
import json, os, socket, sys

def refused(*arguments, **more):
    open(os.environ["ASKED"], "a").write("x")
    raise OSError("no network here")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refused
from mtlkit.__main__ import main

for command in json.loads(sys.argv[1]):
    sys.argv = ["mtlkit", *command]
    try:
        main()
    except SystemExit as end:
        print(command[0], end.code or 0, os.path.exists(os.environ["ASKED"]))
"""


def test_local_models_and_samples_work_without_network(tmp_path: Path) -> None:  # fault 34
    """Local files, the samples and the bundled model ask for no network; an id of the hub does, and says so."""
    asked, cache = tmp_path / "asked", str(tmp_path / "hub")
    more = {"ASKED": str(asked), "HF_HUB_OFFLINE": "", "HF_HUB_CACHE": cache, "HF_HOME": cache}
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"text {n},{n % 2}\n" for n in range(20)))
    tasks = ["--task", "kind=rows.csv", "--task", "topic=sample:topic?limit=40"]
    shape = ["--init", "scratch", "--layers", "1", "--dim", "16", "--heads", "1", "--vocab-size", "300", "--epochs", "1"]
    commands = [["train-mtl", *tasks, *shape], ["embed", TEXT, "--model", "mini"], ["embed", TEXT, "--model", "someone/other"]]
    command = [sys.executable, "-W", "error", "-c", NO_SOCKETS, json.dumps(commands)]
    environment = {**os.environ, **more}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=environment)
    ends = [line.split() for line in done.stdout.splitlines() if line.endswith(("True", "False"))]
    assert ends == [["train-mtl", "0", "False"], ["embed", "0", "False"], ["embed", "6", "True"]], done.stderr
    assert done.stderr.endswith("the hub cannot be reached; give a local folder\n")


@pytest.mark.parametrize("cut", ["model.safetensors", pytest.param("modules.json", marks=pytest.mark.slow)])
def test_interrupted_download_is_not_used(cut: str, forked: Cli, tmp_path: Path) -> None:  # fault 35
    folder = tmp_path / "there"
    write_peer("bert", folder, [TEXT] * 20)
    places = {"Transformer": "", "Pooling": "1_Pooling"}
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": place} for kind, place in places.items()]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    (folder / "onnx").mkdir()
    for unwanted in ("pytorch_model.bin", "model.pt", "onnx/model.safetensors"):
        (folder / unwanted).write_bytes(b"large")
    more = {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": ""}
    command = ("embed", "--model", "someone/tiny", TEXT, "--json")
    with hub(folder, "someone/tiny", cut) as address:
        done = forked(*command, cwd=tmp_path, HF_ENDPOINT=address, **more)
    assert (done.returncode, done.stdout) == (6, "")
    assert re.fullmatch(r"mtlkit: model someone/tiny: .*\(.+\); .*local folder\n", done.stderr)
    offline = forked(*command, cwd=tmp_path, **{**more, "HF_HUB_OFFLINE": "1"})
    assert (offline.returncode, offline.stdout) == (6, "")  # the partial download is not used as a model
    with hub(folder, "someone/tiny") as address:
        again = forked(*command, cwd=tmp_path, HF_ENDPOINT=address, **more)
    assert again.returncode == 0, again.stderr
    np.testing.assert_allclose(json.loads(again.stdout)["vectors"][0]["vector"], load(folder).embed([TEXT])[0], atol=1e-5)
    (snapshot,) = (tmp_path / "hub").glob("models--*/snapshots/*")
    downloaded = {path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()}
    assert {"config.json", "model.safetensors", "modules.json", "1_Pooling/config.json"} <= downloaded
    assert not [name for name in downloaded if name.endswith((".bin", ".pt")) or name.startswith("onnx/")]


@pytest.mark.parametrize(("name", "is_one"), [("a/b", True), ("BAAI/bge-small-en-v1.5", True), ("a/b/c", False), ("../a", False)])
def test_format_of_hub_ids(name: str, is_one: bool) -> None:
    assert bool(HUB_ID.fullmatch(name)) is is_one
