"""Ways to damage a file: of bytes, of texts, of JSON, and of the header of a safetensors file. All random by a given source."""

from __future__ import annotations

import codecs
import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from random import Random
from typing import Any

SNIPPETS = (
    *(b"\x00", b"\xff\xfe", codecs.BOM_UTF8, b"\r\n", b"\n", b'"', b"'", b",", b"\t", b"\\", b"{", b"}", b"[" * 3000, b"\xc3"),
    *(b"\x80\x04\x95", b"PK\x03\x04", b"NaN", b"-1", b"9" * 30, b"1e999", b"null", b'""', b"\xed\xa0\x80", b"\\ud83d", b"= "),
    *(b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com/spec/v1\n", b"A" * 5000, b"," * 20_000, b"\x1b[31m", b"[/]"),
)
NUMBERS = (0, 1, 2, 7, 127, 128, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**48, 2**63 - 1, 2**63, 2**64 - 1)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 3, 5, 255, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "0", "topic", "../../x", "a.b", "\x00", "\x1b[2J[/]", "model.safetensors", "F32", "I8", "BF16", "C64", "gelu"),
    *([], {}, [[]], [0], [-1], ["x", "x"], {"a": {}}, "long " * 2000, ["one"] * 3000),
    *("cls", "dot", "left", "query", "[CLS]", "<s>", "BertTokenizer", "RobertaTokenizerFast", "PreTrainedTokenizerFast"),
    *({"content": "x", "special": True}, {"query": "q: "}, {"method": "forward"}, 32, 64, 10**6, "yes", "|", "regression"),
)


def damaged(content: bytes, random: Random) -> bytes:
    """Bytes with one to three things done to them."""
    for _ in range(random.choice((1, 1, 2, 3))):
        content = random.choice(CHANGES)(content, random)
    return content


def flip(content: bytes, random: Random) -> bytes:
    made = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8, 64)) if made else 0):
        made[random.randrange(len(made))] ^= 1 << random.randrange(8)
    return bytes(made)


def cut(content: bytes, random: Random) -> bytes:
    offset = random.choice((0, 1, 7, 8, len(content) // 2, len(content) - 1, random.randint(0, len(content))))
    return content[:offset] if random.random() < 0.8 else content[offset:]


def remove(content: bytes, random: Random) -> bytes:
    start, stop = part(content, random)
    return content[:start] + content[stop:]


def repeat(content: bytes, random: Random) -> bytes:
    start, stop = part(content, random)
    return content[:stop] + content[start:stop] * random.choice((1, 1, 3, 40)) + content[stop:]


def swap(content: bytes, random: Random) -> bytes:
    first, second = sorted((part(content, random), part(content, random)))
    if first[1] > second[0]:
        return content
    one, other = content[slice(*first)], content[slice(*second)]
    return content[: first[0]] + other + content[first[1] : second[0]] + one + content[second[1] :]


def insert(content: bytes, random: Random) -> bytes:
    offset = random.choice((0, len(content), random.randint(0, len(content))))
    return content[:offset] + random.choice((*SNIPPETS, random.randbytes(random.randint(1, 40)))) + content[offset:]


def number(content: bytes, random: Random) -> bytes:
    """Overwrites bytes with a number, as a length or an offset is stored."""
    width, offset = random.choice((1, 2, 4, 8)), random.choice((0, 8, max(0, len(content) - 8), random.randint(0, len(content))))
    value = random.choice((*NUMBERS, len(content), random.randrange(2**16))) % 2 ** (8 * width)
    return content[:offset] + value.to_bytes(width, random.choice(("little", "big"))) + content[offset + width :]


def recode(content: bytes, random: Random) -> bytes:
    """The same text in another encoding, which may or may not hold it."""
    text = content.decode("utf-8", "surrogateescape")
    names = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "utf-7", "cp1252")
    return (text.replace("e", "é") if random.random() < 0.5 else text).encode(random.choice(names), "replace")


def part(content: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(content))
    return start, min(len(content), start + random.choice((1, 2, 8, 100, 1000)))


CHANGES: tuple[Callable[[bytes, Random], bytes], ...] = (flip, flip, cut, remove, repeat, swap, insert, insert, number, recode)


def damaged_json(content: bytes, random: Random) -> bytes:
    """JSON that still is JSON, with values, keys or places changed."""
    value = json.loads(content)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        value = changed(value, random)
    return json.dumps(value).encode()


def changed(value: Any, random: Random) -> Any:
    """A JSON value with one change somewhere in it, near the top more often than in the depth."""
    if not isinstance(value, (dict, list)) or not value or random.random() < 0.05:
        return nearby(value, random)
    key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
    action = random.random()
    if action < 0.1:
        del value[key]
    elif action < 0.15 and isinstance(value, dict):
        value[random.choice(("", key + "x", "__metadata__", "format"))] = value.pop(key)
    elif action < 0.2 and isinstance(value, list):
        value.insert(key, value[random.randrange(len(value))])
    elif action < 0.25:
        value[key] = [value[key]]
    elif action < 0.35:
        value[key] = nearby(value[key], random)
    else:
        value[key] = changed(value[key], random)
    return value


def nearby(value: Any, random: Random) -> Any:
    """Another value instead of this one."""
    if isinstance(value, int) and not isinstance(value, bool) and random.random() < 0.5:
        return random.choice((value + 1, value - 1, value * 2, -value, float(value), str(value), value * 10**6))
    return deepcopy(random.choice(VALUES))  # as what is put in may be changed next


def damaged_safetensors(content: bytes, random: Random) -> bytes:
    """A safetensors file whose header is another, mostly with a length that fits it."""
    size = int.from_bytes(content[:8], "little")
    header, data = content[8 : 8 + size], content[8 + size :]
    if random.random() < 0.25:  # numbers alone, which no length tells
        return content[: 8 + size] + flip(data, random)
    header = damaged_json(header, random) if random.random() < 0.8 else damaged(header, random)
    header += b" " * (-len(header) % 8)
    length = len(header) if random.random() < 0.9 else random.choice(NUMBERS)
    return length.to_bytes(8, "little") + header + (data if random.random() < 0.8 else damaged(data, random))


def damage(name: str, content: bytes, random: Random) -> bytes:
    """A file damaged in one of the ways that its name allows."""
    plain = random.random() < 0.35
    if name.endswith(".gz") and not plain:
        return gzip.compress(damage(name.removesuffix(".gz"), gzip.decompress(content), random), mtime=0)
    if name.endswith(".json") and not plain:
        return damaged_json(content, random)
    if name.endswith(".safetensors") and not plain:
        return damaged_safetensors(content, random)
    if name.endswith(".jsonl") and not plain:
        lines = content.splitlines()
        index = random.randrange(len(lines))
        lines[index] = damaged_json(lines[index], random)
        return b"\n".join(lines) + b"\n"
    return damaged(content, random)
