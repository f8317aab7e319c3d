"""Registries: items by name, found in a package's modules."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from mtlkit.config.registries.registry import Registry
from mtlkit.errors import UsageError


@dataclass(frozen=True)
class Colour:
    name: str
    help: str = "A colour."


def test_items_are_found_by_name_and_listed_in_order() -> None:
    colours: Registry[Colour] = Registry("colour")
    red = colours.add(Colour("red"))
    colours["blue"] = Colour("blue")
    assert colours["red"] is red
    assert list(colours) == ["blue", "red"]
    assert len(colours) == 2
    assert "green" not in colours
    del colours["red"]
    assert colours.get("red") is None


def test_a_name_is_given_once() -> None:
    colours: Registry[Colour] = Registry("colour")
    colours.add(Colour("red"))
    with pytest.raises(ValueError, match="already a colour called 'red'"):
        colours.add(Colour("red"))


def test_an_unknown_name_gets_the_nearest_one() -> None:
    colours: Registry[Colour] = Registry("colour")
    colours.add(Colour("purple"))
    colours.add(Colour("red"))
    with pytest.raises(UsageError, match=r"--paint: no colour 'purpel'.*purple, red.*mean 'purple'"):
        colours.find("purpel", "--paint")
    assert colours.find("red", "--paint").name == "red"


MODULE = """
import time
from types import SimpleNamespace

from palette import COLOURS

time.sleep(0.05)
COLOURS.add(SimpleNamespace(name={name!r}, help="A colour."))
"""


@pytest.fixture
def palette(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[Colour]:
    """The registry of a package `palette` whose modules are not imported yet."""
    folder = tmp_path / "palette"
    folder.mkdir()
    source = "from mtlkit.config.registries.registry import Registry\nCOLOURS = Registry('colour', 'palette')\n"
    (folder / "__init__.py").write_text(source)
    for name in ("red", "blue"):
        (folder / f"{name}_one.py").write_text(MODULE.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    import palette  # type: ignore[import-not-found]

    monkeypatch.setitem(sys.modules, "palette", palette)
    for module in ("palette.red_one", "palette.blue_one"):
        monkeypatch.setitem(sys.modules, module, None)
        monkeypatch.delitem(sys.modules, module)
    found: Registry[Colour] = palette.COLOURS
    return found


def test_modules_are_imported_when_the_registry_is_first_read(palette: Registry[Colour]) -> None:
    assert "palette.red_one" not in sys.modules
    assert list(palette) == ["blue", "red"]
    assert "palette.red_one" in sys.modules


def test_threads_see_all_items_or_wait(palette: Registry[Colour]) -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: len(palette), range(8)))
    assert counts == [2] * 8
