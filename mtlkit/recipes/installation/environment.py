"""`mtlkit --version -v`: what a bug report should say about an installation. Nothing that it describes is imported, so that it
works where an import fails."""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from mtlkit.config.paths import cache_folder
from mtlkit.errors import shorten
from mtlkit.recipes.installation.machine import cpu_line, gpu_line, python_line
from mtlkit.recipes.installation.packages import CORE, DEVELOPMENT, installed_version, is_conditional, needed_packages

# environment variables that change what mtlkit does; the values of others are never shown
SETTINGS = (
    *("MTLKIT_CACHE", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "XDG_CACHE_HOME", "TMPDIR"),
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "TOKENIZERS_PARALLELISM"),
    *("CUDA_VISIBLE_DEVICES", "PYTORCH_ENABLE_MPS_FALLBACK", "PYTHONUTF8", "LANG", "LC_ALL", "NO_COLOR", "TERM"),
    *("RANK", "WORLD_SIZE", "LOCAL_RANK"),
)
PACKAGE = Path(__file__).parents[2]
LONGEST_LINE = 2000


def environment(version: str) -> list[tuple[str, str]]:
    """Titles and lines about the installation of a version, in order. Names of users are left out of paths."""
    needed = needed_packages()
    rows = [
        ("mtlkit", f"{version} in {PACKAGE}"),
        ("python", f"{python_line()}, {sys.executable}"),
        ("system", platform.platform()),
        ("cpu", cpu_line()),
        ("gpu", gpu_line()),
        ("packages", _versions(needed.get(CORE, [])) or "unknown: mtlkit is not installed as a package"),
        *_extras(needed),
        ("cache", str(cache_folder())),
        ("settings", " ".join(f"{name}={os.environ[name]}" for name in SETTINGS if name in os.environ) or "none"),
    ]
    return [(title, shorten(private(line), LONGEST_LINE)) for title, line in rows]


def _versions(packages: Sequence[str]) -> str:
    """Packages with their versions. Those that this system does not need are left out."""
    versions = {name: installed_version(name) for name in packages}
    return ", ".join(
        f"{name} {version or 'not installed'}" for name, version in versions.items() if version or not is_conditional(name)
    )


def _extras(needed: dict[str, list[str]]) -> list[tuple[str, str]]:
    """What is installed of each extra."""
    extras = {extra: names for extra, names in needed.items() if extra not in (CORE, *DEVELOPMENT)}
    missing = {extra: [name for name in names if installed_version(name) is None] for extra, names in extras.items()}
    rows = [(f"extra {extra}", _versions(names)) for extra, names in extras.items() if not missing[extra]]
    lacking = [f"{extra} (lacks {', '.join(names)})" for extra, names in missing.items() if names]
    return [*rows, ("no extra", ", ".join(lacking))] if lacking else rows


def private(text: str) -> str:
    """Text with the home folder as `~`, and without the name of the user as a part of other paths."""
    home = str(Path.home()) if _has_home() else ""
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![^/\\\s])", lambda _: "~", text)
    for name in {_user_name(), Path(home).name} - {"", "root"}:
        text = re.sub(rf"(?<=[/\\]){re.escape(name)}(?![^/\\\s])", "USER", text)
    return text


def _has_home() -> bool:
    try:
        Path.home()
    except RuntimeError:
        return False
    return True


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no such user, as in some containers; Windows has no module pwd
        return ""
