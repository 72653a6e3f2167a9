"""New times for the packets of one stream, such as muxers take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from av.format import Flags

from avalign.media.reading.decoding import LONGEST_STEP_BACK_S

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream


class PacketClock:
    """Moves the packets of one stream by `shift_s`, and keeps their decoding times rising."""

    # A packet without a time, and all after a long step back, follow on from those before, as
    # in `decoding.StreamClock`. After a smaller step back, which muxers refuse, frames come as
    # soon as can be, and audio that was there is dropped.

    def __init__(self, out: Stream, shift_s: Fraction) -> None:
        self.steps_back = 0
        self._out = out
        self._shift_s = shift_s
        self._rule: _Rule | None = None
        self._last: int | None = None
        self._next = 0

    def place(self, packet: Packet[Stream]) -> bool:
        """Give `packet` its new time and its stream; tell whether it has a place there."""
        if self._rule is None:  # only now the output's header is written, which sets its clock
            self._rule = _Rule.between(packet.time_base, self._out, self._shift_s)
        rule = self._rule
        pts, dts = packet.pts, packet.dts
        packet.duration = rule.length(packet.duration or 0)
        packet.time_base, packet.stream = rule.tick, self._out
        if dts is None and pts is not None:
            packet.pts = rule.time(pts)
            return True  # the muxer finds the decoding time from its neighbours
        if dts is None:
            packet.pts = self._next
            return self._rises(packet, self._next)
        step = rule.time(dts) - self._next
        if self._last is not None and step < rule.most_back:
            rule.offset -= step * rule.divisor
        packet.pts = rule.time(dts if pts is None else pts)
        return self._rises(packet, rule.time(dts))

    def _rises(self, packet: Packet[Stream], dts: int) -> bool:
        """Put `packet` at `dts` or behind the last one; tell whether it is worth it."""
        assert self._rule is not None
        duration = packet.duration or 0
        if self._last is not None:
            if dts < self._last:
                self.steps_back += 1
                if self._out.type == "audio" and dts + duration <= self._next:
                    return False
            dts = max(dts, self._last + self._rule.least_step)
        self._last, self._next = dts, max(self._next, dts + duration)
        packet.dts, packet.pts = dts, max(packet.pts or 0, dts)
        return True


@dataclass(slots=True)
class _Rule:
    """How times are told anew, in whole numbers: there are millions of packets."""

    # Times are rounded to the clock of the output alone: that of the input may be as coarse as
    # a packet of audio.

    tick: Fraction
    factor: int
    offset: int
    divisor: int
    least_step: int
    most_back: float

    @classmethod
    def between(cls, clock: Fraction, out: Stream, shift_s: Fraction) -> _Rule:
        """Tell times counted in `clock` to `out`, moved by `shift_s`."""
        tick = out.time_base
        assert tick is not None
        # Halves go up. Python's `round` takes them to even numbers, which would make equal
        # steps unequal.
        scale, offset = clock / tick, shift_s / tick + Fraction(1, 2)
        divisor = math.lcm(2, scale.denominator, offset.denominator)
        has_frames = out.type in ("video", "audio")
        return cls(
            tick,
            int(scale * divisor),
            int(offset * divisor),
            divisor,
            least_step=0 if Flags.ts_nonstrict in Flags(out.container.format.flags) else 1,
            most_back=float(-LONGEST_STEP_BACK_S / tick) if has_frames else -math.inf,
        )

    def time(self, ticks: int) -> int:
        """Return a time of the input as one of the output."""
        return (ticks * self.factor + self.offset) // self.divisor

    def length(self, ticks: int) -> int:
        """Return how long something lasts."""
        return (ticks * self.factor + self.divisor // 2) // self.divisor
