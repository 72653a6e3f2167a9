"""``python -m benchmarks hidden-mouths``: mouths behind masks, blur, hands and microphones.

What hides a mouth is painted over people who show theirs (`benchmarks.mouth_looks`). With
``--fit``, what `avalign.vision.mouth` weighs mouths with is first fitted to the split train;
the report is on other speakers, behind what was not learnt from.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

import avalign
from avalign.data import Manifest, read_manifest
from avalign.errors import ParameterError
from avalign.files import atomic_output
from avalign.media import Frame, iter_frames, open_video_writer, probe, read_audio
from avalign.processes import cores, for_each
from avalign.reports import SyncReport
from avalign.streams import extract, save_streams
from avalign.train.space import logistic_regression
from avalign.types import ANALYSED_SIDE, AudioStream
from avalign.vision import (
    MOUTH_WEIGHTS,
    RIGID,
    FaceFinder,
    FaceMesh,
    FaceTracker,
    Region,
    mouth_features,
    to_layout,
)
from benchmarks.mouth_looks import HELD_OUT, IN_VIEW, LEARNT, paint
from benchmarks.results import write_rows, write_tables
from benchmarks.statistics import Estimate, bootstrap
from benchmarks.sync import benchmark_rows, console, print_tables
from benchmarks.tables import Bar, Row, Table

__all__ = ["run_hidden_mouths"]

Found = TypeVar("Found")

# Pictures that are learnt from, evenly over the first seconds of each clip.
PICTURES, OVER_S = 10, 15.0
# Those without a look count as much as all that hide, the other two a third of that.
IN_VIEW_WEIGHT = 1 / 3
# Small faces are like blurred ones: each picture is learnt from at this size as well.
SMALL_EYE_DISTANCE = 18.0
RIDGE = 0.1
# A new face is fitted until its region has settled, as `avalign.vision.tracker` does.
SETTLING_FITS = 3


def run_hidden_mouths(
    data: Path,
    *,
    out: Path,
    split: str = "dev",
    seconds: float = 10.0,
    looks: Sequence[str] = HELD_OUT,
    fit: bool = False,
) -> tuple[Table, ...]:
    """Measure, print the tables, and write ``hidden-mouths.json`` and ``.csv``.

    Parameters
    ----------
    data : Path
        Manifest of the clips.
    out : Path
        Folder to write to.
    split : str
        Which rows of the manifest to report on; ``"all"`` takes every one.
    seconds : float
        How much of the beginning of each clip is painted over and checked.
    looks : sequence of str
        What to hide mouths behind.
    fit : bool
        First fit the weights to the split train, and replace those of the package.

    Returns
    -------
    tuple of Table
        What was printed.
    """
    manifest = read_manifest(data)
    rows = benchmark_rows(manifest, split)
    if not rows:
        raise ParameterError(f"{data} holds no clips of the split {split!r} to measure")
    if fit:
        fit_weights(manifest)
    clips = [(row.path, manifest.name_of(row)) for row in rows]
    check = partial(check_clip, seconds=seconds, looks=looks)
    results = [row for found in _spread(check, clips, "checking clips") for row in found]
    tables = (_table(results, looks),)
    print_tables(tables)
    settings = {"split": split, "seconds": seconds, "looks": list(looks)}
    write_tables(tables, settings, out / "hidden-mouths.json")
    write_rows(results, out / "hidden-mouths.csv")
    return tables


def fit_weights(manifest: Manifest, path: Path = MOUTH_WEIGHTS) -> None:
    """Fit the weights of `avalign.vision.mouth` to the split train, where its terms allow.

    Parameters
    ----------
    manifest : Manifest
        All clips.
    path : Path, optional
        The file to write; what was there is replaced.
    """
    from safetensors.numpy import save_file

    features: list[NDArray[np.float32]] = []
    seen: list[float] = []
    weights: list[float] = []
    rows = [row for row in benchmark_rows(manifest, "train") if row.weights_ok]
    clips = [(row.path, manifest.name_of(row)) for row in rows]
    for found in _spread(_clip_features, clips, "painting pictures"):
        sizes = {look: sum(look == other for other, _ in found) for look, _ in found}
        for look, described in found:
            features.append(described)
            seen.append(float(look not in LEARNT))
            weight = 1 / len(LEARNT) if look in LEARNT else 1.0
            weight = IN_VIEW_WEIGHT if look in IN_VIEW else weight
            weights.append(weight / sizes[look])
    table = np.array(features, np.float64)
    mean = np.average(table, axis=0, weights=weights)
    spread = np.sqrt(np.average((table - mean) ** 2, axis=0, weights=weights)) + 1e-6
    fitted = logistic_regression(
        (table - mean) / spread, np.array(seen), np.array(weights), ridge=RIDGE
    )
    slope = fitted[1:] / spread
    arrays = {
        "weights": slope.astype(np.float32),
        "bias": np.array([fitted[0] - slope @ mean], np.float32),
    }
    path.parent.mkdir(exist_ok=True)
    with atomic_output(path, True) as temporary:
        save_file(arrays, temporary)


def _spread(
    function: Callable[[tuple[Path, str]], Found], clips: Sequence[tuple[Path, str]], doing: str
) -> Iterator[Found]:
    """Call a function on each clip, a place and a name, on all cores; in their order."""
    outcomes = for_each(function, clips, jobs=cores(), caller="hidden-mouths", in_order=True)
    for _, found in track(outcomes, doing, len(clips), console=console):
        if isinstance(found, Exception):
            raise found
        yield found


def _clip_features(clip: tuple[Path, str]) -> list[tuple[str, NDArray[np.float32]]]:
    with FaceMesh() as mesh, FaceFinder() as finder:
        return list(_describe(*clip, mesh, finder))


def _describe(
    path: Path, name: str, mesh: FaceMesh, finder: FaceFinder
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Describe the largest face in some pictures, as it is and behind each look."""
    for frame in _some_frames(path):
        faces = finder.find(frame.image)
        landmarks = mesh.fit(frame.image, faces[0].region) if faces else None
        for _ in range(1, SETTLING_FITS):
            if landmarks is not None:
                landmarks = mesh.fit(frame.image, Region.around(landmarks))
        if landmarks is None:
            continue
        for look in ("", *IN_VIEW, *LEARNT):
            image, placed = frame.image, landmarks
            if look:
                image = paint(look, image, landmarks, time_s=frame.time_s, clip=name)
                # As in a video, in which the mesh follows what it has invented itself.
                invented: NDArray[np.float32] | None = landmarks
                for _ in range(SETTLING_FITS):
                    if invented is not None:
                        invented = mesh.fit(image, Region.around(invented))
                if invented is None:
                    continue
                placed = invented
            yield look, mouth_features(image, placed)
            scale = SMALL_EYE_DISTANCE / _eye_distance(placed)
            if scale < 1:
                small = cv2.resize(
                    image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
                )
                yield look, mouth_features(small, placed * np.float32(scale))


def _some_frames(path: Path) -> Iterator[Frame]:
    period_s = min(OVER_S, probe(path).duration_s or OVER_S) / PICTURES
    due_s = None
    for frame in iter_frames(path, max_side=ANALYSED_SIDE):
        due_s = frame.time_s + period_s / 2 if due_s is None else due_s
        if frame.time_s >= due_s:
            yield frame
            due_s += period_s
            if due_s > OVER_S + frame.time_s:
                return


def _eye_distance(landmarks: NDArray[np.float32]) -> float:
    rigid = landmarks[None, RIGID]
    return float(to_layout(rigid, rigid)[1][0])


def check_clip(
    clip: tuple[Path, str], seconds: float, looks: Sequence[str]
) -> list[dict[str, object]]:
    """Check the beginning of a clip as it is, without judging mouths, and behind each look.

    Parameters
    ----------
    clip : tuple of Path and str
        The clip, and its name in the manifest.
    seconds : float
        How much of it.
    looks : sequence of str
        What to hide mouths behind.

    Returns
    -------
    list of dict
        What was answered: first with ``look`` empty, ``judged`` false and true.
    """
    path, name = clip
    start_s = probe(path).video_tracks[0].start_s
    end_s = start_s + seconds
    sound = read_audio(path)
    kept = sound.samples[: max(0, round((end_s - sound.start_s) * sound.sample_rate_hz))]
    sound = replace(sound, samples=kept)
    faces: dict[int, list[NDArray[np.float32]]] = {}
    with FaceTracker(4) as tracker:
        span = tracker.follow(iter_frames(path, max_side=ANALYSED_SIDE, end_s=end_s))
    for face in span.tracks if span else ():
        for row, landmarks in zip(face.indices, face.landmarks, strict=True):
            faces.setdefault(row, []).append(landmarks)
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        for look in ("", *looks):
            video = Path(folder) / "clip.mp4"
            _write(video, path, end_s, sound, faces, look, name)
            streams = extract(video)
            for judged in (True,) if look else (False, True):
                lips = streams.lips
                if not judged:
                    lips = tuple(replace(face, mouth_log_odds=None) for face in lips)
                numbers = Path(folder) / "clip.npz"
                save_streams(replace(streams, lips=lips), numbers, overwrite=True)
                answers.append(_answer(name, look, judged, avalign.check(numbers)))
    return answers


def _write(
    video: Path,
    path: Path,
    end_s: float,
    sound: AudioStream,
    faces: dict[int, list[NDArray[np.float32]]],
    look: str,
    name: str,
) -> None:
    picture = probe(path).video_tracks[0]
    frames = iter_frames(path, max_side=ANALYSED_SIDE, end_s=end_s)
    first = next(frames)
    height, width = (2 * (side // 2) for side in first.image.shape[:2])
    with open_video_writer(
        video,
        size=(width, height),
        frame_rate=float(picture.frame_rate or 25),
        sample_rate_hz=sound.sample_rate_hz,
        overwrite=True,
    ) as writer:
        writer.write_audio(sound)
        for row, frame in enumerate((first, *frames)):
            image = frame.image
            for landmarks in faces.get(row, ()) if look else ():
                image = paint(look, image, landmarks, time_s=frame.time_s, clip=name)
            writer.write_frame(np.ascontiguousarray(image[:height, :width]), frame.time_s)


def _answer(clip: str, look: str, judged: bool, report: SyncReport) -> dict[str, object]:
    best = report.alignment
    return {
        "clip": clip,
        "look": look,
        "judged": judged,
        "verdict": report.verdict or "",
        "lag_ms": "" if best is None else f"{1000 * best.audio_lag_s:.1f}",
        "confidence": "" if best is None else f"{best.confidence:.3f}",
        "coverage": f"{max((face.coverage for face in report.faces), default=0.0):.3f}",
        "reason": report.reason or "",
    }


def _table(results: Sequence[dict[str, object]], looks: Sequence[str]) -> Table:
    def fraction(what: str, chosen: Sequence[dict[str, object]], bar: Bar | None) -> Row:
        clips = [str(result["clip"]) for result in chosen]
        verdict = np.array([bool(result["verdict"]) for result in chosen])
        return Row(
            what, "%", bootstrap(clips, lambda rows: 100 * float(verdict[rows].mean())), bar
        )

    before = [r for r in results if not r["judged"]]
    plain = {r["clip"]: r for r in results if not r["look"] and r["judged"]}
    had = [r for r in before if r["verdict"]]
    lost = sum(not plain[r["clip"]]["verdict"] for r in had)
    hidden = [r for r in results if r["look"]]
    return Table(
        "Clips with a verdict, by what hides the mouth",
        (
            fraction("nothing, mouths not judged", before, None),
            fraction("nothing", list(plain.values()), None),
            Row(
                "verdicts lost",
                "%",
                Estimate(100 * lost / max(1, len(had)), np.nan, np.nan, len(had), len(had)),
                Bar(high=1),
            ),
            *(fraction(x, [r for r in hidden if r["look"] == x], None) for x in looks),
            fraction("all that hides", hidden, Bar(high=2)),
        ),
    )
