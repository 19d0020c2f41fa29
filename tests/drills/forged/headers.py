"""Algorithms, keys and headers that are not the service's own."""

import hashlib
import hmac
import json
import random
import zlib
from collections.abc import Iterator
from typing import Any

from tests.drills.forged.material import HASHES, HEADER, Material, encoded, signed

ALGORITHMS: tuple[Any, ...] = (
    *("none", "None", "NONE", "nOnE", "none ", "", "hs256", "Hs256", "HS256 ", " HS256", "HS256\x00", "HS25６", "HS1", "HS384", "HS512"),
    *(
        "RS256",
        "RS384",
        "RS512",
        "PS256",
        "PS512",
        "ES256",
        "ES384",
        "ES512",
        "ES256K",
        "EdDSA",
        "dir",
        "A128KW",
        "RSA-OAEP",
        "PBES2-HS256+A128KW",
    ),
    *(None, True, False, 0, 256, 1.5, [], ["HS256"], {}, {"alg": "HS256"}),
)
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""


def algorithms(material: Material, chance: random.Random) -> Iterator[str]:
    claims = material.claims
    for algorithm in ALGORITHMS:
        header = {"alg": algorithm, "typ": "JWT"}
        for by in HASHES:
            yield signed(header, claims, material.key, by=by)
        unsigned = signed(header, claims, material.key).rpartition(".")[0]
        yield unsigned
        yield f"{unsigned}."
        yield f"{unsigned}.{material.parts[2]}"
        yield f"{unsigned}.{encoded(chance.randbytes(64))}"
        yield signed(header, claims, PUBLIC_KEY.encode())
    yield signed({"typ": "JWT"}, claims, material.key)
    yield signed({}, claims, material.key)


def keys(material: Material, chance: random.Random) -> Iterator[str]:
    head, payload, signature = material.parts
    right = material.key
    wrong = [b"", b"\0", b"secret", b"key", b"null", b"None", b"0" * 32, b"0" * 64, b"complex-stories", b"complex-stories-api", b"HS256"]
    wrong += [
        material.secret,
        material.secret.hex().encode(),
        bytes.fromhex(right.decode()),
        right.upper(),
        right[:-1],
        right[:32],
        right[::-1],
    ]
    wrong += [
        right + b"\0" * 65,
        right + b"\n",
        hashlib.sha256(material.secret).digest(),
        hashlib.sha256(material.secret).hexdigest().encode(),
    ]
    for purpose in (b"refresh", b"", b"Access", b"access ", b"api", b"id"):
        derived = hmac.digest(material.secret, b"complex-stories:" + purpose, "sha256")
        wrong += [derived, derived.hex().encode()]
    wrong += [
        part.encode() for part in (head, payload, signature, material.access, PUBLIC_KEY, material.claims["sid"], material.claims["jti"])
    ]
    wrong += [text.encode() for text in material.texts.values()]
    wrong += [chance.randbytes(size) for size in (1, 16, 31, 32, 33, 64, 65, 128)]
    for key in wrong:
        for by in HASHES:
            yield signed({"alg": by, "typ": "JWT"}, material.claims, key, by=by)


def of_headers(material: Material, _: random.Random) -> Iterator[str]:
    jwk = {"kty": "oct", "k": encoded(b"forged" * 8), "alg": "HS256"}
    extra: dict[str, tuple[Any, ...]] = {
        "crit": (["exp"], ["b64"], ["x"], [], "exp", None, True, 0, {}),
        "kid": ("../../../../dev/null", "/dev/null", "' UNION SELECT ''--", "0", "", 0, None, ["a"], {"a": 1}, "http://127.0.0.1:1/"),
        "jku": ("http://127.0.0.1:1/keys", "file:///etc/passwd", "", None),
        "x5u": ("http://127.0.0.1:1/cert", "file:///etc/passwd", "", None),
        "jwk": (jwk, [jwk], json.dumps(jwk), None),
        "x5c": ([], ["MIIB"], None),
        "b64": (False, True, None, "false"),
        "zip": ("DEF", "GZ", None),
        "enc": ("A128GCM", "A256CBC-HS512", None),
        "cty": ("JWT", "application/json"),
        "typ": ("jwt", "at+jwt", "JWE", "refresh", "", None, 0, ["JWT"]),
        "epk": (jwk,),
        "p2c": (2**31, 10**9),
        "alg ": ("none",),
        "Alg": ("none",),
    }
    for name, values in extra.items():
        for value in values:
            for key in (material.key, b"forged" * 8):
                yield signed(HEADER | {name: value}, material.claims, key)
    for raw in (
        b'{"typ":"JWT","alg":"HS256"}',
        b'{"alg":"HS256"}',
        b'{"alg": "HS256", "typ": "JWT"}',
        b'{"alg":"HS256","typ":"JWT"}\n',
        b'{"alg":"HS\\u0032\\u0035\\u0036","typ":"JWT"}',
    ):
        yield signed(raw, material.claims, material.key)
    compressed = zlib.compress(json.dumps(material.claims).encode())
    yield signed(HEADER | {"zip": "DEF"}, compressed, material.key)
    yield signed(HEADER, compressed, material.key)
    unencoded = (
        f"{encoded(json.dumps(HEADER | {'b64': False, 'crit': ['b64']}).encode())}.{json.dumps(material.claims, separators=(',', ':'))}"
    )
    yield f"{unencoded}.{encoded(hmac.digest(material.key, unencoded.encode(), 'sha256'))}"
