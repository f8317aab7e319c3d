"""Which packages mtlkit needs and which of them are installed, from their metadata: nothing is imported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?[^;]*(?:;(.*))?", re.DOTALL)
EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
CORE = ""  # stands for what is needed without any extra
DEVELOPMENT = ("dev", "docs")  # extras that users do not need


def installed_version(package: str) -> str | None:
    """The version of an installed package; None if it is not installed."""
    try:
        return version(package)
    except (PackageNotFoundError, ValueError):  # not a valid package name
        return None


def needed_packages(package: str = "mtlkit") -> dict[str, list[str]]:
    """The names of the packages that each extra of a package needs, and under CORE those that are needed without extras.
    Packages that only other systems or versions of Python need are included."""
    needed: dict[str, list[str]] = {}
    for name, extras, marker in _requirements(package):
        extra = EXTRA.search(marker)
        names = needed.setdefault(extra[1] if extra else CORE, [])
        names.append(name)
        for inner in extras:  # torchjd[cagrad] needs what the extra cagrad of torchjd needs
            names += needed_packages(name).get(inner, [])
    return needed


def is_conditional(package: str) -> bool:
    """Whether mtlkit needs a package only on some systems or versions of Python."""
    return all("extra" not in marker and marker.strip() for name, _, marker in _requirements("mtlkit") if name == package)


def _requirements(package: str) -> Iterator[tuple[str, list[str], str]]:
    """Name, extras and marker of each requirement of a package; none if it is not installed."""
    try:
        texts = requires(package) or []
    except PackageNotFoundError:
        return
    for text in texts:
        if found := REQUIREMENT.fullmatch(text):
            yield found[1], [extra.strip() for extra in (found[2] or "").split(",") if extra.strip()], found[3] or ""
