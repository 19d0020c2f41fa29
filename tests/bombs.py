"""Valid Parquet tables that are small in the file and large once unfolded, and such ones that lie about it: for tests, all harmless."""

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MEBIBYTE = 1024 * 1024
_ENCODINGS = b"\x19\x35\x00\x06\x10"  # a list of three: PLAIN, RLE, RLE_DICTIONARY
_NO_DICTIONARY = b"\x19\x35\x00\x06\x00"


def written(table: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", store_schema=False, **options)
    return sink.getvalue()


def one_large_page(mebibytes: int) -> bytes:
    """A page of so many MiB, in some kilobytes."""
    values = pa.array(["x" * MEBIBYTE]).take(pa.array([0] * mebibytes))
    return written(pa.table({"name": values}), use_dictionary=False, data_page_size=2**30, write_batch_size=mebibytes)


def hidden_dictionary(rows: int) -> bytes:
    """A value of 1 MiB that all rows share, in 300 bytes, though the footer says that no column shares any."""
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), ["x" * MEBIBYTE])
    honest = written(pa.table({"name": shared}), dictionary_pagesize_limit=2**30)
    assert honest.count(_ENCODINGS) == 1
    return honest.replace(_ENCODINGS, _NO_DICTIONARY)


def page_that_declares(size: int) -> bytes:
    """A small page whose header declares that it unfolds to so many bytes."""
    honest = written(pa.table({"name": ["a"]}), use_dictionary=False)
    place = pq.ParquetFile(io.BytesIO(honest)).metadata.row_group(0).column(0).data_page_offset
    assert honest[place : place + 3] == b"\x15\x00\x15"  # the type of the page; then comes the size as a zigzag number
    end = place + 3
    while honest[end] > 127:
        end += 1
    return honest[: place + 3] + _padded(size * 2, end + 1 - (place + 3)) + honest[end + 1 :]


def _padded(number: int, length: int) -> bytes:
    """A variable-length number in so many bytes, or as many as it takes."""
    parts: list[int] = []
    while number or len(parts) < length:
        parts.append(number & 127)
        number >>= 7
    return bytes([part | 128 for part in parts[:-1]] + parts[-1:])
