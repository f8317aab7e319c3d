"""The first and last tokens of a text of any length, read in pieces.

A text is cut only where the tokens on both sides are the same with and without the cut, so that the tokens of the pieces are
the tokens of the text. Time grows with what is read, memory with the largest piece.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from mtlkit.config.architecture import Truncation

Tokenise = Callable[[Sequence[str]], list[list[int]]]  # texts -> ids, without a first and a last token

LETTERS_A_TOKEN = 8  # of usual text, with room to spare: the first piece mostly suffices
LARGEST_PIECE = 1 << 18  # letters; a longer stretch without a place to cut at (one endless word) is cut anyway
CONTEXTS = (256, 61, 17)  # letters on each side of a cut that are compared; several, so that no repetition fits by chance
CANDIDATES = 4  # of each kind, tried from the far end of a piece
BETWEEN = (re.compile(r"(?<=\S)\s"), re.compile(r"\b"))  # after a word, at either end of one
ANYWHERE = re.compile(r"(?s).")
ENDLESS = 8192  # letters; in a shorter stretch without words nothing is cut
ANCHOR = "a"  # stands for the text around a context in which nothing is seen


def cut_ids(ids: list[int], room: int, truncate: Truncation) -> list[int]:
    """The tokens of a text, without a first and a last one, cut to `room`. head-tail keeps a quarter from the start and the
    rest from the end, as Sun et al. 2019 found best."""
    if len(ids) <= room:
        return ids
    head = {"head": room, "tail": 0, "head-tail": room // 4}[truncate]
    return [*ids[:head], *ids[len(ids) - (room - head) :]]


@dataclass(frozen=True)
class LongTexts:
    """Reads long texts with a tokenizer. `unknown` is the id that stands for a whole word outside the vocabulary, None where
    there is none; `largest` the most letters of a piece."""

    tokenise: Tokenise
    unknown: int | None
    largest: int = LARGEST_PIECE

    def kept(self, text: str, room: int, truncate: Truncation) -> tuple[list[int], bool]:
        """The tokens of a text that fit into `room`, and whether others did not."""
        if truncate == "tail":
            ids = self.last(text, room + 1)
        else:
            ids = self.first(text, room + 1)
            if truncate == "head-tail" and len(ids) > room:
                ids = [*ids[: room // 4], *self.last(text, room + 1)]
        return cut_ids(ids, room, truncate), len(ids) > room

    def first(self, text: str, count: int) -> list[int]:
        """At least the first `count` tokens, or all where the text has fewer."""
        ids: list[int] = []
        for piece, torn in self._pieces(text, count, backwards=False):
            ids += piece[1:] if torn and self._one_word(ids[-1:], piece[:1]) else piece
            if len(ids) >= count:
                break
        return ids

    def last(self, text: str, count: int) -> list[int]:
        """At least the last `count` tokens, or all where the text has fewer."""
        ids: list[int] = []
        for piece, torn in self._pieces(text, count, backwards=True):
            ids = (piece[:-1] if torn and self._one_word(piece[-1:], ids[:1]) else piece) + ids
            if len(ids) >= count:
                break
        return ids

    def _one_word(self, before: list[int], after: list[int]) -> bool:
        """Whether two tokens beside a cut through a word are the same unknown word."""
        return self.unknown is not None and before == after == [self.unknown]

    def _pieces(self, rest: str, count: int, *, backwards: bool) -> Iterator[tuple[list[int], bool]]:
        """The tokens of piece after piece from one end on, and whether the cut before a piece goes through a word."""
        size, torn = max(64, count * LETTERS_A_TOKEN), False
        while rest:
            size = min(size, self.largest)
            cut = None if len(rest) <= size else self._cut(rest, size, backwards)
            if cut is None and size < min(len(rest), self.largest):
                size *= 2
                continue
            safe = cut is not None
            place = cut if cut is not None else len(rest) - size if backwards else size
            place = min(max(place, 0), len(rest))
            piece, rest = (rest[place:], rest[:place]) if backwards else (rest[:place], rest[place:])
            (ids,) = self.tokenise([piece])
            yield ids, torn
            if len(ids) <= 1 and piece == piece[0] * len(piece):  # more of one letter adds nothing: such a run is shortened
                other = rest.rstrip(piece[0]) if backwards else rest.lstrip(piece[0])
                if len(rest) - len(other) > len(piece):
                    rest = other + piece if backwards else piece + other
            size, torn = 2 * size, not safe

    def _cut(self, rest: str, size: int, backwards: bool) -> int | None:
        """Where to cut off a piece of at most `size` letters without changing a token; None where no such place is found."""
        low, high = (len(rest) - size, len(rest) - size // 2) if backwards else (size // 2, size)
        for kind in (*BETWEEN, ANYWHERE) if size >= ENDLESS else BETWEEN:
            places = (low + match.start() for match in kind.finditer(rest[low:high]))
            farthest = islice(places, CANDIDATES) if backwards else reversed(deque(places, CANDIDATES))
            for place in farthest:
                if self._is_safe(rest, place):
                    return place
        return None

    def _is_safe(self, text: str, place: int) -> bool:
        """Whether the text around a cut has the same tokens with and without it."""
        sides = [(text[max(0, place - width) : place], text[place : place + width]) for width in CONTEXTS]
        blank = not all(map(len, self.tokenise(sides[0])))
        sides += [(ANCHOR + left, right + ANCHOR) for left, right in sides[:1] if blank]
        rows = iter(self.tokenise([part for left, right in sides for part in (left, right, left + right)]))
        return all(left + right == whole for left, right, whole in zip(rows, rows, rows, strict=True))
