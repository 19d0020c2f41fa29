"""Claims, numbers, nests and encodings, signed with the right key."""

import json
import random
from collections.abc import Iterator
from typing import Any

from tests.drills.forged.material import HEADER, Material, encoded, signed

_TYPES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    1.5,
    "",
    " ",
    "null",
    "x",
    [],
    [[]],
    {},
    {"a": 1},
    ["x"],
    "\x00",
    "\ud800",
    "é" * 20,
    2**64,
)


def of_claims(material: Material, _: random.Random) -> Iterator[str]:
    claims = material.claims
    now, expires = claims["iat"], claims["exp"]
    numbers: tuple[Any, ...] = (float("nan"), float("inf"), float("-inf"), 1e308, 2**53, 2**63, 10**30, 10**300, -(2**63), -(10**30), 1e-9)
    own: dict[str, list[Any]] = {
        "exp": [*numbers, now, now - 1, float(expires), str(expires), [expires], {"exp": expires}, expires + 10**9, expires + 3600],
        "iat": [*numbers, expires, expires + 3600, now + 3600, float(now), str(now), [now], -now, now - 10**9, 0],
        "iss": [*_near("complex-stories"), "complex-stories-api"],
        "aud": [*_near("complex-stories-api"), ["x", "complex-stories-api"], "complex-stories"],
        "typ": [*_near("access"), "refresh", "id", "setup", "JWT"],
        "jti": [*_near(claims["jti"])[1:], 16, "a" * 15, "a" * 17, "a" * 400],
        "sub": _subjects(claims["sub"]),
        "sid": _sessions(claims["sid"]),
    }
    for name in claims:
        yield signed(HEADER, {other: value for other, value in claims.items() if other != name}, material.key)
        yield signed(
            HEADER, {other: value for other, value in claims.items() if other != name} | {name.upper(): claims[name]}, material.key
        )
        for value in (*_TYPES, *own[name]):
            yield signed(HEADER, claims | {name: value}, material.key)
    additions: tuple[dict[str, Any], ...] = (
        {"nbf": now + 3600},
        {"role": "admin"},
        {"scope": "write"},
        {"cnf": {}},
        {"act": {"sub": "1"}},
        {"": 0},
        {"__proto__": {}},
    )
    yield from (signed(HEADER, claims | addition, material.key) for addition in additions)


def _near(text: str) -> list[Any]:
    """What a careless comparison takes for this."""
    return [text.upper(), f"{text} ", f" {text}", f"{text}\n", f"{text}\x00", [text], {text: 1}, text[:-1], f"{text}\u200b"]


def _subjects(sub: str) -> list[Any]:
    """What a careless reader of numbers takes for this user, and users that are not."""
    alike = [int(sub), float(sub), [sub], {"id": sub}, f"+{sub}", f" {sub}", f"{sub} ", f"0{sub}", f"{sub}.0", f"{sub}e0", f"{sub}\n"]
    alike += ["".join(chr(ord(digit) - 48 + zero) for digit in sub) for zero in (0xFF10, 0x660, 0x966)]
    return [*alike, f"-{sub}", f"{sub}_0", "0", "-0", str(int(sub) + 1), str(2**63), "9" * 300, "admin", f"{sub}' OR '1'='1", f"0x{sub}"]


def _sessions(sid: str) -> list[Any]:
    """What a careless reader of UUIDs takes for this session, and sessions that are not."""
    plain = sid.replace("-", "")
    alike = [sid.upper(), plain, f"{{{sid}}}", f"urn:uuid:{sid}", f" {sid}", f"{sid} ", f"{sid}\n", [sid], int(plain, 16)]
    return [*alike, "0" * 32, "00000000-0000-0000-0000-000000000000", sid[:-1], f"{sid}0", sid[:-1] + ("1" if sid[-1] == "0" else "0")]


def duplicates(material: Material, _: random.Random) -> Iterator[str]:
    claims = material.claims
    inner = json.dumps(claims, separators=(",", ":"))[1:-1]
    for name, value in claims.items():
        for other in (value, None, "x", 0):
            again = f"{json.dumps(name)}:{json.dumps(other)}"
            for text in (f"{{{inner},{again}}}", f"{{{again},{inner}}}"):
                yield signed(HEADER, text.encode(), material.key)
        escaped = f'"\\u{ord(name[0]):04x}{name[1:]}":{json.dumps(value)}'
        yield signed(HEADER, f"{{{escaped},{inner}}}".encode(), material.key)
    for raw in (
        b'{"alg":"none","alg":"HS256","typ":"JWT"}',
        b'{"alg":"HS256","alg":"none","typ":"JWT"}',
        b'{"alg":"HS256","typ":"JWT","alg":"HS256"}',
    ):
        yield signed(raw, claims, material.key)


def numbers(material: Material, _: random.Random) -> Iterator[str]:
    claims = material.claims
    literals = (
        "1e999",
        "-1e999",
        "1E400",
        "NaN",
        "Infinity",
        "-Infinity",
        "9" * 300,
        "-" + "9" * 300,
        "01",
        "0x7fffffff",
        "1.",
        ".5",
        "+1",
        "1_000",
        "--1",
        "1e",
        "- 1",
        "9" * 4400,
    )
    for name in ("exp", "iat"):
        for literal in (*literals, f"{claims[name]}.0", f"{claims[name]}e0", f"{claims[name]}.000000000000000000001", f"0{claims[name]}"):
            text = json.dumps(claims | {name: "@"}, separators=(",", ":")).replace('"@"', literal)
            yield signed(HEADER, text.encode(), material.key)


def nesting(material: Material, _: random.Random) -> Iterator[str]:
    claims = material.claims
    for depth in (1, 2, 10, 32, 33, 100, 200, 300, 1000, 3000):
        for opening, closing in (("[", "]"), ('{"a":', "}"), ("[[", "]]")):
            nest = opening * depth + "0" + closing * depth
            for text in (nest, f'{{"sub":{nest}}}', opening * depth):
                yield signed(HEADER, text.encode(), material.key)
                yield signed(text.encode(), claims, material.key)
    yield signed(HEADER, json.dumps(material.access).encode(), material.key)
    yield signed(HEADER | {"cty": "JWT"}, material.access.encode(), material.key)
    yield encoded(material.access.encode())
    yield f"{material.access}.{material.access}"
    for scalar in (
        b"",
        b"null",
        b"true",
        b"0",
        b'""',
        b"[]",
        b"{}",
        b'"x"',
        b"[{}]",
        b"{",
        b"}",
        b"\x00",
        b"//",
        b"{'sub': '1'}",
        b"<xml/>",
    ):
        yield signed(HEADER, scalar, material.key)
        yield signed(scalar, claims, material.key)


def encodings(material: Material, _: random.Random) -> Iterator[str]:
    text = json.dumps(material.claims, separators=(",", ":"))
    for codec in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp037"):
        yield signed(HEADER, text.encode(codec), material.key)
    for tail in ("\xff", "\xc0\xaf", "\xed\xa0\x80", "\x00", "{}", ",", "]", "\x1a"):
        yield signed(HEADER, text.encode() + tail.encode("latin-1"), material.key)
    for head in (b"\xef\xbb\xbf", b"\x00", b"\xff\xfe", b"/**/", b")]}'\n"):
        yield signed(HEADER, head + text.encode(), material.key)
    yield signed(HEADER, text.replace('"access"', '"acc\\ud800ess"').encode(), material.key)
    yield signed(HEADER, text.replace('"access"', "'access'").encode(), material.key)
    yield signed(HEADER, text.replace("}", ",}").encode(), material.key)
