"""Small files of each type, made from their standards, for the tests to upload."""

import struct
import zlib


def png(width: int = 1, height: int = 1, *, depth: int = 8, colour: int = 2, padding: int = 0) -> bytes:
    """A PNG of this size; with `padding`, so many more bytes in a chunk of text."""
    chunks = [_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))]
    if padding:
        chunks.append(_chunk(b"tEXt", b"k\x00" + bytes(max(0, padding - 14))))
    chunks += [_chunk(b"IDAT", zlib.compress(b"\x00" + bytes(3))), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def jpeg(width: int = 1, height: int = 1, *, scan: bytes = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00") -> bytes:
    """The segments of a grey JPEG of this size."""
    app = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    tables = b"\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, height, width, 1) + b"\x01\x11\x00"
    return b"\xff\xd8" + app + tables + frame + scan + b"\xff\xd9"


def pdf() -> bytes:
    """A PDF of one empty page."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R]/Count 1>>", b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>"]
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"xref\n0 4\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return content + table + b"trailer\n<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(content)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
