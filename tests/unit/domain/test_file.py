"""Files: what their bytes tell, what their names may be."""

import re
import struct
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.file import FILENAME_MAX, Inspection, UnsupportedContent, base_name, name_faults
from domain.file.content import PIXELS_MAX, SIDE_MAX
from tests.pictures import jpeg, pdf, png

SOUND = {"image/png": png(), "image/jpeg": jpeg(), "application/pdf": pdf()}


def inspected(content: bytes, *, declared: str = "", part: int = 65_536) -> str:
    inspection = Inspection()
    for position in range(0, len(content), part):
        inspection.take(content[position : position + part])
    return inspection.end(declared)


def is_refused(content: bytes, *, declared: str = "", part: int = 65_536) -> bool:
    try:
        inspected(content, declared=declared, part=part)
    except UnsupportedContent:
        return True
    return False


@pytest.mark.parametrize("kind", SOUND)
@pytest.mark.parametrize("part", [1, 2, 7, 64, 10_000])
def test_a_content_is_known_however_it_comes_in_parts(kind: str, part: int) -> None:
    assert inspected(SOUND[kind], part=part) == kind


@pytest.mark.parametrize("kind", SOUND)
def test_what_is_declared_is_what_it_is_or_is_not_told(kind: str) -> None:
    assert {inspected(SOUND[kind], declared=declared) for declared in (kind, "", "application/octet-stream")} == {kind}
    for other in ({*SOUND} - {kind}) | {"text/html", "image/svg+xml", "image/*", "x"}:
        assert is_refused(SOUND[kind], declared=other)


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_random_bytes_are_nothing(content: bytes, part: int) -> None:
    assert is_refused(content, part=part)


@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"%PDF-1.7\n"]), st.binary(max_size=2000))
def test_a_signature_alone_is_not_enough(signature: bytes, rest: bytes) -> None:
    content = signature + rest
    frame = re.search(rb"\xff[\xc0-\xcf]", rest)
    end = b"%%EOF" in rest
    header = rest[4:8] == b"IHDR"
    assert is_refused(content) or frame or end or header


@pytest.mark.parametrize("kind", SOUND)
def test_what_is_cut_off_within_its_head_is_nothing(kind: str) -> None:
    whole = {"image/png": 33 - 4, "image/jpeg": len(jpeg(scan=b"")) - 12, "application/pdf": len(pdf()) - 1}[kind]
    for length in range(whole - 5 if kind == "application/pdf" else whole):
        assert is_refused(SOUND[kind][:length]), length


@pytest.mark.parametrize(
    "size", [(0, 1), (1, 0), (SIDE_MAX + 1, 1), (1, SIDE_MAX + 1), (20_000, 20_000), (2**32 - 1, 2**32 - 1), (2**31, 2**31)]
)
def test_absurd_dimensions_are_refused(size: tuple[int, int]) -> None:
    width, height = size
    assert is_refused(png(width, height))
    if max(size) < 2**16:
        assert is_refused(jpeg(width, height))


@pytest.mark.parametrize("size", [(1, 1), (SIDE_MAX, 1), (1, SIDE_MAX), (2**14, PIXELS_MAX // 2**14)])
def test_large_dimensions_are_fine(size: tuple[int, int]) -> None:
    assert inspected(png(*size)) == "image/png"
    assert inspected(jpeg(*size)) == "image/jpeg"


@pytest.mark.parametrize(
    "fields",
    [(3, 2), (7, 2), (8, 1), (8, 7), (16, 3), (1, 6)],
)
def test_a_png_of_a_kind_that_is_none_is_refused(fields: tuple[int, int]) -> None:
    depth, colour = fields
    assert is_refused(png(depth=depth, colour=colour))


def test_a_png_whose_first_chunk_is_another_is_refused() -> None:
    assert is_refused(png().replace(b"IHDR", b"tEXt", 1))
    assert is_refused(png()[:8] + struct.pack(">I", 12) + png()[12:])


@pytest.mark.parametrize(
    "before",
    [b"\xff\xd9", b"\xff\xd8", b"\xff\xda\x00\x02", b"\xff\xe0\x00\x01", b"\xff\x00\x00\x02", b"xx", b"\xff\xd0", b"\xff\xe1\x00\x04a"],
)
def test_a_jpeg_with_what_does_not_belong_before_the_frame_is_refused(before: bytes) -> None:
    assert is_refused(b"\xff\xd8\xff\xe0\x00\x02" + before + jpeg()[2:])


def test_a_jpeg_may_have_large_segments_and_fill_bytes_before_its_frame() -> None:
    segments = b"".join(b"\xff\xff\xff\xe2" + struct.pack(">H", 65_535) + bytes(65_533) for _ in range(20))
    for part in (1000, 65_536):
        assert inspected(b"\xff\xd8" + segments + jpeg()[2:], part=part) == "image/jpeg"


def test_a_jpeg_of_nothing_but_segments_or_fill_is_soon_refused() -> None:
    inspection = Inspection()
    inspection.take(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 1000)
    with pytest.raises(UnsupportedContent):
        inspection.take(b"\xff\xe0\x00\x02" * 2)
    assert is_refused(b"\xff\xd8" + b"\xff" * 10_000_000)


def endings() -> Iterator[bytes]:
    yield b""
    yield b"startxref\n9\n%%EO"
    yield b"startxref\n9\n%%EOF" + b"x" * 1100


@pytest.mark.parametrize("ending", list(endings()))
def test_a_pdf_without_its_end_is_refused(ending: bytes) -> None:
    assert is_refused(b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n" + ending)


@pytest.mark.parametrize("padding", [b"", b"\r\n", bytes(5000), b" \n" * 5000, b"trailing", b"x" * 900 + bytes(3000)])
@pytest.mark.parametrize("part", [1, 7, 64, 100_000])
def test_a_pdf_may_be_padded_after_its_end(padding: bytes, part: int) -> None:
    assert inspected(pdf() + padding, part=part) == "application/pdf"


def test_a_pdf_of_a_version_that_is_none_is_refused() -> None:
    assert is_refused(pdf().replace(b"%PDF-1.4", b"%PDF-9.4"))
    assert is_refused(b"\n" + pdf())


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.png", "a.png"),
        ("/etc/passwd", "passwd"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\a.png", "a.png"),
        ("a/b\\c/d.png", "d.png"),
        ("..", ".."),
        ("a/", ""),
        ("Ünï çødé — 🦊.png", "Ünï çødé — 🦊.png"),
        ("..\\..", ".."),
        (".hidden", ".hidden"),
    ],
)
def test_path_parts_are_dropped(sent: str, kept: str) -> None:
    assert base_name(sent) == kept


@given(st.text())
def test_a_name_never_has_a_path(sent: str) -> None:
    assert not {"/", "\\"} & set(base_name(sent))


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "a\x00.png",
        "a\n.png",
        "a\t",
        "a\r",
        "a\x7f",
        "a\x85b",
        "gnp\u202egnp.exe",
        "\u2066a",
        "a\u2028b",
        "\ud800",
        "a" * (FILENAME_MAX + 1),
    ],
)
def test_a_bad_name_is_refused(name: str) -> None:
    assert {fault.pointer for fault in name_faults(name)} == {"/file/filename"}


@pytest.mark.parametrize("name", ["a", "a" * FILENAME_MAX, "🦊" * FILENAME_MAX, 'a"b;c.png', "...", "%2e%2e", "CON", "a b.png", "-rf", "~"])
def test_a_good_name_is_kept(name: str) -> None:
    assert list(name_faults(name)) == []


def test_the_pictures_of_the_tests_are_sound() -> None:
    content = png()
    assert zlib.crc32(content[12:29]) == int.from_bytes(content[29:33])
