"""One clock for a file that was joined from several: where it starts anew, and by how much.

Parts of a broadcast, a stream or a DVD that were simply put one behind the other keep
their own clocks. All streams of a part share one clock, and keep doing so: they are moved
together, as players do, and never each for itself, which would move sound against picture.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import av

from avalign.media.reading.opening import ARBITRARY_CLOCK_FORMATS, is_cover, open_input

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

# Formats that can be joined byte by byte. Elsewhere, times come from tables of the file.
JOINED_FORMATS = {"asf", "flv", "matroska,webm", "mpeg", "mpegts"}
# A step of a stream's clock beyond these is more than a late or an odd packet.
LONGEST_STEP_BACK_S = 0.5
LONGEST_STEP_S = 10.0


@dataclass(frozen=True, slots=True)
class Timeline:
    """How the clocks of a file's parts become one."""

    restarts: int = 0
    # By stream: (number of a packet, seconds to add to its time and to those after it).
    shifts: Mapping[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    # By stream: packets with a time far from those around them, which is ignored.
    odd: Mapping[int, Set[int]] = field(default_factory=dict)
    is_complete: bool = True  # every packet has a time
    span_s: tuple[float, float] = (0.0, 0.0)

    @property
    def is_as_stored(self) -> bool:
        """Whether every time of the file stands."""
        return not self.shifts and not self.odd

    def on_one_clock(self, found: Iterator[Packet[Stream]]) -> Iterator[Packet[Stream]]:
        """Pass packets on, from the first one of the file, with times on one clock."""
        if self.is_as_stored:
            yield from found
            return
        seen: Counter[int] = Counter()
        for packet in found:
            index = packet.stream.index
            number, seen[index] = seen[index], seen[index] + 1
            if number in self.odd.get(index, ()):
                packet.pts = packet.dts = None
            shift_s = 0.0
            for first, then_s in self.shifts.get(index, ()):
                if first > number:
                    break
                shift_s = then_s
            if shift_s:
                ticks = round(shift_s / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts + ticks
                packet.dts = None if packet.dts is None else packet.dts + ticks
            yield packet


def timeline(container: InputContainer) -> Timeline:
    """Find where the clock of an open file starts anew, by reading the file once."""
    # `container` stays where it is.
    if container.format.name not in JOINED_FORMATS:
        return Timeline()
    path = container.name.removeprefix("file:")
    status = os.stat(path)
    return _read(path, status.st_size, status.st_mtime_ns)


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Stream]]:
    """Yield packets with the times of the file; an unreadable rest of it ends them."""
    while True:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    yield packet
        except IndexError:
            continue  # of a stream that came up after the file was opened: go on behind it
        except av.error.FFmpegError:
            return  # truncated or damaged from here on: what was read stands
        return


@dataclass(slots=True)
class _Clock:
    """The clock of one stream, as far as it was read."""

    part: int = 0
    first_s: float | None = None
    next_s: float | None = None
    is_complete: bool = True
    suspect: tuple[int, float, float] | None = None
    odd: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Part:
    """A part with a clock of its own, and the streams that went over to it."""

    reached_s: float
    is_restart: bool = False
    entries: dict[int, _Entry] = field(default_factory=dict)
    others: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a stream goes over: its packet, its last part, and the times on both clocks."""

    packet: int
    last_part: int
    ended_s: float
    begins_s: float


@lru_cache(maxsize=8)  # a file is opened again and again while it is worked on
def _read(path: str, *_version: int) -> Timeline:
    with open_input(path) as container:
        clocks = {
            stream.index: _Clock()
            for stream in container.streams
            if stream.type in ("audio", "video") and not is_cover(stream)
        }
        parts = [_Part(0.0)]
        # Elsewhere a step ahead is a pause, which players wait out.
        can_skip = container.format.name in ARBITRARY_CLOCK_FORMATS
        longest_s = LONGEST_STEP_S if can_skip else math.inf
        seen: Counter[int] = Counter()
        for packet in packets(container):
            index = packet.stream.index
            number, seen[index] = seen[index], seen[index] + 1
            clock = clocks.get(index)
            if clock is None:
                parts[-1].others.setdefault(index, number)
            else:
                _follow(packet, number, clock, parts, longest_s)
    running = {index for index, clock in clocks.items() if clock.next_s is not None}
    for part in parts[1:]:
        # Where all streams of a broadcast step ahead at once, it was joined.
        part.is_restart |= part.entries.keys() == running
    return _timeline(
        parts, list(clocks.values()), {i: c.odd for i, c in clocks.items() if c.odd}
    )


def _follow(
    packet: Packet[Stream], number: int, clock: _Clock, parts: list[_Part], longest_s: float
) -> None:
    """Take a packet's time, and see whether it belongs to another part than the last one."""
    ticks = packet.pts if packet.dts is None else packet.dts
    clock.is_complete &= packet.dts is not None
    if ticks is None:
        return
    time_s = float(ticks * packet.time_base)
    end_s = time_s + float((packet.duration or 0) * packet.time_base)

    def runs_on() -> bool:
        next_s = clock.next_s
        return next_s is None or -LONGEST_STEP_BACK_S <= time_s - next_s <= longest_s

    if clock.suspect is not None:
        if runs_on():  # a single time that was damaged
            clock.odd.add(clock.suspect[0])
        elif clock.next_s is not None:
            first, begins_s, clock_s = clock.suspect
            entry = _Entry(first, clock.part, clock.next_s, begins_s)
            clock.part, clock.next_s = _enter(packet.stream.index, entry, parts), clock_s
        clock.suspect = None
    if runs_on():
        clock.first_s = time_s if clock.first_s is None else clock.first_s
        clock.next_s = end_s
        parts[clock.part].reached_s = time_s
    else:
        clock.suspect = number, time_s, end_s


def _enter(index: int, entry: _Entry, parts: list[_Part]) -> int:
    """Find the part that a stream goes over to, which may be one that others are in."""
    last = len(parts) - 1
    if last > entry.last_part and _is_near(entry.begins_s, parts[last].reached_s):
        number = last
    else:
        parts.append(_Part(entry.begins_s))
        number = last + 1
    parts[number].entries[index] = entry
    parts[number].is_restart |= entry.begins_s < entry.ended_s
    return number


def _is_near(one_s: float, other_s: float) -> bool:
    return abs(one_s - other_s) <= LONGEST_STEP_S


def _timeline(
    parts: list[_Part], clocks: list[_Clock], odd: Mapping[int, Set[int]]
) -> Timeline:
    """Put each part where no stream of it overlaps what it had before."""
    placed_s = [0.0]
    shifts: dict[int, list[tuple[int, float]]] = {}
    for part in parts[1:]:
        befores_s = [placed_s[entry.last_part] for entry in part.entries.values()]
        shift_s = max(befores_s)
        if part.is_restart:
            shift_s = max(
                before_s + entry.ended_s - entry.begins_s
                for before_s, entry in zip(befores_s, part.entries.values(), strict=True)
            )
        placed_s.append(shift_s)
        for index, entry in part.entries.items():
            shifts.setdefault(index, []).append((entry.packet, shift_s))
        for index, first in part.others.items():
            shifts.setdefault(index, []).append((first, shift_s))
    moved = {index: tuple(each) for index, each in shifts.items() if any(s for _, s in each)}
    return Timeline(
        restarts=sum(part.is_restart for part in parts),
        shifts=moved,
        odd=odd,
        is_complete=all(clock.is_complete for clock in clocks),
        span_s=(
            min((clock.first_s for clock in clocks if clock.first_s is not None), default=0.0),
            max(
                (
                    placed_s[clock.part] + clock.next_s
                    for clock in clocks
                    if clock.next_s is not None
                ),
                default=0.0,
            ),
        ),
    )
