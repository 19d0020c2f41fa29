"""What the pages of a Parquet file say that they unfold to, read from their headers alone: nothing is unfolded for it.

The footer tells sizes of whole columns, and no library those of pages; yet a reader makes room for what a page declares. Each page begins
with a `PageHeader` in Thrift's compact protocol, of which the first three fields are read here and the rest is passed over
(github.com/apache/parquet-format, parquet.thrift; github.com/apache/thrift, doc/specs/thrift-compact-protocol.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

HEADER_MAX_BYTES = 1024 * 1024  # with the smallest and largest value of the page in it
_HEADER_BYTES = 4096
_UNFOLDED, _STORED = 2, 3  # numbers of the fields
_DEPTH_MAX = 8
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12


class BadPage(Exception):
    """What stands where a page should begin is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Sizes in bytes, without the header: as it stands in the file, and once it is unfolded."""

    stored: int
    unfolded: int


def pages(file: BinaryIO, chunk: Any) -> Iterator[Page]:
    """The pages of a column chunk, given its metadata as Arrow has them. Raises `BadPage`."""
    place, dictionary = chunk.data_page_offset, chunk.dictionary_page_offset
    if dictionary is not None and 0 < dictionary < place:
        place = dictionary
    end = place + chunk.total_compressed_size
    while place < end:
        page, header = _page_at(file, place)
        yield page
        place += header + page.stored


def _page_at(file: BinaryIO, place: int) -> tuple[Page, int]:
    """The page that begins here, and how long its header is."""
    size = _HEADER_BYTES
    while True:
        file.seek(place)
        data = file.read(size)
        try:
            return _page(data)
        except IndexError:
            if len(data) < size or size >= HEADER_MAX_BYTES:
                raise BadPage from None
        size = min(size * 8, HEADER_MAX_BYTES)


def _page(data: bytes) -> tuple[Page, int]:
    """Raises `IndexError` where the data end within the header."""
    sizes: dict[int, int] = {}
    cursor = _Cursor(data)
    for field, kind in cursor.fields():
        if field in (_UNFOLDED, _STORED) and kind == _I32:
            sizes[field] = cursor.signed()
        else:
            cursor.skip(kind, depth=0)
    if sizes.keys() != {_UNFOLDED, _STORED} or min(sizes.values()) < 0:
        raise BadPage
    return Page(stored=sizes[_STORED], unfolded=sizes[_UNFOLDED]), cursor.place


class _Cursor:
    """A place in data of the compact protocol. Every method may raise `IndexError`, or `BadPage`."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Number and type of each field of a struct; whoever takes one moves past its value."""
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self.signed()
            yield number, kind

    def signed(self) -> int:
        """A whole number in zigzag form."""
        number = self._unsigned()
        return (number >> 1) ^ -(number & 1)

    def skip(self, kind: int, *, depth: int) -> None:
        """Move past a value that stands in a field."""
        if depth > _DEPTH_MAX:
            raise BadPage
        if kind in (_I16, _I32, _I64):
            self._unsigned()
        elif kind == _BYTE:
            self._move(1)
        elif kind == _DOUBLE:
            self._move(8)
        elif kind == _BINARY:
            self._move(self._unsigned())
        elif kind == _STRUCT:
            for _, each in self.fields():
                self.skip(each, depth=depth + 1)
        elif kind in (_LIST, _SET):
            self._skip_list(depth)
        elif kind not in (_TRUE, _FALSE):  # those two have no value beside their type; headers have no maps
            raise BadPage

    def _skip_list(self, depth: int) -> None:
        head = self._byte()
        kind, size = head & 15, head >> 4
        for _ in range(self._unsigned() if size == 15 else size):
            self.skip(_BYTE if kind in (_TRUE, _FALSE) else kind, depth=depth + 1)

    def _move(self, size: int) -> None:
        self.place += size
        if self.place > len(self._data):
            raise IndexError

    def _byte(self) -> int:
        self.place += 1
        return self._data[self.place - 1]

    def _unsigned(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            part = self._byte()
            number |= (part & 127) << shift
            if part < 128:
                return number
        raise BadPage
