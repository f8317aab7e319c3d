"""Checks the files of a Hugging Face folder against the tables in `known_settings.py` and collects what to report about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtlkit.errors import IntegrityError, listed
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.settings.known import CONFIG_KEYS, FILES, READ_BY_KEY, SENTENCE_TRANSFORMERS, Keys, KnownSetting


def keys_read() -> dict[str, Keys]:
    """The known keys of each file in the transformer's folder, including those that model families name."""
    named = {key: KnownSetting("obeyed") for family in FAMILIES.values() for key in family.config_keys}
    return {**READ_BY_KEY, "config.json": {**named, **CONFIG_KEYS}}


def check_keys(path: Path, values: Mapping[str, Any], known: Keys, inside: str = "") -> list[str]:
    """Returns the unknown keys of a file, for `unknown_note`. `inside` is the key under which `values` is nested, if any.

    Raises IntegrityError for a refused key with a value that is not neutral.
    """
    unknown = []
    for key, value in values.items():
        rule = known.get(key) or (known.get("*_token") if key.endswith("_token") else None)
        if rule is None:
            unknown.append(f"{inside}{key}")
        elif rule.use == "refused" and rule.changes(value):
            raise IntegrityError(f"{path}: {inside}{key} {_shown(value)} is not supported ({rule.why})")
    return unknown


def noted(values: Mapping[str, Any], known: Keys) -> dict[str, str]:
    """Keys that are not supported, such as "dtype 'float16'", mapped to what is done instead."""
    rules = {key: known[key] for key in values if key in known and known[key].use == "noted"}
    return {f"{key} {_shown(values[key])}": rule.why for key, rule in rules.items() if rule.changes(values[key])}


def _shown(value: Any) -> str:
    return repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "..."


def check_files(folder: Path) -> list[str]:
    """Returns the unknown JSON files of a folder. Raises IntegrityError if one is refused."""
    names = sorted(path.name for path in folder.glob("*.json"))
    for name in names:
        if name in FILES and FILES[name].use == "refused":
            raise IntegrityError(f"{folder / name} is not supported: {FILES[name].why}")
    return [name for name in names if name not in FILES and name not in READ_BY_KEY and name != SENTENCE_TRANSFORMERS]


def unknown_note(folder: Path, unknown: Mapping[str, Iterable[str]]) -> str:
    """One line about unknown keys (by file) and unknown files (under ""); empty if there are none."""
    named = [f"{file} ({listed(entries, 6)})" if file else listed(entries, 6) for file, entries in unknown.items() if entries]
    return f"{folder}: not known to mtlkit, ignored: {'; '.join(named)}" if named else ""


@dataclass
class SettingNotes:
    """Collects what to report about a folder's files in one line: unknown keys by file, unknown files (under ""), and known keys
    that are not supported, grouped by what is done instead.
    """

    folder: Path
    unknown: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def look(self, path: Path, values: Mapping[str, Any], known: Keys, inside: str = "") -> None:
        """Checks the values of a file, or those nested under one of its keys. Raises IntegrityError for a refused key."""
        name = path.relative_to(self.folder).as_posix()
        self.unknown.setdefault(name, []).extend(check_keys(path, values, known, inside))
        for note, why in noted(values, known).items():
            self.notes.setdefault(why, []).append(f"{name} {inside}{note}")

    def line(self) -> str:
        """The note; empty if there is nothing to report."""
        notes = [f"{', '.join(keys)} ({why})" for why, keys in self.notes.items()]
        followed = f"{self.folder}: not followed: {'; '.join(notes)}" if notes else ""
        return "; ".join(filter(None, [unknown_note(self.folder, self.unknown), followed]))
