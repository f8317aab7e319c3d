"""Hub ids: what the cache holds is used, and without a network the rest is one line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
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


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {"HF_HUB_OFFLINE": ""}])
def test_what_the_cache_lacks_needs_a_network(environment: dict[str, str], cache: Path, cli: Cli, tmp_path: Path) -> None:
    more = {"HF_HUB_CACHE": str(cache), "HF_ENDPOINT": CLOSED, **environment}
    done = cli("embed", "--model", "someone/other", TEXT, cwd=tmp_path, **more)
    assert done.returncode == 6
    wanted = "mtlkit: model someone/other: no such folder, and the hub cannot be reached; give a local folder\n"
    assert done.stderr == wanted


@pytest.mark.parametrize(("name", "is_one"), [("a/b", True), ("BAAI/bge-small-en-v1.5", True), ("a/b/c", False), ("../a", False)])
def test_what_a_hub_id_looks_like(name: str, is_one: bool) -> None:
    assert bool(HUB_ID.fullmatch(name)) is is_one
