"""Every command and every piece of Python in the documentation works as it is shown.

The pages run in this process, each in an empty folder, their blocks in order. So that this takes seconds, the bundled samples are
short here, and so are trainings, except where a page shows figures; `pytest -m slow` runs the same blocks in a real shell, on the
whole samples.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from pages import PAGES, ROOT, blocks, commands, mtlkit_commands, name_of, statements
from support import rows_of, write

from mtlkit.cli.app import app
from mtlkit.training.sampling import floor

RUN = [page for page in PAGES if any(block.runs for block in blocks(page))]
WHOLE = ROOT / "docs" / "index.md"  # shows figures, so it runs on the whole samples
SHOWN = (WHOLE, ROOT / "README.md")  # what their commands print is compared with the page
ROWS = {"train": 52, "validation": 10, "test": 10}  # of a sample, for the others
WORDS = 4  # of each of its texts
# README's commands are those of the quick start and of the first tutorial, which run by default; the others train the longest
LONG = [
    "README.md",
    "docs/concepts/balancing.md",
    "docs/concepts/evaluation.md",
    *(f"docs/tutorials/{name}.md" for name in ("add-task", "distill", "few-labels", "freeze", "resume")),
]
CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
INSTALLING = ("python3.11", "pip", "pytest")  # `.ci/run` does as README and CONTRIBUTING say

OPTIONS = {
    str(command.name): {
        part
        for parameter in command.callback.__annotations__.values()
        for name in (parameter.__metadata__[0].default, *(parameter.__metadata__[0].param_decls or ()))
        if isinstance(name, str)
        for part in name.split("/")
    }
    | {"--help"}
    for command in app.registered_commands
    if command.callback
}
OTHERS = {
    "--help",
    "--help-all",
    "--version",
    "--install-completion",
    "--show-completion",
}  # of all commands, or of `mtlkit` itself
FOREIGN = (
    "pip ",
    "python ",
    "torchrun ",
    "spacy ",
    "fasttext ",
    "taskset ",
    "mkdocs ",
)  # other programs, whose options these are


@pytest.fixture(scope="session")
def few_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the data in the package with the first rows of each sample, and the first words of their texts."""
    folder = tmp_path_factory.mktemp("package") / "data"
    shutil.copytree(str(resources.files("mtlkit.data")) + "/sample", folder / "sample")
    for path in folder.glob("sample/*/*.csv"):
        header, *rows = rows_of(path)
        write(path, [header, *([" ".join(text.split()[:WORDS]), label] for text, label in rows[: ROWS[path.stem]])])
    return folder


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=name_of(page), marks=[pytest.mark.slow] if name_of(page) in LONG else []) for page in RUN]
)
def test_a_page_works_as_typed(page: Path, typed: Callable[..., Any], few_rows: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page != WHOLE:
        real = resources.files
        monkeypatch.setattr(resources, "files", lambda package: few_rows if package == "mtlkit.data" else real(package))
        monkeypatch.setattr(floor, "LEAST_STEPS", 0)
    names: dict[str, Any] = {}
    said = ""
    for block in blocks(page):
        if not block.language and said and page in SHOWN:
            assert_shown(block.text, said)
        elif block.runs and block.language == "python":
            exec(compile(block.text, name_of(page), "exec"), names)
        elif block.runs:
            said = "".join(run(statement, typed) for statement in statements(block.text))


def test_the_readme_shows_what_the_quick_start_shows() -> None:
    quick = {block.text for block in blocks(WHOLE) if not block.language}
    assert all(block.text in quick for block in blocks(ROOT / "README.md") if not block.language)


def run(statement: str, typed: Callable[..., Any]) -> str:
    """Runs a statement and returns the output of its commands."""
    said = ""
    parts = commands(statement)
    if parts[0][0] in INSTALLING:
        return ""
    if all(words[0] != "mtlkit" for words in parts):
        subprocess.run(["bash", "-euo", "pipefail", "-c", statement], check=True)
        return ""
    for words in parts:
        assert words[0] == "mtlkit", f"not run here: {statement}"
        answer = typed(*words[1:], terminal=True)
        assert answer.code == 0, f"{statement}: {answer.err}"
        said += f"{answer.out}\n{CONTROL.sub('', answer.err)}"
    return said


def assert_shown(excerpt: str, said: str) -> None:
    """Asserts that every line of an excerpt was printed, except for white space."""
    printed = {" ".join(line.split()) for line in said.splitlines()}
    for line in excerpt.splitlines():
        assert " ".join(line.split()) in printed


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_a_page_works_in_a_shell(page: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "mtlkit"
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -W error -m mtlkit "$@"\n')
    shim.chmod(0o755)
    place = tmp_path / "empty"
    place.mkdir()
    environment = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}"}
    for block in blocks(page):
        if block.runs and not (block.language == "sh" and block.text.startswith(INSTALLING)):
            shell = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
            done = subprocess.run([*shell, block.text], cwd=place, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{block.text}\n{done.stderr}"


def test_the_readme_shows_every_command() -> None:
    readme = ROOT / "README.md"
    shown = set(re.findall(r"^\| `mtlkit ([a-z-]+)` \|", readme.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown == set(OPTIONS)


@pytest.mark.parametrize("page", [page for page in PAGES if page.parent.name != "benchmarks"], ids=name_of)  # it has its own
def test_a_page_names_only_commands_and_options_that_exist(page: Path) -> None:
    for words in mtlkit_commands(page):
        options = OPTIONS[words[0]] if words[0] in OPTIONS else OTHERS | {"-v"}
        assert {word.partition("=")[0] for word in words if re.match("--[a-z]|-[a-z]$", word)} <= options, words
    known = set().union(*OPTIONS.values())
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`\n]+)`", prose):
        command = re.match(r"mtlkit ([a-z][a-z-]*)", code)
        if command:
            assert command[1] in OPTIONS
        if command or not code.startswith(FOREIGN):
            options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", code))
            assert options <= (OPTIONS[command[1]] if command else known | OTHERS), code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_of_a_page_lead_to_files(page: Path) -> None:
    """`mkdocs build --strict` checks the site; this checks the same files where a repository shows them."""
    made = {"examples.md", "benchmarks.md", "licences.md"} if page.is_relative_to(ROOT / "docs") else set()  # by docs/_hooks
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert Path(link).name in made or (page.parent / link).exists(), link


def test_the_python_reference_names_what_exists() -> None:
    page = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE):
        assert resolve_name(name)
