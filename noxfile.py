"""Tests on other versions of Python and of the dependencies: `nox -l` lists the sessions, `nox -s "tests-3.13(newest)"` runs one.

Versions of Python that are not installed are skipped. `.ci/run` runs the whole suite; these sessions run the part of it that
reads, trains, resumes, saves, loads and answers.
"""

from __future__ import annotations

import os
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
OLDEST = ["3.10", "3.11"]  # which the lowest versions of numpy, scipy and pyarrow have wheels for
LIMITS = ["huggingface-hub<1"]  # the lowest tokenizers needs it
TOOLS = ["pytest>=8", "pytest-timeout>=2.3", "hypothesis>=6", "transformers>=4.50"]
CORE = [
    *("tests/test_main.py", "tests/test_mini.py", "tests/runs", "tests/config"),
    *(
        "tests/model/test_encoder.py",
        "tests/model/test_kernels.py",
        "tests/model/test_checkpoint.py",
        "tests/training/test_loop.py",
    ),
    *("tests/data/formats", "tests/inference/test_loaded_model.py"),
    *("tests/cli/test_app.py", "tests/cli/test_embed.py", "tests/cli/test_train_mtl.py", "tests/cli/test_resume.py"),
]
TORCH = os.environ.get("MTLKIT_TORCH")  # a requirement instead of torch's lowest or newest version, such as torch==2.13.*

nox.options.sessions = ["tests", "package"]


def build(session: nox.Session) -> Path:
    """Builds both archives and returns the wheel."""
    session.install("hatchling", "twine")
    folder = Path(session.create_tmp()).resolve() / "dist"
    session.run("python", "-m", "hatchling", "build", "-c", "-d", str(folder))
    session.run("twine", "check", "--strict", *map(str, folder.iterdir()))
    (wheel,) = folder.glob("*.whl")
    return wheel


@nox.session(python=PYTHONS)
@nox.parametrize("dependencies", ["newest", "lowest"])
def tests(session: nox.Session, dependencies: str) -> None:
    """The core of the tests on the newest, or the lowest, versions of what mtlkit needs."""
    if dependencies == "lowest" and session.python not in OLDEST:
        session.skip(f"the lowest versions have no wheels for Python {session.python}")
    wheel, limits = build(session), Path(session.create_tmp()).resolve() / "constraints.txt"
    limits.write_text("\n".join(lowest(session) if dependencies == "lowest" else []), encoding="utf-8")
    session.install(TORCH or "torch", str(wheel), *TOOLS, "-c", str(limits))
    session.run("pytest", *(session.posargs or CORE))


def lowest(session: nox.Session) -> list[str]:
    """The lowest versions of the direct dependencies, as constraints."""
    session.install("uv")
    limits = Path(session.create_tmp()).resolve() / "limits.txt"
    limits.write_text("\n".join(LIMITS), encoding="utf-8")
    compiled = (
        "uv",
        "pip",
        "compile",
        "pyproject.toml",
        "--resolution",
        "lowest-direct",
        "--annotation-style",
        "line",
        "--quiet",
    )
    lines = str(session.run(*compiled, "-c", str(limits), "--python-version", str(session.python), silent=True)).splitlines()
    pins = [line.partition("#")[0].strip() for line in lines if "(pyproject.toml)" in line]
    return [*LIMITS, *(pin for pin in pins if TORCH is None or not pin.startswith("torch=="))]


@nox.session
def package(session: nox.Session) -> None:
    """Builds both archives, installs the wheel in an empty environment and tries it."""
    wheel = build(session)
    session.run("python", "-m", "venv", "--clear", str(empty := wheel.parents[1] / "empty"))
    scripts = empty / ("Scripts" if os.name == "nt" else "bin")
    session.run(str(scripts / "python"), "-m", "pip", "install", "--quiet", TORCH or "torch", str(wheel), external=True)
    for arguments in (["--version", "-v"], ["--help"], ["embed", "A first sentence."]):
        session.run(str(scripts / "mtlkit"), *arguments, external=True)
