"""What brings the sound back: nothing, a lag search, plain DTW, DTW in the shared space, truth.

Aligners hear what the model hears: the sound in its noise, moved. Each finds a warp from the
picture's clock to that of the sound; one that has no answer leaves the clocks as they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avalign import dtw
from avalign.align import align_pair, align_streams, may_be_in_sync, pair_lips
from avalign.errors import AvalignError
from avalign.files import atomic_output
from avalign.fusion import path_warp
from avalign.processes import for_each
from avalign.space import to_uniform
from avalign.streams import mfcc_and_speech
from avalign.types import ClipStreams, TimeWarp, usable
from benchmarks.fusion.material import TestClip, moved
from benchmarks.fusion.plan import Scene

__all__ = ["Alignments", "align_scenes", "alignment_errors", "find_warp"]

# All aligners look this far.
REACH_S = 1.0
_RAW_RATE_HZ = 50.0
_RAW_COLUMNS = 13
_IN_PLACE = TimeWarp(np.zeros(1), np.zeros(1))
# Clips begin and end in silence, where nothing can be told.
_MARGIN_S = 0.4
# Clips between two writings of the file.
_CLIPS_AT_ONCE = 20

# By clip, then by `Scene.rows_key`.
Alignments = dict[str, dict[str, TimeWarp]]


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    clip: TestClip
    scenes: tuple[Scene, ...]


def align_scenes(
    clips: Sequence[TestClip],
    scenes: Sequence[Scene],
    path: Path,
    *,
    jobs: int,
    progress: Callable[[int, int], None],
) -> Alignments:
    """Align all clips in all scenes, or read what was aligned before.

    Parameters
    ----------
    clips : sequence of TestClip
        The clips.
    scenes : sequence of Scene
        How they are moved, and aligned.
    path : Path
        A file of JSON that keeps what is done.
    jobs : int
        Clips at once.
    progress : callable
        Called with how many clips are done, and of how many.

    Returns
    -------
    dict of str to dict of str to TimeWarp
        By name of the clip and `Scene.rows_key`.
    """
    kept = _read(path)
    wanted = {scene.rows_key: scene for scene in scenes}
    tasks = []
    for clip in clips:
        done = kept.setdefault(clip.utterance.name, {})
        left = tuple(scene for key, scene in wanted.items() if key not in done)
        if left:
            tasks.append(_Task(clip, left))
    finished = len(clips) - len(tasks)
    for first in range(0, len(tasks), _CLIPS_AT_ONCE * jobs):
        chunk = tasks[first : first + _CLIPS_AT_ONCE * jobs]
        for number, found in for_each(_align, chunk, jobs=jobs, caller="align_scenes"):
            if isinstance(found, Exception):
                raise found
            kept[chunk[number].clip.utterance.name].update(found)
            finished += 1
            progress(finished, len(clips))
        _write(kept, path)
    return {
        name: {key: TimeWarp(*np.asarray(knots, np.float64)) for key, knots in found.items()}
        for name, found in kept.items()
    }


def alignment_errors(
    clips: Sequence[TestClip], alignments: Alignments, scenes: Sequence[Scene]
) -> dict[str, dict[str, float]]:
    """Tell how far alignments are from what was planted.

    Parameters
    ----------
    clips : sequence of TestClip
        The clips.
    alignments : dict
        As of `align_scenes`.
    scenes : sequence of Scene
        Which ones to tell of.

    Returns
    -------
    dict of str to dict of str to float
        By `Scene.rows_key`: median and 90th percentile over the clips of the median
        distance over time, in milliseconds.
    """
    told = {}
    for scene in scenes:
        errors_ms = []
        for clip in clips:
            times_s = np.arange(_MARGIN_S, clip.streams.duration_s - _MARGIN_S, 0.1)
            found = alignments[clip.utterance.name][scene.rows_key].to_other(times_s)
            truth = clip.planted(scene.misalignment).to_other(times_s)
            errors_ms.append(1e3 * float(np.median(np.abs(found - truth))))
        median, p90 = np.percentile(errors_ms, [50, 90])
        told[scene.rows_key] = {"median_ms": round(median, 1), "p90_ms": round(p90, 1)}
    return told


def find_warp(aligner: str, streams: ClipStreams, planted: TimeWarp) -> TimeWarp:
    """Align the sound of a clip with its picture.

    Parameters
    ----------
    aligner : str
        One of `benchmarks.fusion.plan.ALIGNERS`.
    streams : ClipStreams
        The clip as it is heard and seen.
    planted : TimeWarp
        How the sound was moved; only the oracle looks at it.

    Returns
    -------
    TimeWarp
        From the picture's clock to the sound's.
    """
    if aligner == "oracle":
        return planted
    try:
        return _FINDERS[aligner](streams)
    except AvalignError:
        return _IN_PLACE


def _lag_search(streams: ClipStreams) -> TimeWarp:
    """Move the sound by the best lag, unless it may well be in sync as it is."""
    found = align_streams(streams, max_lag_s=REACH_S).alignment
    if found is None or may_be_in_sync(found):
        return _IN_PLACE
    return TimeWarp(np.zeros(1), np.array([found.audio_lag_s]))


def _raw_dtw(streams: ClipStreams) -> TimeWarp:
    """Match rows that have no metric in common: MFCC and the lips' principal components."""
    lips, sound = streams.lips[0], streams.mfcc
    seen, seen_valid, seen_s = to_uniform(lips, _RAW_RATE_HZ)
    heard, heard_valid, heard_s = to_uniform(sound, _RAW_RATE_HZ)
    if min(np.count_nonzero(seen_valid), np.count_nonzero(heard_valid)) < 2:
        return _IN_PLACE
    found = dtw.path(
        _standardised(_components(seen)),
        _standardised(heard[:, :_RAW_COLUMNS]),
        radius=round(REACH_S * _RAW_RATE_HZ),
    )
    clocks_s = (
        start_s + np.arange(len(rows)) / _RAW_RATE_HZ
        for rows, start_s in ((seen, seen_s), (heard, heard_s))
    )
    return path_warp(found.path, *clocks_s)


def _components(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = rows - rows.mean(axis=0)
    _, _, basis = np.linalg.svd(centred, full_matrices=False)
    # A direction has no sign of its own: that of its largest number is taken.
    basis = basis[:_RAW_COLUMNS]
    largest = np.abs(basis).argmax(axis=1)
    signs = np.sign(basis[np.arange(len(basis)), largest])
    components: NDArray[np.float32] = centred @ (basis * signs[:, None]).T
    return components


def _standardised(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6)
    return scaled


def _shared_dtw(streams: ClipStreams) -> TimeWarp:
    lips = streams.lips[0]
    seen = usable(lips)
    if np.count_nonzero(seen) < 2:
        return _IN_PLACE
    pair = pair_lips(lips, seen, streams.mfcc)
    pair = replace(pair, kind=replace(pair.kind, max_lag_s=REACH_S))
    return align_pair(pair).warp or _IN_PLACE


_FINDERS: Mapping[str, Callable[[ClipStreams], TimeWarp]] = {
    "none": lambda streams: _IN_PLACE,
    "lag_search": _lag_search,
    "raw_dtw": _raw_dtw,
    "shared_dtw": _shared_dtw,
}


def _align(task: _Task) -> dict[str, list[list[float]]]:
    """Align one clip in all scenes; the warps as knots, which JSON can hold."""
    found = {}
    heard = {
        level: mfcc_and_speech(iter([task.clip.sound_at(level)]))
        for level in {scene.snr_db for scene in task.scenes}
    }
    for scene in task.scenes:
        planted = task.clip.planted(scene.misalignment)
        mfcc, speech = (moved(stream, planted) for stream in heard[scene.snr_db])
        streams = replace(task.clip.streams, mfcc=mfcc, speech=speech)
        warp = find_warp(scene.aligner, streams, planted)
        knots = np.stack([warp.reference_s, warp.other_s])
        found[scene.rows_key] = knots.round(6).tolist()
    return found


def _read(path: Path) -> dict[str, dict[str, list[list[float]]]]:
    if not path.exists():
        return {}
    kept: dict[str, dict[str, list[list[float]]]] = json.loads(path.read_text("utf-8"))
    return kept


def _write(kept: dict[str, dict[str, list[list[float]]]], path: Path) -> None:
    with atomic_output(path, True) as temporary:
        temporary.write_text(json.dumps(kept), encoding="utf-8")
