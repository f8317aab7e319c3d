"""How a source was read, in one line."""

from __future__ import annotations

from collections.abc import Mapping

from mtlkit.config.source_record import SourceRecord
from mtlkit.data.labels.values import quoted
from mtlkit.errors import listed, shorten

NAMES = 8  # of columns or files
SEPARATORS = {"\t": "tab", " ": "space"}


def source_line(record: SourceRecord, name: str) -> str:
    """`topic: text=title+body, label=stars (classification); not used: id; csv, ';', utf-8; train: train.csv`."""
    columns = [f"{role}={'+'.join(map(_short, names))}" for role, names in _roles(record) if names]
    kind = [f"({record.kind})"] if record.kind else []
    parts = [" ".join([", ".join(columns), *kind]).strip()]
    if labels := _labels(record):
        parts.append(labels)
    if record.unused:
        parts.append(f"not used: {listed(map(_short, record.unused), NAMES)}")
    if files := _files(record):
        parts.append(files)
    if not _lone_file(record):
        parts += [f"{split}: {listed(map(_short, files), NAMES)}" for split, files in record.files.items()]
    return f"{_short(name)}: {'; '.join(filter(None, parts))}"


def _lone_file(record: SourceRecord) -> bool:
    """Whether the source is a single file, so that its files need not be listed."""
    names = [name for files in record.files.values() for name in files]
    address = record.source.partition("?")[0]
    return len(names) == 1 and names[0] in address.replace("\\", "/").rpartition("/")[2]


def _roles(record: SourceRecord) -> list[tuple[str, tuple[str, ...]]]:
    pair = [(role, (name,) if name else ()) for role, name in (("first", record.first), ("second", record.second))]
    names = (("tokens", record.tokens), ("tags", record.tags), ("spans", record.spans))
    of_words = [(role, (name,) if name else ()) for role, name in names]
    return [("text", record.text), *pair, ("negatives", record.negatives), *of_words, ("label", record.label)]


def _labels(record: SourceRecord) -> str:
    """How labels were read, if not by default."""
    parts = [f"sep={record.sep!r}"] if record.sep else []
    what = "tags" if record.tokens or record.spans else "marks"
    parts += [f"{what}: {listed(map(_short, record.names), NAMES)}"] if record.names else []
    parts += [f"order: {listed(map(_short, record.order), NAMES)}"] if record.order else []
    parts += [f"{name}=yes" for name in ("strip", "fold") if getattr(record, name)]
    return ", ".join(parts)


def _files(record: SourceRecord) -> str:
    """The file format; for text files also delimiter, quoting, header and encoding."""
    parts = [record.format] if record.format else []
    parts += [f"delimiter {SEPARATORS.get(record.delimiter, record.delimiter)!r}"] if record.delimiter else []
    parts += ["quoting" if record.quoting else "no quoting"] if record.quoting is not None else []
    parts += ["no header"] if record.header is False else []
    parts += [record.encoding] if record.encoding else []
    return ", ".join(parts)


def _short(name: str) -> str:
    return shorten(name, 40)


def unseen_line(unseen: Mapping[str, int], noun: str) -> str:
    """`3 test rows have labels unseen in training ('a', 'b')`."""
    rows = sum(unseen.values())
    labels = quoted(sorted(unseen, key=lambda label: -unseen[label]))
    return f"{rows:,} {noun if rows == 1 else f'{noun}s'} with a label unseen in training ({labels})"
