"""Every package that mtlkit needs without extras has a permissive licence."""

from __future__ import annotations

import sys
from email.message import Message
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

HOOK = Path(__file__).parents[1] / "docs" / "_hooks" / "licences.py"


@pytest.fixture(scope="module")
def licences() -> Any:
    """The hook that writes the page of licences."""
    spec = spec_from_file_location("licences_hook", HOOK)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def metadata(**fields: str | list[str]) -> Message:
    message = Message()
    for name, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            message[name.replace("_", "-")] = value
    return message


def test_nothing_that_is_needed_is_under_the_gpl_or_unknown(licences: Any) -> None:
    found, _ = licences.installed_with("mtlkit")
    assert {"mtlkit", "torch", "datasets", "tqdm"} <= set(found)
    assert licences.problems(found) == []


@pytest.mark.parametrize(
    ("fields", "licence", "permissive"),
    [
        ({"License_Expression": "Apache-2.0 AND MIT"}, "Apache-2.0 AND MIT", True),
        ({"License_Expression": "GPL-3.0-or-later OR MIT"}, "GPL-3.0-or-later OR MIT", True),
        ({"License_Expression": "MIT AND (GPL-3.0-or-later)"}, "MIT AND (GPL-3.0-or-later)", False),
        ({"License_Expression": "BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1"}, None, True),
        (
            {"License": "GPLv2+", "Classifier": "License :: OSI Approved :: GNU General Public License v2 or later (GPLv2+)"},
            "GPL",
            False,
        ),
        ({"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"}, "AGPL", False),
        ({"Classifier": ["Topic :: Games", "License :: OSI Approved", "License :: OSI Approved :: BSD License"]}, "BSD", True),
        ({"License": "Apache 2.0 License"}, "Apache-2.0", True),
        ({"License": "MIT License  Copyright (c) Somebody, and the whole text of it follows here, which is long"}, "MIT", True),
        ({"License": "MPL-2.0 AND MIT"}, "MPL-2.0 AND MIT", True),
        ({"License": "Copyright (c) Somebody. All rights reserved, and more words than an identifier would have"}, "", False),
        ({}, "", False),
    ],
)
def test_licence_of_a_package(licences: Any, fields: dict[str, Any], licence: str | None, permissive: bool) -> None:
    read = licences.licence_of(metadata(**fields))
    assert licence is None or read == licence
    assert licences.is_permissive(read) is permissive


def test_page_lists_packages_and_extras(licences: Any) -> None:
    text = "\n".join(licences.page("mtlkit"))
    assert "| torch | " in text
    for extra in licences.extras_of("mtlkit"):
        assert f"## mtlkit[{extra}]" in text
    assert "[dev]" not in text
