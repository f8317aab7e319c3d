"""The grammar of `--mix`: shares of sources of text by name."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mtlkit.errors import UsageError, listed, shorten, suggest


def names_of(sources: Sequence[str]) -> list[str]:
    """A name for each source: its last part without suffixes, or the whole source if several have that."""
    shorts = [short_name(source) for source in sources]
    counts = Counter(shorts)
    return [short if short and counts[short] == 1 else source for short, source in zip(shorts, sources, strict=True)]


def short_name(source: str) -> str:
    """`imdb` for `data/imdb`, `sample:imdb`, `data/imdb.csv.gz?text=review` and `stanford/imdb`."""
    address = source.partition("?")[0].replace("\\", "/").rstrip("/")
    return address.rpartition("/")[2].rpartition(":")[2].partition(".")[0]


def parse_mix(text: str, sources: Sequence[str]) -> list[float]:
    """The share of each source, in order; they are relative to their sum. Raises UsageError unless all have one above 0."""
    names, shares = names_of(sources), dict.fromkeys(sources, 0.0)
    if len(shares) < len(sources):
        raise UsageError("--mix: a source is given twice; give each once")
    for part in text.split(","):
        name, equals, number = (word.strip() for word in part.rpartition("="))
        share = _number(number)
        if not equals or share is None:
            raise UsageError(f"--mix {shorten(part.strip())!r} is not NAME=SHARE with a number above 0, such as {names[0]}=0.6")
        source = name if name in shares else next((one for one, short in zip(sources, names, strict=True) if short == name), None)
        if source is None:
            raise UsageError(f"--mix: no source is named {shorten(name)!r}; sources: {listed(names)}{suggest(name, names)}")
        if shares[source]:
            raise UsageError(f"--mix: {name} has two shares; give one")
        shares[source] = share
    if missing := [name for name, source in zip(names, sources, strict=True) if not shares[source]]:
        raise UsageError(f"--mix: no share for {listed(missing)}; give one for each source, or omit the source")
    return [shares[source] for source in sources]


def _number(text: str) -> float | None:
    try:
        share = float(text)
    except ValueError:
        return None
    return share if math.isfinite(share) and share > 0 else None
