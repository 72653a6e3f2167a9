"""Change the pace of sound along a warp, and leave its pitch as it is.

The method is WSOLA [1]_, as libtsm [2]_ computes it: windows of sound are laid out along
the output, each taken from where the warp says, give or take a few milliseconds so that
it joins the one before. No error adds up, because every window starts from the warp anew.
Sound that is minutes long is worked on in sections that meet where it is quiet.

References
----------
.. [1] W. Verhelst and M. Roelands, "An overlap-add technique based on waveform similarity
   (WSOLA) for high quality time-scale modification of speech", ICASSP 1993.
.. [2] S. Rosenzweig, S. Schwaer, J. Driedger and M. Mueller, "Adaptive pitch-shifting with
   applications to intonation adjustment in a cappella recordings", DAFx 2021.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from avalign.types import TimeWarp

# Two periods of a low voice; a window may move by half a period of one at 100 Hz.
WINDOW_S = 0.025
TOLERANCE_S = 0.005
SECTION_S = 20.0
# The quietest place is looked for among the last seconds of a section.
QUIET_SEARCH_S = 4.0
JOIN_S = 0.010
_BLOCK_S = 1.0


def stretch_audio(
    blocks: Iterator[NDArray[np.float32]],
    sample_rate_hz: int,
    start_s: float,
    warp: TimeWarp,
    duration_s: float,
) -> Iterator[NDArray[np.float32]]:
    """Play a sound by the reference's clock.

    Parameters
    ----------
    blocks : iterator of ndarray of shape (C, n), float32
        The sound, in blocks that follow each other.
    sample_rate_hz : int
        Samples per second, before and after.
    start_s : float
        Time of the first sample on the sound's own clock.
    warp : TimeWarp
        From the reference's clock to the sound's.
    duration_s : float
        Length of the result, from time 0 of the reference's clock on.

    Yields
    ------
    ndarray of shape (C, m), float32
        The sound as it is to be heard from time 0 on: at time t that of
        ``warp.to_other(t)`` within `TOLERANCE_S`; silence where there is none. What has no
        place in the reference is cut out, and what is left out of the sound is silent.

    Raises
    ------
    ParameterError
        If the duration is not positive, or there are no samples.
    """
    source = _Source(blocks)
    section = round(SECTION_S * sample_rate_hz)
    join = round(JOIN_S * sample_rate_hz)
    tail: NDArray[np.float32] | None = None
    spans = _spans(warp, sample_rate_hz, _length(sample_rate_hz, duration_s))
    for begin_of_span, end_of_span, piece in spans:
        begin = begin_of_span
        while begin < end_of_span:
            end = min(begin + section, end_of_span)
            # Both ends reach into the neighbour's part, where one fades into the other.
            first = max(0, begin - join)
            last = end if end == spans[-1][1] else end + join
            if piece is None:
                part = source.silence(last - first)
            else:
                part = _section(source, sample_rate_hz, start_s, piece, first, last)
            if end < end_of_span and piece is not None:
                search = round(QUIET_SEARCH_S * sample_rate_hz)
                end = first + _quietest(part, end - first, search)
                part = part[:, : end + join - first]
            if tail is not None:
                fade = np.linspace(0.0, 1.0, tail.shape[1], dtype=np.float32)
                common = min(tail.shape[1], part.shape[1])
                part[:, :common] *= fade[:common]
                part[:, :common] += (tail * (1 - fade))[:, :common]
            keep = part.shape[1] if end == spans[-1][1] else end - join - first
            yield part[:, :keep]
            tail = None if end == spans[-1][1] else part[:, keep:].copy()
            begin = end


def place_audio(
    blocks: Iterator[NDArray[np.float32]],
    sample_rate_hz: int,
    start_s: float,
    duration_s: float,
) -> Iterator[NDArray[np.float32]]:
    """Play a sound from an instant on, and leave its samples as they are.

    Parameters
    ----------
    blocks, sample_rate_hz
        As for `stretch_audio`.
    start_s : float
        When its first sample is to be heard; to the nearest sample.
    duration_s : float
        Length of the result, from time 0 on.

    Yields
    ------
    ndarray of shape (C, m), float32
        The sound between silence before it begins and after it ends.

    Raises
    ------
    ParameterError
        If the duration is not positive, or there are no samples.
    """
    total = _length(sample_rate_hz, duration_s)
    source, block = _Source(blocks), round(_BLOCK_S * sample_rate_hz)
    shift = round(start_s * sample_rate_hz)
    for begin in range(0, total, block):
        yield source.take(begin - shift, min(begin + block, total) - shift)
        source.forget(begin + block - shift)


def _length(sample_rate_hz: int, duration_s: float) -> int:
    if not 0 < duration_s < np.inf:
        raise ParameterError(
            f"a sound of {duration_s} s cannot be made", "take a positive length"
        )
    return round(duration_s * sample_rate_hz)


def _spans(warp: TimeWarp, rate: int, total: int) -> list[tuple[int, int, TimeWarp | None]]:
    """Lay out the pieces of a warp, and silence, over the samples of the result."""
    spans: list[tuple[int, int, TimeWarp | None]] = []
    begin = 0
    # A span holds the fades at both of its ends.
    shortest = 3 * round(JOIN_S * rate)
    pieces = warp.pieces
    for piece, later in zip(pieces, (*pieces[1:], None), strict=True):
        end = total if later is None else round(float(piece.reference_s[-1]) * rate)
        if min(end, total) - begin >= shortest or not spans:
            spans.append((begin, min(max(end, begin), total), piece))
            begin = spans[-1][1]
        if later is None:
            continue
        resumes = min(round(float(later.reference_s[0]) * rate), total)
        if resumes - begin >= shortest:
            spans.append((begin, resumes, None))
            begin = resumes
    spans = [span for span in spans if span[1] > span[0]]
    # What was too short for a span of its own belongs to the one before.
    spans[-1] = (spans[-1][0], total, spans[-1][2])
    return spans


class _Source:
    """Samples by their place in a sound that is read once, from start to end."""

    def __init__(self, blocks: Iterator[NDArray[np.float32]]) -> None:
        self._blocks = blocks
        block = next(blocks, None)
        if block is None:
            raise ParameterError("there is no sound to stretch", "give a sound with samples")
        self._held, self._first = block, 0

    def take(self, begin: int, end: int) -> NDArray[np.float32]:
        """Return samples `begin` to `end`, zeros where there are none; never going back far."""
        pieces, reached = [self._held], self._first + self._held.shape[1]
        while reached < end and (block := next(self._blocks, None)) is not None:
            pieces.append(block)
            reached += block.shape[1]
        self._held = np.concatenate(pieces, axis=1) if len(pieces) > 1 else self._held
        taken = np.zeros((len(self._held), end - begin), np.float32)
        low, high = max(begin, self._first), min(end, reached)
        if high > low:
            taken[:, low - begin : high - begin] = self._held[
                :, low - self._first : high - self._first
            ]
        return taken

    def silence(self, length: int) -> NDArray[np.float32]:
        """Return zeros for as many channels as the sound has."""
        return np.zeros((len(self._held), length), np.float32)

    def forget(self, before: int) -> None:
        """Let go of samples that will not be asked for again."""
        drop = min(max(before - self._first, 0), self._held.shape[1])
        self._held, self._first = self._held[:, drop:], self._first + drop


def _section(
    source: _Source, rate: int, start_s: float, warp: TimeWarp, first: int, last: int
) -> NDArray[np.float32]:
    """Make samples `first` to `last` of the result."""
    from libtsm import wsola_tsm

    hop = round(WINDOW_S * rate / 2)
    outputs = np.append(np.arange(first, last, hop), last)
    inputs = np.rint((warp.to_other(outputs / rate) - start_s) * rate).astype(np.int64)
    margin = 4 * hop
    begin = int(inputs[0]) - margin
    sound = source.take(begin, int(inputs[-1]) + margin)
    source.forget(int(inputs[0]) - margin - round(2 * QUIET_SEARCH_S * rate))
    anchors = np.stack([inputs - begin, outputs - first], axis=1)
    made = wsola_tsm(
        _mixed(sound).T,
        anchors,
        syn_hop=hop,
        win_length=2 * hop,
        win_beta=2,
        tol=round(TOLERANCE_S * rate),
    )
    return _mixed(made[: last - first].T, back=True).astype(np.float32)


def _mixed(sound: NDArray[Any], back: bool = False) -> NDArray[Any]:
    """Turn two channels to middle and side, or back: each is stretched by itself."""
    # What stands in the middle of a stereo picture is in one channel then, and stays there.
    if len(sound) != 2:
        return sound
    mixed = np.stack([sound[0] + sound[1], sound[0] - sound[1]])
    return mixed if back else 0.5 * mixed


def _quietest(part: NDArray[np.float32], end: int, search: int) -> int:
    """Find where the sound is softest within `search` samples before `end`."""
    begin = max(end - search, end // 2)
    power = np.square(part[:, begin:end].astype(np.float64)).sum(axis=0)
    width = max(1, min(search // 40, len(power) // 2))
    sums = np.concatenate([[0.0], np.cumsum(power)])
    softness = sums[width:] - sums[:-width]
    return begin + int(np.argmin(softness)) + width // 2
