"""Forms with one file: the content comes out as it went in, whatever the boundary, the content and the parts in which it comes."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from domain.errors import DomainError
from entrypoints.http.json_body import ClientLeft
from entrypoints.http.multipart_body import HEAD_MAX, FormReader
from entrypoints.http.problems import EdgeRefusal, Malformed, TooLarge

LIMIT = 100_000
KIND = "multipart/form-data; boundary={}"


def form(content: bytes, boundary: str, *, head: bytes = b'Content-Disposition: form-data; name="file"; filename="a"') -> bytes:
    return f"--{boundary}\r\n".encode() + head + b"\r\n\r\n" + content + f"\r\n--{boundary}--\r\n".encode()


def request_of(parts: list[bytes], kind: str, *, leaves: bool = False) -> Request:
    def messages() -> Iterator[Message]:
        for number, part in enumerate(parts, start=1):
            yield {"type": "http.request", "body": part, "more_body": leaves or number < len(parts)}
        while True:
            yield {"type": "http.disconnect"}

    coming = messages()

    async def receive() -> Message:
        return next(coming)

    return Request({"type": "http", "headers": [(b"content-type", kind.encode("latin-1"))]}, receive)


def read(parts: list[bytes], kind: str, *, leaves: bool = False) -> bytes:
    async def run() -> bytes:
        async with FormReader(request_of(parts, kind, leaves=leaves), at_most=LIMIT) as reader:
            part = await reader.file()
            return b"".join([piece async for piece in part.content])

    return asyncio.run(run())


boundaries = st.from_regex(r"[0-9A-Za-z'+_./:=-]{1,70}", fullmatch=True)


def in_parts(body: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted({cut % (len(body) + 1) for cut in cuts}), len(body)]
    return [body[start:end] for start, end in pairwise(places)]


@given(boundaries, st.binary(max_size=300), st.lists(st.integers(0, 10**6), max_size=20))
def test_any_content_comes_out_as_it_went_in(boundary: str, content: bytes, cuts: list[int]) -> None:
    assume(b"--" + boundary.encode() not in content)
    assert read(in_parts(form(content, boundary), cuts), KIND.format(f'"{boundary}"')) == content


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"b", b"\r\n--", b"\r\n--b", b"\r\n--bx", b"\r\n--b-", b" ", b"x"]), max_size=30),
    st.integers(1, 9),
)
def test_what_is_nearly_a_boundary_is_content(pieces: list[bytes], size: int) -> None:
    content = b"".join(pieces)
    around = content + b"\r\n--b"  # the piece before the end may complete it
    assume(not any(mark in around for mark in (b"\r\n--b--", b"\r\n--b\r\n")))
    assume(not any(around.startswith(b"\r\n--b" + b" " * n + b"\r\n") or b"\r\n--b" + b" " * n + b"\r\n" in around for n in range(1, 31)))
    body = form(content, "b")
    assert read([body[start : start + size] for start in range(0, len(body), size)], KIND.format("b")) == content


@given(st.binary(max_size=2000), st.lists(st.integers(0, 10**6), max_size=9))
def test_whatever_comes_is_read_or_refused(body: bytes, cuts: list[int]) -> None:
    for content in (body, b"--b\r\n" + body, form(body, "b")[:-9]):
        with suppress(DomainError, EdgeRefusal, ClientLeft):
            read(in_parts(content, cuts), KIND.format("b"))


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1, LIMIT * 3])
def test_the_limit_is_for_the_content(size: int) -> None:
    parts = in_parts(form(bytes(size), "b"), list(range(0, size, 7000)))
    if size <= LIMIT:
        assert len(read(parts, KIND.format("b"))) == size
    else:
        with pytest.raises(TooLarge):
            read(parts, KIND.format("b"))


def test_a_head_is_bounded() -> None:
    for head in (b"X: " + b"y" * HEAD_MAX, b"X: y\r\n" * HEAD_MAX):
        with pytest.raises(Malformed):
            read([form(b"x", "b", head=head)], KIND.format("b"))


def test_a_form_that_ends_early_is_malformed_and_a_client_that_leaves_is_gone() -> None:
    body = form(b"content", "b")
    for length in range(1, len(body) - len(b"\r\n")):
        with pytest.raises(Malformed):
            read([body[:length]], KIND.format("b"))
        with pytest.raises(ClientLeft):
            read([body[:length]], KIND.format("b"), leaves=True)


def test_what_was_not_read_is_drained_when_it_is_refused() -> None:
    request = request_of([form(b"x", "b")[:-9], *[bytes(1000)] * 50, b"the last"], KIND.format("b"))

    async def run() -> None:
        async with FormReader(request, at_most=LIMIT) as reader:
            await reader.file()
            raise Malformed

    with pytest.raises(Malformed):
        asyncio.run(run())
    with pytest.raises(ClientLeft):  # nothing is left to read
        asyncio.run(_next(request))


async def _next(request: Request) -> None:
    if (await request.receive())["type"] == "http.disconnect":
        raise ClientLeft
