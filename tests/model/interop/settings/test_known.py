"""The table of known files and keys: refused ones are named, unknown ones are mentioned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtlkit.errors import IntegrityError
from mtlkit.model.interop.settings.checks import SettingNotes, check_files, check_keys, unknown_note
from mtlkit.model.interop.settings.known import FILES, READ_BY_KEY, KnownSetting

KEYS = {
    "length": KnownSetting("obeyed"),
    "author": KnownSetting("harmless"),
    "task": KnownSetting("refused", "another output", (None, "usual")),
}


@pytest.mark.parametrize("values", [{"length": 3, "author": "x"}, {"task": None}, {"task": "usual"}, {}])
def test_what_is_obeyed_harmless_or_neutral_passes(values: dict[str, Any]) -> None:
    assert check_keys(Path("a.json"), values, KEYS) == []


def test_a_refused_key_is_named_with_its_file_and_value() -> None:
    with pytest.raises(IntegrityError, match=r"some/a\.json: task 'odd' is not supported \(another output\)"):
        check_keys(Path("some/a.json"), {"task": "odd"}, KEYS)


def test_notes_are_grouped_by_what_is_done_instead() -> None:
    known = {name: KnownSetting("noted", "done alone", needed="x") for name in ("side", "names")} | {
        "type": KnownSetting("noted", "in full")
    }
    mentions = SettingNotes(Path("some"))
    mentions.look(Path("some/a.json"), {"side": "left", "names": ["y"], "type": 16, "other": 1}, known, "inner.")
    mentions.look(Path("some/b.json"), {"names": ["x", "y"], "type": None}, known)
    line = "a.json inner.side 'left', a.json inner.names ['y'] (done alone); a.json inner.type 16 (in full)"
    assert mentions.line() == f"some: not known to mtlkit, ignored: a.json (inner.other); some: not followed: {line}"


def test_unknown_keys_are_listed_once() -> None:
    unknown = check_keys(Path("a.json"), {"length": 1, "flavour": 2, "scent": 3}, KEYS)
    note = unknown_note(Path("some"), {"a.json": unknown, "": ["b.json"], "c.json": []})
    assert "a.json (flavour, scent)" in note
    assert "b.json" in note
    assert "c.json" not in note
    assert "\n" not in note
    assert unknown_note(Path("some"), {"a.json": []}) == ""


def test_unknown_files_are_listed_and_refused_ones_named(tmp_path: Path) -> None:
    for name in ("README.md", "modules.json", "config.json", "sentence_xlnet_config.json", "odd.json"):
        (tmp_path / name).write_text("{}")
    assert check_files(tmp_path) == ["odd.json"]
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"adapter_config\.json is not supported"):
        check_files(tmp_path)


def test_a_file_is_known_in_one_way() -> None:
    assert not set(FILES) & set(READ_BY_KEY)
