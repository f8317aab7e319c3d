"""Detects from the first bytes of a text file that it is compressed, in another encoding or in a binary format."""

from __future__ import annotations

import codecs
from typing import Any

from mtlkit.errors import DataError

HEAD = 1 << 12  # bytes to inspect
BYTE_ORDER_MARKS = {  # UTF-32 first: its little-endian mark starts with that of UTF-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
COMPRESSED = {b"\x1f\x8b\x08": ".gz", b"BZh91AY&SY": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
BINARY_FORMATS = {
    b"PK\x03\x04": "a zip archive, or an Excel file; unpack it, or save the table as csv",
    b"PAR1\x15": "a parquet file; give it the suffix .parquet, or specify format=parquet",
    b"ARROW1\x00": "an Arrow file; give it the suffix .arrow, or specify format=arrow",
}
WIDE = ("utf-16", "utf-32")
NUL_SHARE = 0.05  # of the bytes; text has almost none


def check_beginning(content: Any, name: str, encoding: str) -> None:
    """Inspects the first bytes of an open file or pipe without consuming them.

    Raises DataError, with a suggestion, if they cannot be text in this encoding.
    """
    if hasattr(content, "peek"):
        head = content.peek(HEAD)[:HEAD]
    else:
        head = content.read(HEAD)
        content.seek(0)
    for magic, suffix in COMPRESSED.items():
        if head.startswith(magic):
            raise DataError(
                f"{name}: compressed, but its name does not end in {suffix}; rename it to end in {suffix}, or decompress it"
            )
    for magic, advice in BINARY_FORMATS.items():
        if head.startswith(magic):
            raise DataError(f"{name}: {advice}")
    if codecs.lookup(encoding).name.startswith(WIDE):
        return
    for mark, actual in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            raise DataError(f"{name}: byte 0 is not valid {encoding}; specify the encoding, such as --encoding {actual}")
    if guess := detect_utf16(head):
        raise DataError(
            f"{name}: contains NUL bytes, so it is probably not {encoding}; specify the encoding, such as --encoding {guess}"
        )


def detect_utf16(head: bytes) -> str:
    """`utf-16-le` or `utf-16-be`, depending on where the zero bytes are; an empty string if it is neither."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) or max(even, odd) < max(2.0, NUL_SHARE * len(head)):
        return ""
    return "utf-16-le" if odd else "utf-16-be"
