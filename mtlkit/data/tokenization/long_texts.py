"""Computes the first and last tokens of a text of any length, tokenizing it in pieces.

A text is cut only where the tokens on both sides are the same with and without the cut, so that the tokens of the pieces are
the tokens of the text. Time grows with the part that is read, memory with the largest piece.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mtlkit.config.architecture import Truncation

Tokenize = Callable[[Sequence[str]], list[list[int]]]  # texts -> ids, without BOS and EOS

LETTERS_A_TOKEN = 8  # a generous estimate for normal text: the first piece usually suffices
LARGEST_PIECE = 1 << 18  # characters; a longer run without a safe cut (one endless word) is cut anyway
CONTEXTS = (
    256,
    61,
    17,
)  # characters to compare on each side of a cut; several, so that repetitions do not match by chance
CANDIDATES = 4  # cuts to try of each kind, from the far end of a piece
BETWEEN = (re.compile(r"(?<=\S)\s"), re.compile(r"\b"))  # after a word; at either end of a word
ANYWHERE = re.compile(r"(?s).")
ENDLESS = 8192  # characters; a shorter run without word boundaries is not cut
ANCHOR = "a"  # surrounding text for a context without tokens


def cut_ids(ids: list[int], room: int, truncate: Truncation) -> list[int]:
    """Cuts the tokens of a text, without BOS and EOS, to `room`. head-tail keeps a quarter from the start and the rest from the
    end, which Sun et al. 2019 found best."""
    if len(ids) <= room:
        return ids
    head = {"head": room, "tail": 0, "head-tail": room // 4}[truncate]
    return [*ids[:head], *ids[len(ids) - (room - head) :]]


@dataclass(frozen=True)
class LongTexts:
    """Tokenizes long texts in pieces. `unknown` is the id of a word outside the vocabulary, None if there is none; `largest` is
    the maximum number of characters of a piece."""

    tokenize: Tokenize
    unknown: int | None
    largest: int = LARGEST_PIECE

    def truncated(self, text: str, room: int, truncate: Truncation) -> tuple[list[int], bool]:
        """The tokens of a text cut to `room`, and whether any were removed."""
        if truncate == "tail":
            ids = self.last(text, room + 1)
        else:
            ids = self.first(text, room + 1)
            if truncate == "head-tail" and len(ids) > room:
                ids = [*ids[: room // 4], *self.last(text, room + 1)]
        return cut_ids(ids, room, truncate), len(ids) > room

    def first(self, text: str, count: int) -> list[int]:
        """At least the first `count` tokens, or all if the text has fewer."""
        ids: list[int] = []
        for piece, torn in self._pieces(text, count, backwards=False):
            ids += piece[1:] if torn and self._one_word(ids[-1:], piece[:1]) else piece
            if len(ids) >= count:
                break
        return ids

    def last(self, text: str, count: int) -> list[int]:
        """At least the last `count` tokens, or all if the text has fewer."""
        ids: list[int] = []
        for piece, torn in self._pieces(text, count, backwards=True):
            ids = (piece[:-1] if torn and self._one_word(piece[-1:], ids[:1]) else piece) + ids
            if len(ids) >= count:
                break
        return ids

    def _one_word(self, before: list[int], after: list[int]) -> bool:
        """Whether the tokens on both sides of a cut through a word stand for the same unknown word."""
        return self.unknown is not None and before == after == [self.unknown]

    def _pieces(self, rest: str, count: int, *, backwards: bool) -> Iterator[tuple[list[int], bool]]:
        """The tokens of each piece from one end, and whether the cut before the piece goes through a word."""
        size, torn = max(64, count * LETTERS_A_TOKEN), False
        while rest:
            size = min(size, self.largest)
            cut = None if len(rest) <= size else self._cut(rest, size, backwards)
            if cut is None and size < min(len(rest), self.largest):
                size *= 2
                continue
            safe = cut is not None
            position = cut if cut is not None else len(rest) - size if backwards else size
            position = min(max(position, 0), len(rest))
            piece, rest = (rest[position:], rest[:position]) if backwards else (rest[:position], rest[position:])
            (ids,) = self.tokenize([piece])
            yield ids, torn
            if len(ids) <= 1 and piece == piece[0] * len(piece):  # shorten a run of one character: more of it adds no token
                other = rest.rstrip(piece[0]) if backwards else rest.lstrip(piece[0])
                if len(rest) - len(other) > len(piece):
                    rest = other + piece if backwards else piece + other
            size, torn = 2 * size, not safe

    def _cut(self, rest: str, size: int, backwards: bool) -> int | None:
        """Where to cut off a piece of at most `size` characters without changing a token; None if there is no such position."""
        low, high = (len(rest) - size, len(rest) - size // 2) if backwards else (size // 2, size)
        for kind in (*BETWEEN, ANYWHERE) if size >= ENDLESS else BETWEEN:
            positions = (low + match.start() for match in kind.finditer(rest[low:high]))
            farthest = islice(positions, CANDIDATES) if backwards else reversed(deque(positions, CANDIDATES))
            for position in farthest:
                if self._is_safe(rest, position):
                    return position
        return None

    def _is_safe(self, text: str, position: int) -> bool:
        """Whether the text around a cut has the same tokens with and without it."""
        sides = [(text[max(0, position - width) : position], text[position : position + width]) for width in CONTEXTS]
        blank = not all(map(len, self.tokenize(sides[0])))
        sides += [(ANCHOR + left, right + ANCHOR) for left, right in sides[:1] if blank]
        rows = iter(self.tokenize([part for left, right in sides for part in (left, right, left + right)]))
        return all(left + right == whole for left, right, whole in zip(rows, rows, rows, strict=True))
