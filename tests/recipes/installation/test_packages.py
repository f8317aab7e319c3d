from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from mtlkit.recipes.installation import packages
from mtlkit.recipes.installation.packages import CORE, installed_version, is_conditional, needed_packages

REQUIREMENTS = {
    "mtlkit": [
        "torch>=2.6",
        "tomli>=2; python_version < '3.11'",
        'onnx>=1.17; extra == "onnx"',
        "torchjd[cagrad, nash-mtl]>=0.18; extra == 'torchjd-gpl'",
    ],
    "torchjd": ["torch>=2", "cvxpy>=1.3; extra == 'cagrad'", "ecos>=2 ; extra == 'nash-mtl'", "pytest; extra == 'test'"],
}


@pytest.fixture(autouse=True)
def metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(package: str) -> list[str] | None:
        if package not in REQUIREMENTS:
            raise PackageNotFoundError(package)
        return REQUIREMENTS[package]

    monkeypatch.setattr(packages, "requires", requires)


def test_extras_include_what_the_extras_of_their_packages_need() -> None:
    assert needed_packages() == {
        CORE: ["torch", "tomli"],
        "onnx": ["onnx"],
        "torchjd-gpl": ["torchjd", "cvxpy", "ecos"],
    }
    assert needed_packages("missing") == {}


def test_conditional_packages_are_told_from_needed_ones() -> None:
    assert [name for name in ("torch", "tomli", "onnx") if is_conditional(name)] == ["tomli"]


def test_version_of_what_is_not_installed_is_none() -> None:
    assert installed_version("no-such-package-of-mtlkit") is None
    assert installed_version("not a name") is None
    assert installed_version("numpy")
