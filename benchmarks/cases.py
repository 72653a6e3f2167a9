"""The protocol of the sync benchmark: which windows are measured, and with what result.

A window is a file: so many seconds of picture and of sound, and nothing beyond them is
visible to the estimator. Natural clips give windows of 1, 2, 5 and 10 s, with a usable
face in at least 80 % and speech in at least 50 % of them; clips of the GRID corpus are
taken whole. Into each a lag is injected, drawn uniformly from +-0.8 s, by cutting the
samples of the sound from a shifted place. The truth is the injected lag plus the clip's
own, which is measured once on the whole clip and frozen.

For parity with SyncNet and VocaLiST one of 31 lags, 40 ms apart, has to be chosen, with 5
or 15 frames of picture; as in those papers the sound reaches beyond the picture, so that
every candidate hears as much. The true one is drawn uniformly among the 31, so that
nothing is won by guessing the middle.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avalign.data import SourceClip, cut_window, usable_starts, video_span_s
from avalign.types import Alignment, ClipStreams

if TYPE_CHECKING:
    from avalign.align import ClipAlignment

Estimator = Callable[[ClipStreams, float], "ClipAlignment"]

NATURAL_LENGTHS_S = (1.0, 2.0, 5.0, 10.0)
WRONG_LENGTH_S = 5.0
MAX_INJECTED_S = 0.8
SEARCH_S = 1.0
# A window every quarter second, three lags each: more would only repeat themselves.
WINDOWS_PER_ROOM_S = 3 / 0.25

FRAME_S = 0.04
CANDIDATE_FRAMES = np.arange(-15, 16)
CONTEXT_FRAMES = (5, 15)
PARITY_MARGIN_S = 0.6


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip of the benchmark.

    Parameters
    ----------
    name : str
        Its path in the manifest.
    speaker : str
        Who speaks.
    is_grid : bool
        Whether it belongs to the GRID corpus.
    in_sync : bool
        Whether its role is ``in_sync`` and not only believed to be.
    own_lag_s : float
        Its own lag, frozen.
    source : SourceClip
        Streams and samples.
    slices : mapping of str to str
        To which slice of each kind it belongs; see `benchmarks.slices`.
    """

    name: str
    speaker: str
    is_grid: bool
    in_sync: bool
    own_lag_s: float
    source: SourceClip
    slices: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One window to measure.

    Parameters
    ----------
    task : str
        ``"natural"``, ``"grid"``, ``"wrong"`` (foreign sound), ``"parity"`` or
        ``"whole"`` (the clip as it is).
    clip : str
        Where the picture comes from.
    sound : str
        Where the sound comes from.
    start_s, length_s : float
        The picture's place in its clip.
    injected_s : float
        Lag injected by the cut.
    truth_s : float
        Injected lag plus the clip's own; NaN where there is none.
    """

    task: str
    clip: str
    sound: str
    start_s: float
    length_s: float
    injected_s: float
    truth_s: float


@dataclass(frozen=True, slots=True)
class Result:
    """What the estimator said about a case.

    Parameters
    ----------
    case : Case
        The window.
    lag_s, low_s, high_s : float
        Best guess and its 95 % interval; NaN without one. In parity cases the lag is
        the best of the 31 candidates.
    confidence : float
        Probability that the best guess is right; 0 without one.
    reason : str
        Why the best guess is no answer; empty if it is one.
    """

    case: Case
    lag_s: float
    low_s: float
    high_s: float
    confidence: float
    reason: str

    @property
    def answered(self) -> bool:
        """Whether the estimator stands by its guess."""
        return not self.reason

    @property
    def error_s(self) -> float:
        """Estimate less truth; NaN without an estimate or a truth."""
        return self.lag_s - self.case.truth_s


def make_cases(
    clips: Iterable[Clip], *, windows_per_clip: int = 36, draws: int = 1, seed: int = 0
) -> tuple[Case, ...]:
    """Draw the windows of all tasks.

    The windows of a clip depend on its name and the seed alone, not on what other
    clips there are; only the foreign sound does.

    Parameters
    ----------
    clips : iterable of Clip
        Natural clips, and clips of GRID.
    windows_per_clip : int
        Most windows per clip, task and length; clips with little room give fewer.
    draws : int
        How often that is done. More draws leave less to chance, where more windows per clip
        would give long clips more weight.
    seed : int
        Fixes the draws, each by one more.

    Returns
    -------
    tuple of Case
        Clip by clip.
    """
    clips = tuple(clips)
    donors = _donors(clips)
    cases: list[Case] = []
    for clip in clips:
        cases.append(_Draw(clip, windows_per_clip, seed).whole())
        for number in range(draws):
            draw = _Draw(clip, windows_per_clip, seed + number)
            cases.extend(draw.grid() if clip.is_grid else draw.windows(donors))
    return tuple(cases)


def measure(
    clips: Iterable[Clip], cases: Iterable[Case], estimator: Estimator
) -> Iterator[Result]:
    """Show each window to the estimator.

    Parameters
    ----------
    clips : iterable of Clip
        The clips that the cases name.
    cases : iterable of Case
        What to measure.
    estimator : callable
        Takes the streams of a window and the range of lags to search in seconds.

    Yields
    ------
    Result
        One per case, in order.
    """
    by_name = {clip.name: clip for clip in clips}
    for case in cases:
        yield _measure(case, by_name, estimator)


def _measure(case: Case, clips: Mapping[str, Clip], estimator: Estimator) -> Result:
    source = clips[case.clip].source
    if case.task == "whole":
        return _result(case, estimator(source.streams, SEARCH_S))
    if case.sound != case.clip:
        source = replace(source, audio=clips[case.sound].source.audio)
    parity = case.task == "parity"
    window = cut_window(
        source,
        start_s=case.start_s,
        length_s=case.length_s,
        audio_lag_s=case.injected_s,
        audio_margin_s=PARITY_MARGIN_S if parity else 0.0,
    )
    if not parity:
        return _result(case, estimator(window, SEARCH_S))
    # One frame more than the candidates, so that the curve covers the outermost.
    answer = estimator(window, PARITY_MARGIN_S + FRAME_S)
    result = _result(case, answer)
    if answer.alignment is None:
        return result
    return replace(result, lag_s=best_candidate_s(answer.alignment))


def best_candidate_s(alignment: Alignment) -> float:
    """Choose among the 31 lags of the parity protocol.

    Parameters
    ----------
    alignment : Alignment
        What the estimator said.

    Returns
    -------
    float
        The candidate with the highest score, in seconds.
    """
    candidates_s = CANDIDATE_FRAMES * FRAME_S
    score = np.interp(candidates_s, alignment.curve.lags_s, alignment.curve.score)
    return float(candidates_s[np.argmax(score)])


def _result(case: Case, answer: ClipAlignment) -> Result:
    best = answer.alignment
    if best is None:
        reason = answer.reason or "no estimate"
        return Result(case, np.nan, np.nan, np.nan, 0.0, reason)
    low_s, high_s = best.interval_s
    return Result(case, best.audio_lag_s, low_s, high_s, best.confidence, answer.reason or "")


@dataclass(frozen=True, slots=True)
class _Donor:
    """Foreign sound and the places in it where enough is spoken."""

    name: str
    speaker: str
    starts_s: NDArray[np.float64]


def _donors(clips: Iterable[Clip]) -> tuple[_Donor, ...]:
    found = (
        _Donor(
            clip.name,
            clip.speaker,
            usable_starts(clip.source.streams, WRONG_LENGTH_S, min_face=0.0),
        )
        for clip in clips
        if not clip.is_grid
    )
    return tuple(donor for donor in found if len(donor.starts_s))


class _Draw:
    """Draws the windows of one clip."""

    def __init__(self, clip: Clip, most: int, seed: int) -> None:
        self._clip, self._most, self._seed = clip, most, seed

    def whole(self) -> Case:
        start_s, end_s = video_span_s(self._clip.source.streams)
        return self._case("whole", start_s, end_s - start_s, 0.0)

    def grid(self) -> Iterator[Case]:
        rng = self._rng("grid", 0)
        start_s, end_s = video_span_s(self._clip.source.streams)
        for _ in range(min(self._most, int(WINDOWS_PER_ROOM_S / 4))):
            yield self._case("grid", start_s, end_s - start_s, _lag(rng))

    def windows(self, donors: Iterable[_Donor]) -> Iterator[Case]:
        for length_s in NATURAL_LENGTHS_S:
            yield from self.natural(length_s)
        yield from self.wrong(donors)
        for frames in CONTEXT_FRAMES:
            yield from self.parity(frames)

    def natural(self, length_s: float) -> Iterator[Case]:
        rng = self._rng("natural", length_s)
        for start_s in self._starts(rng, length_s):
            yield self._case("natural", start_s, length_s, _lag(rng))

    def wrong(self, donors: Iterable[_Donor]) -> Iterator[Case]:
        rng = self._rng("wrong", WRONG_LENGTH_S)
        others = [donor for donor in donors if donor.speaker != self._clip.speaker]
        for start_s in self._starts(rng, WRONG_LENGTH_S) if others else ():
            donor = others[rng.integers(len(others))]
            injected_s = start_s - float(rng.choice(donor.starts_s))
            case = self._case("wrong", start_s, WRONG_LENGTH_S, injected_s)
            yield replace(case, sound=donor.name, truth_s=float("nan"))

    def parity(self, frames: int) -> Iterator[Case]:
        rng = self._rng("parity", frames)
        length_s = frames * FRAME_S
        audio = self._clip.source.audio
        for start_s in self._starts(rng, length_s):
            injected_s = rng.choice(CANDIDATE_FRAMES) * FRAME_S - self._clip.own_lag_s
            heard_from_s = start_s - injected_s - PARITY_MARGIN_S
            heard_to_s = start_s - injected_s + length_s + PARITY_MARGIN_S
            if audio.start_s <= heard_from_s and heard_to_s <= audio.start_s + audio.duration_s:
                yield self._case("parity", start_s, length_s, injected_s)

    def _case(self, task: str, start_s: float, length_s: float, injected_s: float) -> Case:
        name, truth_s = self._clip.name, injected_s + self._clip.own_lag_s
        return Case(task, name, name, start_s, length_s, float(injected_s), float(truth_s))

    def _starts(self, rng: np.random.Generator, length_s: float) -> list[float]:
        places_s = usable_starts(self._clip.source.streams, length_s)
        if len(places_s) == 0:
            return []
        room_s = places_s[-1] - places_s[0] + 0.25
        count = min(self._most, int(room_s * WINDOWS_PER_ROOM_S))
        return [float(start_s) for start_s in np.sort(rng.choice(places_s, count))]

    def _rng(self, task: str, number: float) -> np.random.Generator:
        words = f"{task} {number} {self._clip.name}".encode()
        return np.random.default_rng([self._seed, zlib.crc32(words)])


def _lag(rng: np.random.Generator) -> float:
    return float(rng.uniform(-MAX_INJECTED_S, MAX_INJECTED_S))
