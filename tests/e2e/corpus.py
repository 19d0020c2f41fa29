"""Requests as nobody should send them: more than 400, each with how many answers it may have at most, and must have at least."""

from collections.abc import Iterator
from dataclasses import dataclass

SMUGGLED = "smuggled"
_HIDDEN = f"GET /projects HTTP/1.1\r\nHost: x\r\nX-Request-ID: {SMUGGLED}\r\n\r\n".encode()
_PATH = "/dark-data/survey/upsert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Bytes to send. A request hidden in them, with the id `SMUGGLED`, must never be answered."""

    name: str
    sent: bytes
    at_most: int = 1
    at_least: int = 0


def corpus() -> list[Case]:
    return [*_ambiguous_lengths(), *_bad_chunks(), *_bad_heads(), *_bad_lines(), *_bad_bodies(), *_pipelines()]


def _head(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: x", *headers, "", ""]).encode("latin-1")


_LENGTHS = [
    ("Content-Length: 0", "Content-Length: {size}"),
    ("Content-Length: {size}", "Content-Length: 0"),
    ("Content-Length: {size}, 0",),
    ("Content-Length: 0, {size}",),
    ("Content-Length: +{size}",),
    ("Content-Length: -1",),
    ("Content-Length: 0x0",),
    ("Content-Length: 1e1",),
    ("Content-Length: ",),
    ("Content-Length: {size} {size}",),
    ("Content-Length: 99999999999999999999999",),
    ("Content-Length: 18446744073709551616",),
    ("Content-Length: ٣",),
    ("Content-Length : 0",),
    ("Content-Length\t: 0",),
    (" Content-Length: 0",),
    ("Content-Length: {size}", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked", "Content-Length: {size}"),
    ("Transfer-Encoding: chunked", "Content-Length: 0"),
    ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
    ("Transfer-Encoding: chunked, identity",),
    ("Transfer-Encoding: identity, chunked", "Content-Length: {size}"),
    ("Transfer-Encoding: xchunked", "Content-Length: {size}"),
    ("Transfer-Encoding: chunkedx", "Content-Length: {size}"),
    ("Transfer-Encoding: gzip, chunked", "Content-Length: {size}"),
    ("Transfer-Encoding: gzip",),
    ("Transfer-Encoding : chunked", "Content-Length: {size}"),
    ("Transfer-Encoding\t: chunked", "Content-Length: {size}"),
    (" Transfer-Encoding: chunked", "Content-Length: {size}"),
    ("Transfer-Encoding:\x0bchunked", "Content-Length: {size}"),
    ("Transfer-Encoding: \x00chunked", "Content-Length: {size}"),
    ("Transfer-Encoding: 'chunked'", "Content-Length: {size}"),
    ('Transfer-Encoding: "chunked"', "Content-Length: {size}"),
    ("Transfer-Encoding: chunked;q=1", "Content-Length: {size}"),
    ("Transfer-Encoding: CHUNKED", "Content-Length: {size}"),
    ("X: y\rTransfer-Encoding: chunked", "Content-Length: {size}"),
    ("X: y\nTransfer-Encoding: chunked", "Content-Length: {size}"),
    ("Transfer-Encoding:\r\n chunked", "Content-Length: {size}"),
    ("Transfer-Encoding: chunked\x00", "Content-Length: {size}"),
]


def _ambiguous_lengths() -> Iterator[Case]:
    """What two servers could take for different lengths, with a request hidden behind the shorter one."""
    for headers in _LENGTHS:
        for method in ("POST", "GET"):
            for start in (b"0\r\n\r\n", b""):
                body = start + _HIDDEN
                path = _PATH if method == "POST" else "/projects"
                lines = [header.format(size=len(body)) for header in headers]
                head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *lines, "", ""])
                yield Case(name=f"{method} {lines} {start!r}", sent=head.encode("utf-8") + body)


_BROKEN_CHUNKS = [
    b"-1\r\nx\r\n",
    b"+1\r\nx\r\n",
    b"0x1\r\nx\r\n",
    b" 1\r\nx\r\n",
    b"1 \r\nx\r\n",
    b"1\nx\n",
    b"1\rx\r",
    b"\r\nx\r\n",
    b"g\r\nx\r\n",
    b"1\r\nxx\r\n",
    b"2\r\nx\r\n",
    b"1;\r\nx\r\n",
    b"1;a=\x00\r\nx\r\n",
    b"1;a\nb\r\nx\r\n",
    b"FFFFFFFFFFFFFFFFF\r\nx\r\n",
]
_ODD_CHUNKS = [
    b"1\r\nx",
    b"1;a=b\r\nx\r\n",
    b"1;" + b"a" * 70_000 + b"\r\nx\r\n",
    b"FFFFFFFFFFFFFFFF\r\nx\r\n",
    b"00000000000000000001\r\nx\r\n",
    b"1\r\nx\r\n0\r\nTrailer: y\r\n\r\n",
    b"1\r\nx\r\n0\r\n" + b"T: y\r\n" * 20_000 + b"\r\n",
]
_ASKED = [  # by those who read a body, and by those who answer without it: 200, 404, 401, 405
    ("POST", _PATH),
    ("GET", "/projects"),
    ("GET", "/no/such"),
    ("POST", "/no/such"),
    ("POST", "/admin/projects"),
    ("DELETE", "/projects"),
]


def _bad_chunks() -> Iterator[Case]:
    """What cannot be read of a body is refused, once: nothing else is answered."""
    for method, path in _ASKED:
        head = _head(f"{method} {path} HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked")
        for chunk in _BROKEN_CHUNKS:
            name = f"{method} {path} chunk {chunk[:30]!r}"
            yield Case(name=name, sent=head + chunk, at_least=1)
            yield Case(name=f"{name} and another request", sent=head + chunk + b"0\r\n\r\n" + _projects(), at_least=1)
        for chunk in _ODD_CHUNKS:
            name = f"{method} {path} chunk {chunk[:30]!r}"
            yield Case(name=name, sent=head + chunk)
            yield Case(name=f"{name} and another request", sent=head + chunk + b"0\r\n\r\n" + _projects(), at_most=2)


def _projects() -> bytes:
    return _head("GET /projects HTTP/1.1")


_HEADERS = [
    b"X" * 40_000 + b": y",
    b"X: " + b"y" * 40_000,
    b"X: " + b"y" * 400_000,
    b"\r\n".join([b"X: y"] * 20_000),
    b"\r\n".join([b"X%d: y" % number for number in range(5000)]),
    b"Cookie: " + b"a=b; " * 10_000,
    b"no colon",
    b": no name",
    b"",
    b"X y: z",
    b"X\x00: y",
    b"X: \x00",
    b"X: \x01\x02",
    b"X: \x7f",
    b"X: \xff\xfe",
    b"X\xff: y",
    b"X: y\r\n folded",
    b"X: y\r\n\tfolded",
    b"X: y\rZ: z",
    b"X: y\nZ: z",
    b"X(: y",
    b"X/: y",
    b"Host: y",
    b"Host: x\r\nHost: y",
    b"Host: \x00",
    b"Authorization: Bearer " + b"a" * 20_000,
    b"Authorization: Bearer \xff",
    b"Authorization: Basic Og==",
    b"Authorization: Bearer a\r\nAuthorization: Bearer b",
    b"Content-Type: application/json\r\nContent-Type: text/plain",
    b"Connection: close, keep-alive",
    b"Connection: Transfer-Encoding",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    b"Expect: 200-ok",
    b"Expect: 100-continue",
    b"If-None-Match: " + b'"a",' * 5000,
    b"If-None-Match: \xff",
    b"If-Match: *",
    b"Range: bytes=0-0," + b"1-1," * 1000,
    b"X-Request-ID: \xff",
    b"X-Request-ID: a b",
    b"X-Forwarded-For: \xff, 1.2.3.4",
    b"X-Forwarded-For: " + b"1.2.3.4, " * 2000,
    b"Accept-Encoding: \x80",
    b"Origin: \xff",
    b"Origin: null",
]


def _bad_heads() -> Iterator[Case]:
    for path in ("/projects", "/auth/me"):
        for header in _HEADERS:
            yield Case(name=f"{path} header {header[:40]!r}", sent=f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode() + header + b"\r\n\r\n")


_LINES = [
    b"GET /projects",
    b"GET /projects HTTP/0.9",
    b"GET /projects HTTP/1.2",
    b"GET /projects HTTP/2.0",
    b"GET /projects HTTP/9.9",
    b"GET /projects HTTP/11",
    b"GET /projects HTTP/1",
    b"GET /projects http/1.1",
    b"GET /projects HTTP/1.1 x",
    b"GET  /projects  HTTP/1.1",
    b"GET\t/projects\tHTTP/1.1",
    b" GET /projects HTTP/1.1",
    b"\x00GET /projects HTTP/1.1",
    b"get /projects HTTP/1.1",
    b"G\x00T /projects HTTP/1.1",
    b"BREW /projects HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"CONNECT x:443 HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"TRACE /projects HTTP/1.1",
    b"GET * HTTP/1.1",
    b"GET projects HTTP/1.1",
    b"GET  HTTP/1.1",
    b"GET http://x/projects HTTP/1.1",
    b"GET http://\xff/projects HTTP/1.1",
    b"GET //projects HTTP/1.1",
    b"GET /../projects HTTP/1.1",
    b"GET /%2e%2e/projects HTTP/1.1",
    b"GET /\\projects HTTP/1.1",
    b"GET /proj\x00ects HTTP/1.1",
    b"GET /proj\x80ects HTTP/1.1",
    b"GET /proj%00ects HTTP/1.1",
    b"GET /proj%ffects HTTP/1.1",
    b"GET /proj%c0%afects HTTP/1.1",
    b"GET /proj%ed%a0%80ects HTTP/1.1",
    b"GET /proj%zzects HTTP/1.1",
    b"GET /proj% HTTP/1.1",
    b"GET /proj%0d%0aects HTTP/1.1",
    b"GET /projects?%ff HTTP/1.1",
    b"GET /projects?\xff HTTP/1.1",
    b"GET /dark-data/resources?limit=%00 HTTP/1.1",
    b"GET /dark-data/resources?limit=1&limit=2 HTTP/1.1",
    b"GET /dark-data/resources?search=%ed%b0%80 HTTP/1.1",
    b"GET /dark-data/resources?cursor=%f0%9f%98%80 HTTP/1.1",
    b"GET /dark-data/resources/99999999999999999999 HTTP/1.1",
    b"GET /projects#fragment HTTP/1.1",
    b"GET /" + b"a" * 9_000 + b" HTTP/1.1",
    b"GET /" + b"a" * 70_000 + b" HTTP/1.1",
    b"GET /?" + b"a" * 70_000 + b" HTTP/1.1",
    b"A" * 70_000 + b" / HTTP/1.1",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\r\n\r\n\r\nGET /projects HTTP/1.1",
    b"SSH-2.0-OpenSSH_9.6",
    b"\xff" * 100,
]


def _bad_lines() -> Iterator[Case]:
    for line in _LINES:
        yield Case(name=f"line {line[:40]!r}", sent=line + b"\r\nHost: x\r\n\r\n")


_BODIES = [
    b"\xff",
    b'"\xff"',
    b'{"a": "\xc0\x80"}',
    b'{"a": "\xed\xa0\x80"}',
    b'{"a": "\xf4\x90\x80\x80"}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\u0000"}',
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": 1, "a": 2}',
    b"[" * 5000,
    b'{"a":' * 5000,
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"{}{}",
    b"{} x",
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"{'a': 1}",
    b'{"a": 01}',
    b'{"a": .1}',
    b'{"fingerprint": "reader-0001\\ud800", "field": "consent", "value": "accepted"}',
    b'{"fingerprint": "reader-0001", "field": "consent", "value": ' + b"[" * 40 + b"]" * 40 + b"}",
    b'{"fingerprint": ' + b'"x' * 10 + b"}",
]


def _bad_bodies() -> Iterator[Case]:
    for path in (_PATH, "/auth/login"):
        for body in _BODIES:
            head = _head(f"POST {path} HTTP/1.1", "Content-Type: application/json", f"Content-Length: {len(body)}")
            yield Case(name=f"{path} body {body[:30]!r}", sent=head + body)


def _pipelines() -> Iterator[Case]:
    for number in (2, 5, 20, 100):
        yield Case(name=f"{number} at once", sent=_projects() * number, at_most=number)
        yield Case(name=f"{number} and garbage", sent=_projects() * number + b"\x00garbage\r\n\r\n", at_most=number + 1)
        yield Case(name=f"{number}, the last to be closed", sent=_projects() * (number - 1) + _closing() + _HIDDEN, at_most=number)
        yield Case(name=f"{number} and a half", sent=_projects() * number + _projects()[:20], at_most=number)


def _closing() -> bytes:
    return _head("GET /projects HTTP/1.1", "Connection: close")
