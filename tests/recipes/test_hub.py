"""Hub ids: what the cache holds is used, and without a network the rest is one line."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hub_server import hub, mute
from peers import write_peer

from mtlkit.recipes.finding import HUB_ID
from mtlkit.recipes.loading import load

pytestmark = pytest.mark.filterwarnings("ignore")  # what another library warns of is not ours to mend

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


def test_a_model_of_the_cache_is_used(cache: Path, cli: Cli, tmp_path: Path) -> None:
    environment = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_ENDPOINT": CLOSED}
    done = cli("embed", "--model", "someone/tiny-bert", TEXT, "--json", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.rstrip().endswith(", someone/tiny-bert of the Hugging Face hub")
    folder = next(cache.glob("*/snapshots/*"))
    vector = json.loads(done.stdout)["vectors"][0]["vector"]
    np.testing.assert_allclose(vector, load(folder).embed([TEXT])[0], atol=1e-5)


@pytest.mark.parametrize("how", ["offline", "refused", "mute"])
def test_what_the_cache_lacks_needs_a_network(how: str, cache: Path, cli: Cli, tmp_path: Path) -> None:  # fault 34
    more = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1" if how == "offline" else ""}
    with mute() if how == "mute" else nullcontext(CLOSED) as address:
        done = cli("embed", "--model", "someone/other", TEXT, cwd=tmp_path, HF_ENDPOINT=address, **more)
    assert done.returncode == 6
    wanted = "mtlkit: model someone/other: no such folder, and the hub cannot be reached; give a local folder\n"
    assert done.stderr == wanted


@pytest.mark.parametrize("cut", ["model.safetensors", "modules.json"])
def test_of_a_download_that_breaks_off_nothing_is_used(cut: str, cli: Cli, tmp_path: Path) -> None:  # fault 35
    folder = tmp_path / "there"
    write_peer("bert", folder, [TEXT] * 20)
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Transformer", "path": ""}]))
    more = {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": ""}
    command = ("embed", "--model", "someone/tiny", TEXT, "--json")
    with hub(folder, "someone/tiny", cut) as address:
        done = cli(*command, cwd=tmp_path, HF_ENDPOINT=address, **more)
    assert (done.returncode, done.stdout) == (6, "")
    assert re.fullmatch(
        r"mtlkit: model someone/tiny: the hub broke off \(.+\); run this again, or give a local folder\n", done.stderr
    )
    offline = cli(*command, cwd=tmp_path, **{**more, "HF_HUB_OFFLINE": "1"})
    assert (offline.returncode, offline.stdout) == (6, "")  # what is there of it is not taken for a model
    with hub(folder, "someone/tiny") as address:
        again = cli(*command, cwd=tmp_path, HF_ENDPOINT=address, **more)
    assert again.returncode == 0, again.stderr
    np.testing.assert_allclose(json.loads(again.stdout)["vectors"][0]["vector"], load(folder).embed([TEXT])[0], atol=1e-5)


@pytest.mark.parametrize(("name", "is_one"), [("a/b", True), ("BAAI/bge-small-en-v1.5", True), ("a/b/c", False), ("../a", False)])
def test_what_a_hub_id_looks_like(name: str, is_one: bool) -> None:
    assert bool(HUB_ID.fullmatch(name)) is is_one
