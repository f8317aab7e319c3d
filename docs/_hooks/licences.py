"""A page with the licence of every package that mtlkit needs, from what is installed; tests check the same lists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from mkdocs.structure.files import Files

PAGE = "reference/licences.md"
DEVELOPMENT = {"dev", "docs"}  # extras that users do not need
# licences that allow any use, or (MPL) ask only for changes of the package itself
PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "CNRI-Python", "HPND", "ISC", "MIT"),
    *("MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib"),
}
PROPRIETARY = re.compile(r"nvidia-|cuda-|cublas")  # what the CUDA build of torch from the package index brings
# free text of older packages: what it begins with, and the licence
WORDED = {
    r"apache": "Apache-2.0",
    r"mit\b(?!-)": "MIT",
    r"(new |modified |3-clause )bsd|bsd[- ]3": "BSD-3-Clause",
    r"bsd[- ]2": "BSD-2-Clause",
    r"bsd": "BSD",
    r"isc": "ISC",
    r"mozilla|mpl": "MPL-2.0",
    r"python software foundation|psf": "PSF-2.0",
    r"gnu (lesser|library)|lgpl": "LGPL",
    r"gnu affero|agpl": "AGPL",
    r"gnu general|gpl": "GPL",
}


_distribution = cache(distribution)  # reading metadata takes most of the time


@cache
def _requirements(package: str) -> list[Requirement]:
    return [Requirement(text) for text in _distribution(package).requires or ()]


def installed_with(package: str, extras: frozenset[str] = frozenset()) -> tuple[dict[str, Distribution], set[str]]:
    """What a package with some extras needs on this system, itself included: what is installed, by name, and what is missing."""
    found: dict[str, Distribution] = {}
    missing: set[str] = set()
    queue, seen = [(package, extras)], set()
    while queue:
        name, chosen = queue.pop()
        if (name, chosen) in seen:
            continue
        seen.add((name, chosen))
        try:
            found[name] = _distribution(name)
        except PackageNotFoundError:
            missing.add(name)
            continue
        for requirement in _requirements(name):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in (*chosen, "")):
                queue.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found, missing


def licence_of(metadata: Any) -> str:
    """The licence in the metadata of a package, as an SPDX expression where that can be told; empty if it states none."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    for classifier in metadata.get_all("Classifier") or ():
        name = classifier.rpartition(" :: ")[2]
        if classifier.startswith("License ::") and name != "OSI Approved" and (known := _named(name)):
            return known
    text = " ".join(str(metadata.get("License") or "").split())
    return text if is_permissive(text) else _named(text) or (text if len(text) < 60 else "")


def _named(text: str) -> str:
    return next((licence for words, licence in WORDED.items() if re.match(words, text, re.IGNORECASE)), "")


def is_permissive(expression: str) -> bool:
    """Whether a licence expression asks nothing of those who distribute mtlkit with the package. Of alternatives, one must do."""
    flat = re.sub(r"[()]", " ", expression)
    alternatives = re.split(r"\s+OR\s+", flat)
    return any(all(_is_known(part) for part in re.split(r"\s+AND\s+", alternative)) for alternative in alternatives)


def _is_known(licence: str) -> bool:
    name, _, exception = licence.strip().partition(" WITH ")
    return name in PERMISSIVE or exception.strip() == "GCC-exception-3.1"  # of the run-time libraries of Fortran


def problems(found: dict[str, Distribution]) -> list[str]:
    """The packages whose licence is unknown or binds those who distribute mtlkit with them."""
    licences = {name: licence_of(dist.metadata) for name, dist in found.items() if not PROPRIETARY.match(name)}
    return [f"{name}: {licence or 'unknown licence'}" for name, licence in sorted(licences.items()) if not is_permissive(licence)]


def extras_of(package: str) -> list[str]:
    return [extra for extra in distribution(package).metadata.get_all("Provides-Extra") or () if extra not in DEVELOPMENT]


def on_files(files: Files, config: Any) -> Files:
    """Adds the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content="\n".join(page("mtlkit"))))
    return files


def page(package: str) -> Iterator[str]:
    """The page, line by line."""
    core, _ = installed_with(package)
    yield "# Licences of dependencies\n"
    yield "What `pip install mtlkit` brings on Linux with the CPU build of torch, and what each extra adds, from the metadata of"
    yield "the packages that were installed when this page was built. A test fails if a package that is needed without extras"
    yield "has a licence that is not permissive, or states none. The CUDA build of torch brings NVIDIA's libraries, under"
    yield "NVIDIA's own licence. Wheels of numpy and scipy contain the run-time libraries of GCC's Fortran (GPL-3.0 with the"
    yield "exception for such libraries).\n"
    yield f"## {package}\n"
    yield from table({name: dist for name, dist in core.items() if name != package}, set())
    for extra in extras_of(package):
        found, missing = installed_with(package, frozenset({extra}))
        yield f"\n## {package}[{extra}]\n"
        yield from table({name: dist for name, dist in found.items() if name not in core}, missing)


def table(found: dict[str, Distribution], missing: set[str]) -> Iterator[str]:
    """Packages with their licences."""
    yield from ("| package | version | licence |", "|---|---|---|")
    for name in sorted([*found, *missing]):
        row = (
            (found[name].version, licence_of(found[name].metadata) or "not stated")
            if name in found
            else ("not installed here", "")
        )
        yield f"| {name} | {row[0]} | {row[1].replace('|', '/')} |"
