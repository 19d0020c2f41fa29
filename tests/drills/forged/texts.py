"""Other texts than that of the token: cut, flipped, padded, overlong, or meant for something else."""

import base64
import json
import random
from collections.abc import Iterator

from tests.drills.forged.material import HEADER, Material, decoded, encoded, signed


def parts(material: Material, _: random.Random) -> Iterator[str]:
    head, payload, signature = material.parts
    pieces = (head, payload, signature, "", "e30", "W10", "a")
    yield from (f"{one}.{two}" for one in pieces for two in pieces)
    yield from (
        f"{one}.{two}.{three}" for one in pieces for two in pieces for three in pieces if (one, two, three) != (head, payload, signature)
    )
    for encryption in ("A128GCM", "A256GCM", "A128CBC-HS256"):
        for algorithm in ("dir", "A128KW", "RSA-OAEP", "PBES2-HS256+A128KW"):
            jwe = encoded(json.dumps({"alg": algorithm, "enc": encryption}).encode())
            yield f"{jwe}.{head}.{payload}.{signature}.{signature}"
            yield f"{jwe}..{head}.{payload}.{signature}"
    for count in (1, 2, 3, 4, 5, 6, 50, 900):
        yield "." * count
        yield f"{material.access}{'.' * count}"
        yield f"{'.' * count}{material.access}"
    yield json.dumps({"protected": head, "payload": payload, "signature": signature})
    yield json.dumps({"payload": payload, "signatures": [{"protected": head, "signature": signature}]})
    yield f"{head}:{payload}:{signature}"


def truncations(material: Material, _: random.Random) -> Iterator[str]:
    token = material.access
    yield from (token[:length] for length in range(1, len(token)))
    yield from (token[length:] for length in range(1, len(token), 7))
    yield from (token + tail for tail in ("a", "A", "-", "_", "==", "%", "a" * 4, material.parts[2]))


def flips(material: Material, chance: random.Random) -> Iterator[str]:
    for number, part in enumerate(material.parts):
        raw = decoded(part)
        bits = range(len(raw) * 8)
        for bit in sorted(chance.sample(bits, min(len(bits), 260))):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << (bit % 8)
            yield ".".join([*material.parts[:number], encoded(bytes(flipped)), *material.parts[number + 1 :]])
    for _ in range(200):  # in the text itself
        at = chance.randrange(len(material.access))
        letter = chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        yield material.access[:at] + letter + material.access[at + 1 :]


def malleable(material: Material, chance: random.Random) -> Iterator[str]:
    """Other texts for the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for number, part in enumerate(material.parts):
        others = [part + padding for padding in ("=", "==", "===", "====", "%3D", "=\t=")]
        others += [part.replace("-", "+").replace("_", "/"), part.swapcase(), part[:-1] + part[-1].swapcase()]
        place = alphabet.index(part[-1])
        others += [part[:-1] + alphabet[place ^ bits] for bits in range(1, 16)]  # bits past the last byte, where there are some
        for junk in ("!", "~", "*", "$", "@", "\t", " ", "(", "\\", '"', "=", "é", "\xa0"):
            at = chance.randrange(1, len(part))
            others += [part[:at] + junk + part[at:], part + junk, junk + part]
        yield from (".".join([*material.parts[:number], other, *material.parts[number + 1 :]]) for other in others)


def unicode(material: Material, _: random.Random) -> Iterator[str]:
    token = material.access
    yield from (token.replace(".", dot) for dot in ("。", "．", "․", "\u2024", "\u0660", "·"))
    yield "".join(chr(ord(letter) + 0xFEE0) for letter in token)
    for mark in ("\u200b", "\ufeff", "\u202e", "\u0301", "\u00ad", "\U0001f986", "\u2028", "\x85", "\xa0", "\u3000", "\u00ff"):
        yield from (mark + token, token + mark, token[:20] + mark + token[20:], mark, mark * 300)
    yield from ("ａｄｍｉｎ", "ключ", "鍵", "مفتاح", "𝓉𝑜𝓀𝑒𝓃", "é" * 1000)


def sizes(material: Material, chance: random.Random) -> Iterator[str]:
    sizes = (1, 2, 3, 42, 43, 72, 255, 256, 1023, 1024, 1025, 2048, 4096, 8192, 16384, 30000)
    for size in sizes:
        yield "a" * size
        yield "." * (size - 1) + "a"
        yield f"{material.parts[0]}.{'A' * size}.{material.parts[2]}"
        yield f"{'A' * size}.{material.parts[1]}.{material.parts[2]}"
        yield f"{material.parts[0]}.{material.parts[1]}.{'A' * size}"
        yield f"cs_{'a' * size}"
        yield encoded(chance.randbytes(size))[:30000]
        if size <= 20000:
            yield signed(HEADER, material.claims | {"pad": "x" * size}, material.key)
            yield signed(HEADER | {"pad": "x" * size}, material.claims, material.key)


def confusion(material: Material, chance: random.Random) -> Iterator[str | tuple[str, str]]:
    for text in material.texts.values():
        yield from (text, f"cs_{text}", f"{text}.{text}.{text}", text.swapcase())
        yield signed(HEADER, material.claims | {"jti": f"{text}\n"}, text.encode())
        yield from ((scheme, text) for scheme in ("Basic", "Token", "Digest", "JWT"))
    yield from (
        "cs_",
        "cs",
        "cs_ ",
        "CS_" + "a" * 43,
        "cs_" + "a" * 43,
        f"cs_{material.access}",
        "null",
        "undefined",
        "None",
        "true",
        "0",
        "[object Object]",
    )
    yield from (f"cs_{encoded(chance.randbytes(32))}" for _ in range(50))
    yield from (encoded(chance.randbytes(32)) for _ in range(25))
    yield from (encoded(chance.randbytes(54)) for _ in range(25))
    yield from (
        f"Bearer {material.access}",
        f"{material.access} {material.access}",
        f"{material.access},{material.access}",
        f'"{material.access}"',
        f"token={material.access}",
    )
    for scheme in ("Basic", "Digest", "Token", "JWT", "Bearer:", "Bearer,", "BearerBearer", "OAuth", "Negotiate", "Bearer\t", "Bearér"):
        yield scheme, material.access
    yield "Basic", base64.b64encode(b"admin:admin").decode()
