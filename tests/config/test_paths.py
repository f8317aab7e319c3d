from __future__ import annotations

import os
from pathlib import Path

import pytest

from mtlkit.config.paths import cache_folder, expand
from mtlkit.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PROJECT", "some/where")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_the_home_folder_and_variables_are_expanded(home: Path) -> None:
    assert expand("~/run") == home / "run"
    assert expand("~") == home
    assert expand("$PROJECT/run") == Path("some/where/run")
    assert expand("${PROJECT}/$PROJECT") == Path("some/where/some/where")
    assert expand("~/$PROJECT") == home / "some/where"


def test_what_is_no_variable_is_kept() -> None:
    assert expand("a/~b") == Path("a/~b")
    assert expand("$UNKNOWN_NAME/run") == Path("$UNKNOWN_NAME/run")


def test_an_existing_path_is_taken_literally(tmp_path: Path) -> None:
    (tmp_path / "$PROJECT").mkdir()
    (tmp_path / "~").mkdir()
    assert expand("$PROJECT") == Path("$PROJECT")
    assert expand("~") == Path("~")


@pytest.mark.parametrize(
    ("text", "words"), [("a\0", "NUL"), ("a" * 256, "too long"), ("a/" * 3000, "too long"), ("~no-such-user/a", "home folder")]
)
def test_what_cannot_be_a_path_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        expand(text)
    assert len(str(caught.value)) < 200


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTLKIT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MTLKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "mtlkit"


def test_both_separators_of_windows_end_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sep", "\\")
    monkeypatch.setattr(os, "altsep", "/")
    long = f"{'a' * 200}/{'b' * 200}\\{'c' * 200}"
    assert str(expand(long)) == long
