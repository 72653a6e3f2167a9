"""Damage to the parts of containers: boxes, chunks, packets, and the numbers in them."""

from __future__ import annotations

from random import Random
from typing import Any

from ..layouts import layout_of, mended
from .raw import ODD_NUMBERS, Mutator


def _part_doubled(data: bytes, random: Random) -> bytes:
    part = random.choice(layout_of(data).parts)
    piece = data[part.start : part.end] * random.choice((1, 1, 2, 50))
    return mended(data[: part.end] + piece[: 4 * len(data)] + data[part.end :])


def _part_dropped(data: bytes, random: Random) -> bytes:
    part = random.choice(layout_of(data).parts)
    return mended(data[: part.start] + data[part.end :])


def _parts_dropped(data: bytes, random: Random) -> bytes:
    """Drop many parts, so that what begins the streams may be gone or come late."""
    fraction, kept, at = random.choice((0.05, 0.2, 0.5)), [], 0
    for part in layout_of(data).parts:
        if part.start >= at and random.random() < fraction:
            kept.append(data[at : part.start])
            at = part.end
    return mended(b"".join([*kept, data[at:]]))


def _part_moved(data: bytes, random: Random) -> bytes:
    parts = layout_of(data).parts
    part, place = random.choice(parts), random.choice(parts)
    piece, at = data[part.start : part.end], random.choice((place.start, place.end))
    if part.start < at < part.end:
        return mended(data[:at] + piece + data[at:])
    first, second = data[:at], data[at:]
    if at <= part.start:
        second = data[at : part.start] + data[part.end :]
    else:
        first = data[: part.start] + data[part.end : at]
    return mended(first + piece + second)


def _part_cut(data: bytes, random: Random) -> bytes:
    part = random.choice(layout_of(data).parts)
    return mended(data[: random.randint(part.start, part.end)] + data[part.end :])


def _length(data: bytes, random: Random) -> bytes:
    lengths = [part.length for part in layout_of(data).parts if part.length]
    return _changed(data, random, lengths)


def _clock(data: bytes, random: Random) -> bytes:
    found = layout_of(data)
    return _changed(data, random, found.clocks or found.numbers)


def _clocks_moved(data: bytes, random: Random) -> bytes:
    """Move all clocks from some place on, by one amount: a jump, or a start far away."""
    result = bytearray(data)
    amount = random.choice((1, -1)) * random.choice((1000, 90_000, 10**6, 90_000 * 7200, 2**31))
    start = random.choice((0, random.randrange(len(data) + 1)))
    step = random.choice((1, 1, 2))
    for number in [one for one in layout_of(data).clocks if one.start >= start][::step]:
        number.write(result, number.read(result) + amount)
    return mended(bytes(result))


def _other_number(data: bytes, random: Random) -> bytes:
    found = layout_of(data)
    return _changed(data, random, found.numbers or found.clocks)


def _changed(data: bytes, random: Random, numbers: list[Any]) -> bytes:
    if not numbers:
        return data
    result = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        number = random.choice(numbers)
        old = number.read(result)
        values = (*ODD_NUMBERS, old + 1, old - 1, old * 2, old * 1000, old // 2, -old)
        number.write(result, random.choice((*values, random.getrandbits(8 * number.size))))
    return mended(bytes(result))


PARTS: list[Mutator] = [
    *(_part_doubled, _part_dropped, _parts_dropped, _part_moved, _part_cut, _length),
    *(_clock, _clock, _clock, _clocks_moved, _other_number, _other_number),
]
