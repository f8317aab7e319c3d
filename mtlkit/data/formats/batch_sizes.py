"""Estimates the memory that rows of a parquet file need, from the file's metadata."""

from __future__ import annotations

from typing import IO, Any

from mtlkit.data.formats.files import DataFile

ROW_BYTES = 64  # overhead of a row in Python
USUAL_DICTIONARY = 1 << 20  # bytes; the default limit of parquet writers


def size_of(batch: Any) -> int:
    """Bytes of a record batch with its dictionary columns expanded to one value per row."""
    import pyarrow
    from pyarrow import compute

    size: int = ROW_BYTES * len(batch)
    for column in batch.columns:
        size += column.nbytes
        if pyarrow.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            lengths = compute.binary_length(column.dictionary)
            size += compute.sum(lengths.take(column.indices)).as_py() or 0
    return size


def _is_text(data_type: Any) -> bool:
    from pyarrow import types

    return any(check(data_type) for check in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary))


def bytes_per_row(group: Any, file: DataFile) -> int:
    """Upper bound of the bytes per row of a row group, assuming that every value is as long as the longest in a dictionary."""
    longest = max((_longest_value(group.column(index), file) for index in range(group.num_columns)), default=0)
    return max(longest, int(group.total_byte_size) // max(1, int(group.num_rows)))


def _longest_value(chunk: Any, file: DataFile) -> int:
    """Upper bound of the bytes of a value that is stored once and referenced by several rows."""
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
    """The uncompressed size in a page header: the second field of a struct in Thrift's compact protocol."""
    header = content.read(24)
    numbers: list[int] = []
    position = 0
    while len(numbers) < 2 and header[position : position + 1] == b"\x15":  # the next field, an i32
        value = shift = 0
        position += 1
        while position < len(header):
            value |= (header[position] & 0x7F) << shift
            shift += 7
            position += 1
            if not header[position - 1] & 0x80:
                break
        numbers.append((value >> 1) ^ -(value & 1))
    return numbers[1] if len(numbers) == 2 and numbers[1] > 0 else USUAL_DICTIONARY
