from __future__ import annotations

from pathlib import Path

import pytest

from mtlkit.recipes.installation import environment as module
from mtlkit.recipes.installation.environment import environment, private


@pytest.fixture
def ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_user_name", lambda: "ada")
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))


@pytest.mark.usefixtures("ada")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ada/.cache/mtlkit", "~/.cache/mtlkit"),
        ("HF_HOME=/home/ada TMPDIR=/tmp", "HF_HOME=~ TMPDIR=/tmp"),
        ("/home/adam/x", "/home/adam/x"),
        ("/scratch/ada/runs", "/scratch/USER/runs"),
        ("C:\\Users\\ada\\x", "C:\\Users\\USER\\x"),
        ("canada", "canada"),
    ],
)
def test_paths_do_not_name_the_user(text: str, shown: str) -> None:
    assert private(text) == shown


@pytest.mark.usefixtures("ada")
def test_report_names_versions_and_places_but_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTLKIT_CACHE", "/home/ada/cache")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(
        module,
        "needed_packages",
        lambda: {"": ["numpy", "none-such"], "probe": ["numpy"], "peft": ["numpy", "none-such"], "dev": ["x"]},
    )
    monkeypatch.setattr(module, "is_conditional", lambda _: False)
    rows = dict(environment("1.2.3"))
    assert rows["mtlkit"].startswith("1.2.3 in ")
    assert rows["packages"].startswith("numpy ")
    assert rows["packages"].endswith("none-such not installed")
    assert rows["extra probe"].startswith("numpy ")
    assert rows["no extra"] == "peft (lacks none-such)"
    assert rows["cache"] == "~/cache"
    assert "MTLKIT_CACHE=~/cache" in rows["settings"]
    assert not [row for row in rows.values() if "hf_secret" in row or "/home/ada" in row]


def test_report_without_a_home_or_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> str:
        raise RuntimeError("Could not determine home directory.")

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(Path, "home", none)
    monkeypatch.setattr("getpass.getuser", unknown)
    assert private("/scratch/ada") == "/scratch/ada"
