"""Damage to the bytes of any file."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

Mutator = Callable[[bytes, Random], bytes]

ODD_NUMBERS = (0, 1, 2, 3, 7, 127, 128, 255, 1000, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF)
ODD_NUMBERS += (0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, -1, -2)


def bits(data: bytes, random: Random, end: int | None = None) -> bytes:
    result = bytearray(data)
    for _ in range(random.choice((1, 1, 3, 10, 40)) if result else 0):
        result[random.randrange(min(end or len(result), len(result)))] ^= 1 << random.randrange(
            8
        )
    return bytes(result)


def head_bits(data: bytes, random: Random) -> bytes:
    return bits(data, random, 200)


def _number(data: bytes, random: Random, end: int | None = None) -> bytes:
    size, order = random.choice((1, 2, 4, 8)), random.choice(("big", "little"))
    last = min(end or len(data), len(data)) - size
    if last <= 0:
        return data
    at = random.randrange(last)
    value = random.choice((*ODD_NUMBERS, random.getrandbits(64))) % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


def head_number(data: bytes, random: Random) -> bytes:
    return _number(data, random, 120)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    length = random.choice((1, 4, 16, 100, 1000, max(1, len(data) // 3)))
    return start, min(len(data), start + random.randint(1, length))


def _cut_out(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _doubled_span(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:end] + data[start:end] * random.choice((1, 1, 3)) + data[end:]


def _moved_span(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    rest = data[:start] + data[end:]
    at = random.randrange(len(rest) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _filled(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    filling = random.choice((b"\0", b"\xff", None))
    piece = random.randbytes(end - start) if filling is None else filling * (end - start)
    return data[:start] + piece + data[end:]


def _truncated(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _followed(data: bytes, random: Random) -> bytes:
    length = random.choice((1, 100, 5000))
    return data + random.choice((bytes(length), random.randbytes(length)))


def joined(data: bytes, other: bytes, random: Random) -> bytes:
    """Chain two files, so that streams appear late and clocks start anew, or mix them."""
    if random.random() < 0.6:
        return data + other
    at, end = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    return data[:at] + other[end:]


BYTES: list[Mutator] = [
    *(bits, bits, _number, _cut_out, _doubled_span, _moved_span, _filled),
    *(_truncated, _followed),
]
