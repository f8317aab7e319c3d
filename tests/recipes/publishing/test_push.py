"""`export --push` against a hub on this machine, with the real client of the hub."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
from hub_writing import READER, WRITER, WritableHub, writable_hub
from huggingface_hub import ModelCard

import mtlkit
from mtlkit.inference.load_model import load
from mtlkit.runs.record import read_record

Cli = Callable[..., subprocess.CompletedProcess[str]]
TEXT = "The cat sleeps near the river."
CLOSED = "http://127.0.0.1:9"  # the discard port: refused at once


@pytest.fixture
def hub() -> Iterator[WritableHub]:
    with writable_hub() as started:
        yield started


@pytest.fixture
def push(hub: WritableHub, forked: Cli, runs: Path, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`push("--yes")` exports a run with absolute paths and pushes it as me/topics."""

    def run(*options: object, name: str = "me/topics", token: str = WRITER, endpoint: str = "", **more: str) -> Any:
        environment = {"HF_TOKEN": token, "HF_ENDPOINT": endpoint or hub.address, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": ""}
        places = {"HF_HOME": str(tmp_path / "hub"), "HF_HUB_CACHE": str(tmp_path / "hub"), **more}
        command = ("export", runs / "mtl", tmp_path / "out", "--format", "compact", "--push", name, *options)
        return forked(*command, cwd=tmp_path, **environment, **places)

    return run


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.splitlines()[-1]


def test_a_dry_run_sends_nothing(push: Cli, hub: WritableHub) -> None:
    done = push()
    assert done.returncode == 0, done.stderr
    assert not hub.repositories
    assert not hub.requests
    assert "model.safetensors" in done.stdout
    assert f"to {hub.address}/me/topics: mtlkit export" in done.stdout
    assert done.stdout.rstrip().endswith("--push me/topics --yes")
    assert "me/topics does not exist, or the token does not see it; it would be made, public" in done.stderr
    told = json.loads(push("--json").stdout)["push"]
    assert (told["exists"], told["pushed"], told["files"]["run.json"]["change"]) == (False, False, "new")


def test_what_is_pushed_is_the_export_and_loads_again(
    push: Cli, hub: WritableHub, forked: Cli, runs: Path, tmp_path: Path
) -> None:
    done = push("--yes", "--private", "--license", "mit")
    assert done.returncode == 0, done.stderr
    assert f"to {hub.address}/me/topics (private)" in done.stdout
    stored, out = hub.repositories["me/topics"], tmp_path / "out"
    assert stored.private
    local = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {name: content for name, content in stored.files.items() if name != ".gitattributes"} == local
    for name, content in local.items():  # neither folders of this machine nor its user
        if not name.endswith(".safetensors"):
            assert str(tmp_path).encode() not in content, name
            assert str(runs).encode() not in content, name
    places = {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "", "HF_HUB_DISABLE_XET": "1"}
    read = forked(
        "embed", "--model", "me/topics", TEXT, "--json", cwd=tmp_path, HF_TOKEN=WRITER, HF_ENDPOINT=hub.address, **places
    )
    assert read.returncode == 0, read.stderr
    np.testing.assert_allclose(json.loads(read.stdout)["vectors"][0]["vector"], load(out).embed([TEXT])[0], atol=1e-5)
    assert "already has this export" in push("--yes", "--license", "mit").stdout
    assert stored.commits == 2


def test_a_broken_push_is_completed_by_another(push: Cli, hub: WritableHub) -> None:
    hub.failing_commits = 1
    done = push("--yes")
    assert done.returncode == 6
    assert last_line(done).endswith("run the same command again, which completes it")
    assert set(hub.repositories["me/topics"].files) == {".gitattributes"}
    assert len(hub.objects) == 2  # large files have arrived
    again = push("--yes")
    assert again.returncode == 0, again.stderr
    assert "using the export in" in again.stderr
    assert "model.safetensors" in hub.repositories["me/topics"].files


def test_nothing_on_the_hub_is_replaced_unasked(push: Cli, hub: WritableHub, tmp_path: Path) -> None:
    assert push("--yes").returncode == 0
    stored = hub.repositories["me/topics"]
    stored.files |= {"README.md": b"edited on the hub", "LICENSE": b"terms"}
    shown = push()
    assert shown.stdout.rstrip().endswith("--push me/topics --replace --yes")
    assert "other files there stay: LICENSE" in shown.stderr
    refused = push("--yes")
    assert (refused.returncode, stored.files["README.md"]) == (2, b"edited on the hub")
    assert "--push me/topics: the repository has other files (README.md)" in last_line(refused)
    done = push("--yes", "--replace")
    assert done.returncode == 0, done.stderr
    assert stored.files["README.md"] == (tmp_path / "out" / "README.md").read_bytes()
    assert stored.files["LICENSE"] == b"terms"


def test_files_of_an_earlier_export_are_deleted(push: Cli, hub: WritableHub, tmp_path: Path) -> None:
    assert push("--yes").returncode == 0
    stored = hub.repositories["me/topics"]
    record = json.loads(stored.files["run.json"])
    record["files"]["old.json"] = "0" * 64
    stored.files |= {"run.json": json.dumps(record).encode(), "old.json": b"{}"}
    assert json.loads(push("--json").stdout)["push"]["files"]["old.json"]["change"] == "deleted"
    assert push("--yes", "--replace").returncode == 0
    assert "old.json" not in stored.files


@pytest.mark.parametrize(
    ("options", "changed", "code", "message"),
    [
        (("--yes",), {"token": ""}, 2, "there is no Hugging Face token; log in with 'hf auth login', or set HF_TOKEN"),
        (("--yes",), {"token": READER}, 2, "the token may not write there (403); use one with write access to me"),
        (("--yes",), {"token": "hf_wrong"}, 2, "the hub does not accept the token (401)"),
        (("--yes",), {"name": "you/topics"}, 2, "the token may not write there (403); use one with write access to you"),
        (("--yes",), {"endpoint": CLOSED}, 6, "the hub cannot be reached"),
        (("--yes",), {"HF_DATASETS_OFFLINE": "1"}, 6, "HF_DATASETS_OFFLINE is set, which forbids connections; unset it"),
        ((), {"name": "topics"}, 2, "--push 'topics' is not USER/NAME"),
        ((), {"name": "me/a--b"}, 2, "is not USER/NAME"),
        (("--license", "apache"), {}, 2, "did you mean 'apache-2.0'?"),
    ],
)
def test_errors_are_one_line(
    options: tuple[str, ...], changed: dict[str, str], code: int, message: str, push: Cli, hub: WritableHub
) -> None:
    done = push(*options, **changed)
    assert done.returncode == code, done.stderr
    assert message in last_line(done)
    assert not hub.repositories


def test_a_dry_run_without_a_network_says_what_is_not_known(push: Cli) -> None:
    done = push(endpoint=CLOSED)
    assert done.returncode == 0, done.stderr
    assert "whether me/topics exists is not known" in done.stderr
    assert "not known" in done.stdout


def test_a_public_repository_is_not_private(push: Cli, hub: WritableHub) -> None:
    assert push("--yes").returncode == 0
    done = push("--yes", "--private")
    assert (done.returncode, "exists and is public" in last_line(done)) == (2, True)


def test_an_export_that_was_changed_is_not_pushed(push: Cli, hub: WritableHub, tmp_path: Path) -> None:
    assert push().returncode == 0
    card, config = tmp_path / "out" / "README.md", tmp_path / "out" / "config.json"
    content = card.read_text()
    card.write_text(content + "\nMore.\n")
    assert "was changed after the export; put your text into a file for --card FILE" in last_line(push("--yes"))
    card.write_text(content)
    config.write_text(config.read_text() + " ")
    done = push("--yes")
    assert (done.returncode, "config.json" in last_line(done)) == (4, True)
    assert not hub.repositories


def test_an_export_with_other_options_is_written_again(push: Cli) -> None:
    assert push().returncode == 0
    refused = push("--language", "en")
    assert (refused.returncode, "holds an export with other options" in last_line(refused)) == (2, True)
    assert push("--language", "en", "--overwrite").returncode == 0


def test_metadata_that_the_hub_refuses_is_named(push: Cli, hub: WritableHub, tmp_path: Path) -> None:
    (tmp_path / "card.md").write_text("---\npipeline_tag: guessing\n---\nMade of public-domain novels.\n")
    done = push("--yes", "--card", tmp_path / "card.md")
    assert (done.returncode, '"pipeline_tag" is unknown' in last_line(done)) == (2, True)
    (tmp_path / "card.md").write_text("---\nlicense: apache\n---\n")
    done = push("--yes", "--card", tmp_path / "card.md", "--overwrite")
    assert (done.returncode, "did you mean 'apache-2.0'?" in last_line(done)) == (2, True)


def test_the_hub_accepts_the_cards_of_all_stages(
    hub: WritableHub, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    for stage in ("pretrain", "sentence", "mtl"):
        ModelCard.load(runs / stage / "README.md").validate()
        assert str(runs) not in (runs / stage / "README.md").read_text()
    done = mtlkit.export(
        model=str(runs / "mtl"), out=tmp_path / "out", format="compact", language=["no", "zh-Hant"], license="mit"
    )
    ModelCard.load(done.out / "README.md").validate()
    assert hub.requests == ["/api/validate-yaml"] * 4
    with pytest.raises(ValueError, match="license"):
        ModelCard("---\nlicense: proprietary\n---\n").validate()


def test_license_and_language_of_a_run_are_those_of_its_exports(runs: Path, tmp_path: Path) -> None:
    source = tmp_path / "run"
    shutil.copytree(runs / "mtl", source)
    record = json.loads((source / "run.json").read_text())
    record["options"] |= {"license": "cc0-1.0", "language": ["el"]}
    (source / "run.json").write_text(json.dumps(record))
    done = mtlkit.export(model=str(source), out=tmp_path / "out", format="compact")
    assert read_record(done.out).options["license"] == "cc0-1.0"
    data = ModelCard.load(done.out / "README.md").data
    assert (data.license, data.language) == ("cc0-1.0", ["el"])
    del record["options"]["license"], record["options"]["language"]  # as of earlier versions
    (source / "run.json").write_text(json.dumps(record))
    old = mtlkit.export(model=str(source), out=tmp_path / "old", format="compact", license="mit")
    assert ModelCard.load(old.out / "README.md").data.license == "mit"
