"""Commands as a user has to type them, in the shell of the system."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable

PLAIN = re.compile(r"[\w+=:./\\~-]+")  # needs no quotes in cmd.exe or PowerShell


def command_text(words: Iterable[str]) -> str:
    """Words as one command, those with blanks or special characters in quotes."""
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """A word in the quotes that the shell needs: cmd.exe knows only double quotes, which PowerShell and sh read, too."""
    if sys.platform != "win32":
        return shlex.quote(word)
    if PLAIN.fullmatch(word):
        return word
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', word)  # backslashes count only before a quote
    return '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'
