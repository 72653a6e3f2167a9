"""New times for the packets of one stream, such as muxers take."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from av.format import Flags

from avalign.media.decoding import LONGEST_PAUSE_S, LONGEST_STEP_BACK_S

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

__all__ = ["PacketClock", "nearest"]


class PacketClock:
    """Moves the packets of one stream in time, and keeps their decoding times rising.

    After a jump of the file's clock that no player would wait out, packets follow on
    from those before, as in `decoding.StreamClock`. After a smaller step back, which
    muxers refuse, pictures come as soon as can be, and sound that was there is dropped.

    Parameters
    ----------
    out : av.stream.Stream
        The stream that the packets are for.
    shift_s : Fraction
        What to add to their times.

    Attributes
    ----------
    steps_back : int
        How many packets had a time before that of the packet in front of them.
    """

    def __init__(self, out: Stream, shift_s: Fraction) -> None:
        self.steps_back = 0
        self._out = out
        self._shift_s = shift_s
        self._last: int | None = None
        self._next = 0

    def place(self, packet: Packet[Stream]) -> bool:
        """Give `packet` its new time and its stream; tell whether it has a place there."""
        clock, tick = packet.time_base, self._out.time_base
        assert tick is not None
        pts = packet.pts if packet.pts is not None else packet.dts
        dts = packet.dts
        duration = nearest((packet.duration or 0) * clock / tick)
        packet.duration, packet.time_base, packet.stream = duration, tick, self._out
        if pts is None:
            packet.pts = packet.dts = self._next
        else:
            if dts is not None:
                self._follow_jump(dts * clock, tick)
            # Rounded to the clock of the output alone: that of the input may be as coarse
            # as a packet of sound.
            packet.pts = nearest((pts * clock + self._shift_s) / tick)
            if dts is not None:  # else the muxer finds it from its neighbours
                packet.dts = nearest((dts * clock + self._shift_s) / tick)
        return packet.dts is None or self._rises(packet)

    def _follow_jump(self, time_s: Fraction, tick: Fraction) -> None:
        if self._last is None or self._out.type not in ("video", "audio"):
            return
        step_s = time_s + self._shift_s - self._next * tick
        if not -LONGEST_STEP_BACK_S <= step_s <= LONGEST_PAUSE_S:
            self._shift_s -= step_s

    def _rises(self, packet: Packet[Stream]) -> bool:
        """Move `packet` behind the last one; tell whether it is worth it."""
        dts, duration = packet.dts or 0, packet.duration or 0
        if self._last is not None:
            if dts < self._last:
                self.steps_back += 1
                if self._out.type == "audio" and dts + duration <= self._next:
                    return False
            strict = Flags.ts_nonstrict not in Flags(self._out.container.format.flags)
            dts = max(dts, self._last + strict)
        self._last, self._next = dts, max(self._next, dts + duration)
        packet.dts, packet.pts = dts, max(packet.pts or 0, dts)
        return True


def nearest(ticks: Fraction) -> int:
    """Round to the nearest whole number, halves up.

    `round` takes halves to even numbers, which would make equal steps unequal.
    """
    return math.floor(ticks + Fraction(1, 2))
