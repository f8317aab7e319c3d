"""What the first bytes of a text file tell: another encoding, compression, or another format altogether."""

from __future__ import annotations

import codecs
from typing import Any

from mtlkit.errors import DataError

HEAD = 1 << 12  # bytes that are looked at
BYTE_ORDER_MARKS = {  # the longer ones first, as one begins like another
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
COMPRESSED = {b"\x1f\x8b\x08": ".gz", b"BZh91AY&SY": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
OTHERS = {
    b"PK\x03\x04": "a zip archive, or an Excel file; unpack it, or save the table as csv",
    b"PAR1\x15": "a parquet file; give it the suffix .parquet, or specify format=parquet",
    b"ARROW1\x00": "an Arrow file; give it the suffix .arrow, or specify format=arrow",
}
WIDE = ("utf-16", "utf-32")
NULS = 0.05  # of the bytes; text hardly has any


def check_beginning(content: Any, name: str, encoding: str) -> None:
    """Looks at the first bytes of an open file or pipe, which are still to be read afterwards. Raises DataError with the way on
    where they cannot be text in this encoding."""
    if hasattr(content, "peek"):
        head = content.peek(HEAD)[:HEAD]
    else:
        head = content.read(HEAD)
        content.seek(0)
    for magic, suffix in COMPRESSED.items():
        if head.startswith(magic):
            way = f"give it a name that ends in {suffix}, or decompress it"
            raise DataError(f"{name}: compressed, though its name does not end in {suffix}; {way}")
    for magic, said in OTHERS.items():
        if head.startswith(magic):
            raise DataError(f"{name}: {said}")
    if codecs.lookup(encoding).name.startswith(WIDE):
        return
    for mark, found in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            raise DataError(f"{name}: byte 0 is not {encoding}; specify the encoding, such as --encoding {found}")
    if found := wide_encoding(head):
        raise DataError(f"{name}: NUL bytes, which {encoding} hardly has; specify the encoding, such as --encoding {found}")


def wide_encoding(head: bytes) -> str:
    """The encoding of two bytes to a character that bytes seem to be in, by where their zeros are; nothing where in none."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) or max(even, odd) < max(2.0, NULS * len(head)):
        return ""
    return "utf-16-le" if odd else "utf-16-be"
