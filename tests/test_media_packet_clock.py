"""New times for packets: rounded once, rising, and never made up as zero."""

from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from avalign.media.writing.packet_clock import PacketClock


def placed(times, *, kind="video", muxer="mp4", clock=Fraction(1, 25), shift_s=0):
    """New (pts, dts) at a tick of 10 ms of packets that last one tick of `clock`."""
    output = SimpleNamespace(format=av.ContainerFormat(muxer, "w"))
    out = SimpleNamespace(type=kind, time_base=Fraction(1, 100), container=output)
    packet_clock = PacketClock(out, Fraction(shift_s))
    found = []
    for pts, dts in times:
        packet = SimpleNamespace(pts=pts, dts=dts, duration=1, time_base=clock)
        if packet_clock.place(packet):
            assert (packet.duration, packet.time_base) == (clock * 100, Fraction(1, 100))
            found.append((packet.pts, packet.dts))
    return found, packet_clock.steps_back


def test_the_shift_is_finer_than_the_clock_of_the_input():
    shift_s = Fraction(13, 1000)  # halves go up: all steps stay equal
    assert placed([(0, 0), (1, 1), (2, 2)], shift_s=shift_s)[0] == [(1, 1), (5, 5), (9, 9)]
    half = Fraction(15, 1000)
    assert placed([(0, 0), (1, 1), (2, 2)], shift_s=half)[0] == [(2, 2), (6, 6), (10, 10)]


def test_a_packet_without_a_time_follows_on():
    found, steps_back = placed([(10, 10), (None, None), (12, 12)])
    assert found == [(40, 40), (44, 44), (48, 48)]
    assert steps_back == 0


def test_pictures_out_of_order_keep_their_times():
    times = [(2, 0), (4, 1), (3, 2)]
    assert placed(times)[0] == [(8, 0), (16, 4), (12, 8)]


@pytest.mark.parametrize(("muxer", "least_step"), [("mp4", 1), ("matroska", 0)])
def test_a_picture_that_steps_back_comes_as_soon_as_can_be(muxer, least_step):
    found, steps_back = placed([(0, 0), (5, 5), (3, 3), (6, 6)], muxer=muxer)
    assert found == [(0, 0), (20, 20), (20 + least_step, 20 + least_step), (24, 24)]
    assert steps_back == 1


def test_sound_that_steps_back_was_there_already():
    found, steps_back = placed([(0, 0), (5, 5), (3, 3), (6, 6)], kind="audio")
    assert found == [(0, 0), (20, 20), (24, 24)]
    assert steps_back == 1


def test_after_a_long_step_back_packets_follow_on():
    start, far = 25 * 20, -25 * 11
    times = [(start, start), (start + far, start + far), (start + far + 1, start + far + 1)]
    found, steps_back = placed(times)
    assert found == [(2000, 2000), (2004, 2004), (2008, 2008)]
    assert steps_back == 0


def test_a_pause_of_hours_stays_one():
    found, _ = placed([(0, 0), (25 * 7200, 25 * 7200)])
    assert found == [(0, 0), (100 * 7200, 100 * 7200)]
