"""The pages of the documentation, as blocks of code that can be run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")),
        ROOT / "examples" / "README.md",
        ROOT / "benchmarks" / "README.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)
FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]*)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
HEREDOC = re.compile(r"<< '(\w+)'\n.*?^\1$", re.DOTALL | re.MULTILINE)
BETWEEN = ("&&", "|", ";", "(", ")")
NEEDS = "Needs "  # how the title of a block begins that cannot run here, with the reason; readers see it, too


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    title: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether a test can run it: it needs nothing but mtlkit."""
        return self.language in ("sh", "python") and not self.title.startswith(NEEDS)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def statements(script: str) -> Iterator[str]:
    """A shell script statement by statement: lines that continue are joined, a here-document stays with its command."""
    script = script.replace("\\\n", " ")
    while script := script.lstrip("\n"):
        end = script.find("\n") + 1 or len(script)
        if (heredoc := HEREDOC.search(script)) and heredoc.start() < end:
            end = heredoc.end()
        statement, script = script[:end].strip(), script[end:]
        if statement and not statement.startswith("#"):
            yield statement


def commands(statement: str) -> list[list[str]]:
    """The commands of a statement, in order, as words; without a here-document."""
    words = shlex.shlex(statement.partition("\n")[0], posix=True, punctuation_chars="();<>|&")
    words.whitespace_split = True
    runs: list[list[str]] = [[]]
    for word in words:
        if word in BETWEEN:
            runs.append([])
        else:
            runs[-1].append(word)
    return [command for command in runs if command]


def mtlkit_commands(page: Path) -> list[list[str]]:
    """The words after `mtlkit` of every command that a page shows."""
    shown = [block for block in blocks(page) if block.language == "sh"]
    words = [command for block in shown for statement in statements(block.text) for command in commands(statement)]
    return [command[1:] for command in words if command[0] == "mtlkit"]
