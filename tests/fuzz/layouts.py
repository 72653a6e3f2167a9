"""Where the parts of a container lie, and the numbers in it: as much as mutators need.

Nothing here reads media; it finds what can be moved about in a whole file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["Layout", "Number", "Part", "layout_of", "mended"]


@dataclass(frozen=True)
class Part:
    """A box, element, chunk, tag, page or packet: [start, end), with its length field."""

    start: int
    end: int
    length: Number | None = None


@dataclass(frozen=True)
class Number:
    """A number in the file: a length, a clock, a rate, a count.

    Parameters
    ----------
    start, size : int
        Where it lies, in bytes.
    order : str
        ``"big"``, ``"little"``, or ``"clock"`` for the 33 bits of an MPEG time stamp.
    """

    start: int
    size: int
    order: str = "big"

    def read(self, data: bytes | bytearray) -> int:
        raw = data[self.start : self.start + self.size]
        if self.order == "clock":
            return (
                (raw[0] >> 1 & 7) << 30
                | raw[1] << 22
                | (raw[2] >> 1) << 15
                | raw[3] << 7
                | raw[4] >> 1
            )
        return int.from_bytes(raw, self.order)

    def write(self, data: bytearray, value: int) -> None:
        if self.order == "clock":
            raw = bytes(
                (
                    data[self.start] & 0xF0 | (value >> 30 & 7) << 1 | 1,
                    value >> 22 & 255,
                    (value >> 15 & 127) << 1 | 1,
                    value >> 7 & 255,
                    (value & 127) << 1 | 1,
                )
            )
        else:
            raw = (value % (1 << 8 * self.size)).to_bytes(self.size, self.order)
        data[self.start : self.start + self.size] = raw


@dataclass
class Layout:
    """Parts that can be moved about, and numbers: clocks and rates, or any others."""

    parts: list[Part] = field(default_factory=list)
    clocks: list[Number] = field(default_factory=list)
    numbers: list[Number] = field(default_factory=list)


def layout_of(data: bytes) -> Layout:
    """Find the parts of a file by what it begins with; none in formats without parts."""
    found = Layout()
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"styp", b"wide"):
        _boxes(data, 0, len(data), found)
    elif data[:4] == b"\x1aE\xdf\xa3":
        _elements(data, 0, len(data), found)
    elif data[:4] == b"RIFF":
        _chunks(data, 0, len(data), found)
    elif data[:3] == b"FLV":
        _tags(data, found)
    elif data[:4] == b"OggS":
        _pages(data, found)
    elif data[:1] == b"G" and data[188:189] == b"G":
        _packets(data, 188, 0, found)
    elif data[4:5] == b"G" and data[196:197] == b"G":
        _packets(data, 192, 4, found)
    elif data[:3] == b"\0\0\1":
        _start_codes(data, found)
    elif data[:4] == b"\x30\x26\xb2\x75":
        _objects(data, found)
    elif data[:4] == b"\x06\x0e\x2b\x34":
        _klv(data, found)
    return found


BOXES_OF_BOXES = frozenset(
    b"moov trak mdia minf stbl edts udta mvex moof traf dinf tref".split()
)
CLOCK_BOXES = frozenset(
    b"mvhd tkhd mdhd elst stts ctts tfdt trun tfhd mehd sidx stsd trex".split()
)
SIZE_BOXES = frozenset(b"stsz stsc stco co64 hdlr dref stss stz2".split())


def _boxes(data: bytes, start: int, end: int, found: Layout) -> None:
    while start + 8 <= end:
        size = int.from_bytes(data[start : start + 4], "big")
        kind = data[start + 4 : start + 8]
        stop = end if size == 0 else start + size
        if size == 1 or not start + 8 <= stop <= end:
            return
        found.parts.append(Part(start, stop, Number(start, 4)))
        if kind in BOXES_OF_BOXES:
            _boxes(data, start + 8, stop, found)
        elif kind in CLOCK_BOXES | SIZE_BOXES:
            words = [Number(at, 4) for at in range(start + 8, stop - 3, 4)]
            (found.clocks if kind in CLOCK_BOXES else found.numbers).extend(words)
        start = stop


MASTERS = frozenset(
    bytes.fromhex(name)
    for name in [
        "18538067",
        "1549a966",
        "1654ae6b",
        "ae",
        "e0",
        "e1",
        "1f43b675",
        "a0",
        "1c53bb6b",
        "bb",
        "b7",
    ]
)
# Scale, duration, rates, codec delay, seek preroll, default duration, cluster and block times.
CLOCK_ELEMENTS = frozenset(
    bytes.fromhex(name)
    for name in [
        "2ad7b1",
        "4489",
        "b5",
        "78b5",
        "56aa",
        "56bb",
        "23e383",
        "e7",
        "9b",
        "fb",
        "b3",
        "9f",
        "b0",
        "ba",
        "d7",
        "83",
    ]
)
BLOCKS = frozenset((b"\xa3", b"\xa1"))


def _elements(data: bytes, start: int, end: int, found: Layout) -> None:
    while start < end:
        id_size = 9 - data[start].bit_length()
        at = start + id_size
        if id_size > 4 or at >= end:
            return
        length_size = 9 - data[at].bit_length()
        if length_size > 8 or at + length_size > end:
            return
        size = int.from_bytes(data[at : at + length_size], "big") - (1 << 7 * length_size)
        body = at + length_size
        unknown = size == (1 << 7 * length_size) - 1
        stop = end if unknown else body + size
        if stop > end:
            return
        kind = data[start:at]
        found.parts.append(Part(start, stop, Number(at, length_size)))
        if kind in MASTERS:
            _elements(data, body, stop, found)
        elif kind in CLOCK_ELEMENTS and 1 <= size <= 8:
            found.clocks.append(Number(body, size))
        elif kind in BLOCKS and size > 4:
            found.clocks.append(Number(body + 1, 2))
        elif 1 <= size <= 8:
            found.numbers.append(Number(body, size))
        start = stop


def _chunks(data: bytes, start: int, end: int, found: Layout) -> None:
    while start + 8 <= end:
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        stop = min(start + 8 + size + size % 2, end)
        kind = data[start : start + 4]
        found.parts.append(Part(start, stop, Number(start + 4, 4, "little")))
        if kind in (b"RIFF", b"LIST"):
            _chunks(data, start + 12, stop, found)
        elif kind in (b"fmt ", b"strh", b"avih", b"strf", b"ds64", b"fact"):
            found.clocks += [Number(at, 4, "little") for at in range(start + 8, stop - 3, 4)]
            found.numbers += [Number(at, 2, "little") for at in range(start + 8, stop - 1, 2)]
        elif kind == b"idx1":
            found.numbers += [Number(at, 4, "little") for at in range(start + 8, stop - 3, 4)]
        start = stop


def _tags(data: bytes, found: Layout) -> None:
    start = 13
    while start + 15 <= len(data):
        stop = start + 15 + int.from_bytes(data[start + 1 : start + 4], "big")
        if stop > len(data):
            return
        found.parts.append(Part(start, stop, Number(start + 1, 3)))
        # The time in milliseconds, then its highest byte; kind, codec, offset of the picture.
        found.clocks += [Number(start + 4, 3), Number(start + 7, 1)]
        found.numbers += [Number(start, 1), Number(start + 11, 1), Number(start + 12, 4)]
        start = stop


def _pages(data: bytes, found: Layout) -> None:
    start = data.find(b"OggS")
    while start >= 0:
        following = data.find(b"OggS", start + 4)
        stop = following if following >= 0 else len(data)
        found.parts.append(Part(start, stop, Number(start + 26, 1)))
        found.clocks.append(Number(start + 6, 8, "little"))
        found.numbers += [Number(start + 5, 1), Number(start + 14, 4, "little")]
        if b"Head" in data[start:stop] or b"fLaC" in data[start:stop]:
            head = start + 27 + data[start + 26]
            found.numbers += [Number(at, 1) for at in range(head + 8, min(stop, head + 40))]
        start = following


def _packets(data: bytes, size: int, lead: int, found: Layout) -> None:
    for start in range(0, len(data) - size + 1, size):
        packet = start + lead
        found.parts.append(Part(start, start + size))
        found.numbers.append(Number(packet + 1, 2))  # the stream that it belongs to
        flags = data[packet + 3]
        body = packet + 4
        if flags & 0x20:
            if data[body] >= 7 and data[body + 1] & 0x10:
                found.clocks.append(Number(body + 2, 4))  # the reference of all clocks
            body += 1 + data[body]
        if data[packet + 1] & 0x40 and flags & 0x10:
            if data[body : body + 3] == b"\0\0\1":
                _stamps(data, body, found)
            else:  # a table of programmes or streams
                found.numbers += [Number(at, 1) for at in range(body + 1, body + 24)]


def _stamps(data: bytes, start: int, found: Layout) -> None:
    """Note the time stamps of a packetised elementary stream."""
    if start + 19 <= len(data) and data[start + 6] & 0xC0 == 0x80:
        if data[start + 7] & 0x80:
            found.clocks.append(Number(start + 9, 5, "clock"))
        if data[start + 7] & 0x40:
            found.clocks.append(Number(start + 14, 5, "clock"))


def _start_codes(data: bytes, found: Layout) -> None:
    places = [at for at in _all(data, b"\0\0\1") if at + 3 < len(data) and data[at + 3] >= 0xB9]
    for start, stop in pairwise([*places, len(data)]):
        found.parts.append(Part(start, stop, Number(start + 4, 2)))
        if data[start + 3] == 0xBA:
            found.clocks += [Number(start + 4, 4), Number(start + 6, 4)]
        elif data[start + 3] >= 0xBD:
            _stamps(data, start, found)
            # MPEG-1 has them without flags.
            found.clocks += [
                Number(at, 5, "clock")
                for at in range(start + 6, min(start + 24, len(data) - 5))
                if data[at] >> 4 in (2, 3)
            ][:1]


def _all(data: bytes, pattern: bytes) -> Iterator[int]:
    at = data.find(pattern)
    while at >= 0:
        yield at
        at = data.find(pattern, at + 1)


def _objects(data: bytes, found: Layout) -> None:
    start = 0
    while start + 24 <= len(data):
        size = int.from_bytes(data[start + 16 : start + 24], "little")
        stop = min(start + size, len(data))
        if size < 24:
            return
        found.parts.append(Part(start, stop, Number(start + 16, 8, "little")))
        if start == 0:
            found.numbers += [Number(at, 4, "little") for at in range(24, stop - 3, 2)]
        else:  # packets of media: lengths and times have no fixed place
            found.clocks += [Number(at, 4, "little") for at in range(start + 50, stop - 3, 61)]
        start = 30 if start == 0 else stop


def _klv(data: bytes, found: Layout) -> None:
    start = 0
    while start + 17 <= len(data):
        first = data[start + 16]
        size_of_length = first & 127 if first & 128 else 0
        body = start + 17 + size_of_length
        length = int.from_bytes(data[start + 17 : body], "big") if size_of_length else first
        stop = min(body + length, len(data))
        if size_of_length > 8:
            return
        found.parts.append(Part(start, stop, Number(start + 16, 1 + size_of_length)))
        if length < 400:
            found.clocks += [Number(at, 4) for at in range(body, stop - 3, 2)]
        start = stop


def mended(data: bytes) -> bytes:
    """Put right the check sums that would hide what was changed: Ogg pages, stream tables."""
    if data[:4] == b"OggS":
        return _with_page_sums(data)
    for size, lead in ((188, 0), (192, 4)):
        if data[lead : lead + 1] == b"G" and data[size + lead : size + lead + 1] == b"G":
            return _with_table_sums(data, size, lead)
    return data


def _with_page_sums(data: bytes) -> bytes:
    result = bytearray(data)
    found = Layout()
    _pages(data, found)
    for part in found.parts:
        if part.end - part.start >= 27:
            result[part.start + 22 : part.start + 26] = bytes(4)
            total = _crc(result[part.start : part.end], 0)
            result[part.start + 22 : part.start + 26] = total.to_bytes(4, "little")
    return bytes(result)


def _with_table_sums(data: bytes, size: int, lead: int) -> bytes:
    result = bytearray(data)
    for start in range(lead, len(data) - size + 1, size):
        flags, body = data[start + 3], start + 4
        if not data[start + 1] & 0x40 or not flags & 0x10 or flags & 0x20:
            continue
        table = body + 1 + data[body]
        stop = table + 3 + (int.from_bytes(data[table + 1 : table + 3], "big") & 0x3FF)
        if data[body : body + 3] != b"\0\0\1" and table + 7 < stop <= start + 188:
            total = _crc(result[table : stop - 4], 0xFFFFFFFF)
            result[stop - 4 : stop] = total.to_bytes(4, "big")
    return bytes(result)


def _crc(data: bytes | bytearray, start: int) -> int:
    """Check sum of the polynomial that Ogg and MPEG share, highest bit first."""
    total = start
    for byte in data:
        total = (total << 8 & 0xFFFFFFFF) ^ _CRC[(total >> 24) ^ byte]
    return total


def _crc_entry(number: int) -> int:
    total = number << 24
    for _ in range(8):
        total = (total << 1) ^ (0x04C11DB7 if total & 0x80000000 else 0)
    return total & 0xFFFFFFFF


_CRC = [_crc_entry(number) for number in range(256)]
