"""What a content is, by its bytes alone: PNG, JPEG or PDF, looked at as it comes and never held as a whole."""

import re
import struct
from typing import ClassVar, Protocol

from domain.errors import Unsupported

SIDE_MAX = 32_768
PIXELS_MAX = 2**27  # 134 million: half a gigabyte once somebody decodes it
UNTOLD = ("", "application/octet-stream")  # what is declared by who does not know

_SIGNATURE_BYTES = 8
_PNG = b"\x89PNG\r\n\x1a\n"
_IHDR = struct.Struct(">I4sIIBBBBB")
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_JPEG = b"\xff\xd8\xff"
_SEGMENTS_MAX = 1000
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset([0x01, *range(0xD0, 0xDA)])  # markers without a segment, and SOI, EOI: none of them belongs before a frame
_SCAN = 0xDA
_FRAME = struct.Struct(">HBHHB")
_PDF = re.compile(rb"%PDF-[12]\.[0-9]")
_PDF_TAIL = 1024
_PDF_END = b"%%EOF"
_PADDING = b"\0\t\n\f\r "  # the white space of PDF, with which some writers fill a block


class UnsupportedContent(Unsupported):
    """By its bytes the file is no PNG, JPEG or PDF, is absurdly large in its dimensions, or is not what it was declared as."""

    code = "unsupported-content"
    detail = "Send a PNG, JPEG or PDF, declared as what it is."


class Inspection:
    """Looks at a content part by part. Raises `UnsupportedContent` as soon as it can be none of the types."""

    def __init__(self) -> None:
        self._head = b""
        self._kind: _Kind | None = None

    def take(self, part: bytes) -> None:
        """Look at the next part."""
        if self._kind is None:
            self._head += part
            if len(self._head) < _SIGNATURE_BYTES:
                return
            self._kind = _kind_of(self._head)
            part = self._head
        self._kind.take(part)

    def end(self, declared: str) -> str:
        """The type of the whole. Raises `UnsupportedContent`, also when another type was declared."""
        if self._kind is None:
            raise UnsupportedContent("The file is empty." if not self._head else None)
        self._kind.end()
        if declared not in (*UNTOLD, self._kind.content_type):
            raise UnsupportedContent("The file is not of the type that it was declared as.")
        return self._kind.content_type


class _Kind(Protocol):
    """One type of content."""

    content_type: ClassVar[str]

    def take(self, part: bytes) -> None: ...

    def end(self) -> None: ...


class _Png(_Kind):
    """The first chunk is the header, with possible dimensions and one of the combinations that the standard knows."""

    content_type = "image/png"

    def __init__(self) -> None:
        self._head = b""
        self._is_sound = False

    def take(self, part: bytes) -> None:
        if self._is_sound:
            return
        self._head += part[: len(_PNG) + _IHDR.size]
        if len(self._head) < len(_PNG) + _IHDR.size:
            return
        size, name, width, height, depth, colour, compression, filtering, interlace = _IHDR.unpack_from(self._head, len(_PNG))
        if (size, name, compression, filtering) != (13, b"IHDR", 0, 0) or depth not in _DEPTHS.get(colour, ()) or interlace > 1:
            raise UnsupportedContent
        _check_dimensions(width, height)
        self._is_sound = True

    def end(self) -> None:
        if not self._is_sound:
            raise UnsupportedContent


class _Jpeg(_Kind):
    """Segments lead to a frame with possible dimensions; what the frame holds is not looked at."""

    content_type = "image/jpeg"

    def __init__(self) -> None:
        self._held = b""
        self._skip = 2  # the start of the image
        self._segments = 0
        self._is_sound = False

    def take(self, part: bytes) -> None:
        if self._is_sound:
            return
        self._held += part
        while not self._is_sound:
            skipped = min(self._skip, len(self._held))
            self._held, self._skip = self._held[skipped:], self._skip - skipped
            if not self._segment():
                return

    def _segment(self) -> bool:
        """Look at the segment that comes next. Whether there was enough to look at."""
        held = self._held
        if len(held) < 4:
            return False
        if held[0] != 0xFF:
            raise UnsupportedContent
        if held[1] == 0xFF:  # a fill byte
            fill = len(held) - len(held.lstrip(b"\xff")) - 1
            self._skip = fill
            return True
        marker, size = held[1], int.from_bytes(held[2:4])
        self._segments += 1
        if marker in _ALONE or marker in (0, _SCAN) or size < 2 or self._segments > _SEGMENTS_MAX:
            raise UnsupportedContent
        if marker not in _FRAMES:
            self._skip = 2 + size
            return True
        if len(held) < 2 + _FRAME.size:
            return False
        size, _, height, width, components = _FRAME.unpack_from(held, 2)
        if size != 8 + 3 * components or not components:
            raise UnsupportedContent
        _check_dimensions(width, height)
        self._is_sound = True
        return True

    def end(self) -> None:
        if not self._is_sound:
            raise UnsupportedContent


class _Pdf(_Kind):
    """The first line is the header, and the last the mark of the end, which padding may follow."""

    content_type = "application/pdf"

    def __init__(self) -> None:
        self._tail = self._padding = b""

    def take(self, part: bytes) -> None:
        kept = part.rstrip(_PADDING)
        if kept:
            self._tail = (self._tail + self._padding + kept)[-_PDF_TAIL:]
            self._padding = b""
        self._padding = (self._padding + part[len(kept) :])[-_PDF_TAIL:]

    def end(self) -> None:
        if _PDF_END not in self._tail:
            raise UnsupportedContent


TYPES = tuple(kind.content_type for kind in (_Png, _Jpeg, _Pdf))


def _kind_of(head: bytes) -> _Kind:
    if head.startswith(_PNG):
        return _Png()
    if head.startswith(_JPEG):
        return _Jpeg()
    if _PDF.match(head):
        return _Pdf()
    raise UnsupportedContent


def _check_dimensions(width: int, height: int) -> None:
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX and width * height <= PIXELS_MAX):
        raise UnsupportedContent(f"An image has sides of 1 to {SIDE_MAX} pixels, and at most {PIXELS_MAX} pixels.")
