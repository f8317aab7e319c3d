"""How many bytes the rows of a parquet file take once they are read, by its description."""

from __future__ import annotations

from typing import IO, Any

from mtlkit.data.formats.files import DataFile

ROW_BYTES = 64  # that a row takes in Python, whatever it holds
USUAL_DICTIONARY = 1 << 20  # bytes; where a writer's own limit is left alone


def size_of(batch: Any) -> int:
    """The bytes of a batch once each row has a value of its own, also where its columns are dictionaries."""
    import pyarrow
    from pyarrow import compute

    size: int = ROW_BYTES * len(batch)
    for column in batch.columns:
        size += column.nbytes
        if pyarrow.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            lengths = compute.binary_length(column.dictionary)
            size += compute.sum(lengths.take(column.indices)).as_py() or 0
    return size


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return any(check(kind) for check in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


def bytes_per_row(group: Any, file: DataFile) -> int:
    """The most that rows of a row group take on average, were each as long as the longest value that a dictionary can hold."""
    longest = max((_longest(group.column(place), file) for place in range(group.num_columns)), default=0)
    return max(longest, int(group.total_byte_size) // max(1, int(group.num_rows)))


def _longest(chunk: Any, file: DataFile) -> int:
    """An upper limit of the bytes of a value that is stored once and repeated."""
    if chunk.physical_type not in ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"):
        return 0
    if any(encoding.startswith("DELTA_BYTE") for encoding in chunk.encodings):
        return int(chunk.total_uncompressed_size)
    if not chunk.has_dictionary_page:
        return 0
    if chunk.total_uncompressed_size <= USUAL_DICTIONARY:
        return int(chunk.total_uncompressed_size)
    with file.open() as content:
        content.seek(chunk.dictionary_page_offset)
        return min(int(chunk.total_uncompressed_size), _page_size(content))


def _page_size(content: IO[bytes]) -> int:
    """The uncompressed size in the header of a page: the second field of a struct in Thrift's compact protocol."""
    header = content.read(24)
    numbers: list[int] = []
    at = 0
    while len(numbers) < 2 and header[at : at + 1] == b"\x15":  # the next field, an i32
        value = shift = 0
        at += 1
        while at < len(header):
            value |= (header[at] & 0x7F) << shift
            shift += 7
            at += 1
            if not header[at - 1] & 0x80:
                break
        numbers.append((value >> 1) ^ -(value & 1))
    return numbers[1] if len(numbers) == 2 and numbers[1] > 0 else USUAL_DICTIONARY
