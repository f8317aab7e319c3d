"""The archives of a release: their content, and that they are the same bytes wherever they are built."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from mtlkit import __version__

ROOT = Path(__file__).parents[1]
SDIST, WHEEL = f"mtlkit-{__version__}.tar.gz", f"mtlkit-{__version__}-py3-none-any.whl"
METADATA = f"mtlkit-{__version__}.dist-info"

pytestmark = pytest.mark.slow


def build(source: Path, folder: Path) -> Path:
    """Builds both archives of the sources into a folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("archives"))


def names_in_wheel(folder: Path) -> list[str]:
    with ZipFile(folder / WHEEL) as archive:
        return archive.namelist()


def metadata_of(folder: Path) -> str:
    with ZipFile(folder / WHEEL) as archive:
        return archive.read(f"{METADATA}/METADATA").decode("utf-8")


def test_a_second_build_elsewhere_gives_the_same_bytes(archives: Path, tmp_path: Path) -> None:
    """From the unpacked source archive: without git, with other dates, modes and folders."""
    umask = os.umask(0o077)
    try:
        with tarfile.open(archives / SDIST) as archive:
            archive.extractall(tmp_path, filter="data")
        source = tmp_path / SDIST.removesuffix(".tar.gz")
        for path in source.rglob("*.py"):
            os.utime(path, (1, 1))
            path.chmod(0o600)
        again = build(source, tmp_path / "again")
    finally:
        os.umask(umask)
    for name in (SDIST, WHEEL):
        assert (again / name).read_bytes() == (archives / name).read_bytes(), name


def test_the_wheel_has_the_package_and_nothing_else(archives: Path) -> None:
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "mtlkit").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = names_in_wheel(archives)
    assert {name for name in names if not name.startswith(METADATA)} == package
    assert f"{METADATA}/licenses/LICENSE" in names
    needed = (
        "mtlkit/py.typed",
        "mtlkit/mini/model.safetensors",
        "mtlkit/mini/tokenizer.json",
        "mtlkit/data/sample/topic/train.csv",
    )
    assert not set(needed) - package


def test_the_source_archive_can_be_tested_and_documented(archives: Path) -> None:
    with tarfile.open(archives / SDIST) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = ("tests/conftest.py", "docs/index.md", "mkdocs.yml", "examples/README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO")
    assert not set(needed) - names
    assert not [name for name in names if "__pycache__" in name or name.startswith((".ci", ".git/", "runs"))]


def test_metadata_is_as_an_index_requires_it(archives: Path) -> None:
    command = [sys.executable, "-m", "twine", "check", "--strict", archives / SDIST, archives / WHEEL]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert process.returncode == 0, process.stdout
    fields = Parser().parsestr(metadata_of(archives))
    assert (fields["Name"], fields["Version"], fields["License-Expression"]) == ("mtlkit", __version__, "Apache-2.0")
