"""Where lags are found and where not: accuracy by source, language, face, picture and sound."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from avalign.data import ManifestRow, SourceClip
from avalign.media import probe
from avalign.plots import FAINT, INK, LIPS, new_figure, save_png
from avalign.types import coverage
from benchmarks.cases import Clip, Result
from benchmarks.statistics import bootstrap
from benchmarks.tables import WITHIN_S, Bar, Row, Table

__all__ = ["describe_clip", "draw_slices", "slice_table"]

LENGTH_S = 5.0
# A slice with fewer speakers says more about them than about itself.
SPEAKERS, BAR = 5, Bar(94)
GRADED, UNKNOWN = ("source", "language"), "unknown"
SPEECH = 0.5
SEPARATOR = ": "


def describe_clip(row: ManifestRow, clip: SourceClip) -> dict[str, str]:
    """Say to which slices a clip belongs.

    Parameters
    ----------
    row : ManifestRow
        What the manifest says of it.
    clip : SourceClip
        Streams and samples.

    Returns
    -------
    dict of str to str
        The slice of each kind, such as ``{"language": "pt", "frames per second": "24 to 27"}``.
    """
    slices = {"source": row.dataset or UNKNOWN, "language": row.language or UNKNOWN}
    picture = probe(row.path).video_tracks[0]
    pixels_per_s = picture.width * picture.height * clip.streams.frame_rate
    bits_per_s = 8 * row.path.stat().st_size / max(clip.streams.duration_s, 0.1)
    slices["bits per pixel"] = _range(bits_per_s / max(pixels_per_s, 1.0), 0.05, 0.15)
    slices["frames per second"] = _range(clip.streams.frame_rate, 24, 28, 31)
    speech = clip.streams.speech
    audio = clip.audio
    times_s = audio.start_s + np.arange(len(audio.samples)) / audio.sample_rate_hz
    spoken = np.interp(times_s, speech.times_s, speech.values[:, 0]) > SPEECH
    energy = np.square(audio.samples[spoken], dtype=np.float64).sum()
    level_db = 10 * float(np.log10(energy / max(1, spoken.sum()) + 1e-10))
    slices["speech level, dBFS"] = _range(level_db, -35, -25, -18)
    if clip.streams.lips:
        face = clip.streams.lips[0]
        width = (face.boxes[:, 2] - face.boxes[:, 0]) * face.picture_size[0]
        slices["face width, pixels"] = _range(float(np.median(width[face.valid])), 60, 120, 240)
        yaw_deg = np.abs(face.head_pose[face.valid, 0])
        slices["yaw, degrees"] = _range(float(np.median(yaw_deg)), 10, 25)
        slices["frames with lips, %"] = _range(100 * coverage(face), 80, 98)
    return slices


def _range(value: float, *edges: float) -> str:
    """Name the range that a number lies in."""
    names = [
        f"below {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
        f"from {edges[-1]:g}",
    ]
    return names[int(np.searchsorted(edges, value, side="right"))]


def slice_table(results: Iterable[Result], clips: Iterable[Clip]) -> Table:
    """Compute the accuracy in each slice.

    Parameters
    ----------
    results : iterable of Result
        What was measured.
    clips : iterable of Clip
        The clips it was measured on.

    Returns
    -------
    Table
        Natural windows of 5 s, one row per slice that has any.
    """
    by_name = {clip.name: clip for clip in clips}
    members: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        case = result.case
        if case.task == "natural" and abs(case.length_s - LENGTH_S) < 1e-6:
            for slice_ in by_name[case.clip].slices.items():
                members[slice_].append(result)
    rows = [
        _row(slice_, members[slice_], by_name)
        for slice_ in sorted(members, key=lambda slice_: (slice_[0], _order(slice_[1])))
    ]
    title = f"Natural, {LENGTH_S:g} s, within 40 ms by slice (no answer is a miss)"
    return Table(title, tuple(rows))


def _order(name: str) -> tuple[float, str]:
    """Sort ranges by their numbers, and all else by its name."""
    if name.startswith("below "):
        return -np.inf, name
    number = name.removeprefix("from ").split(" to ")[0]
    try:
        return float(number), name
    except ValueError:
        return np.inf, name


def _row(slice_: tuple[str, str], results: Sequence[Result], clips: Mapping[str, Clip]) -> Row:
    right = np.array([r.answered and abs(r.error_s) <= WITHIN_S for r in results])
    names = [r.case.clip for r in results]
    speakers = {clips[name].speaker for name in names}
    kind, name = slice_
    graded = kind in GRADED and name != UNKNOWN and len(speakers) >= SPEAKERS
    percent = bootstrap(names, lambda rows: 100.0 * float(right[rows].mean()))
    return Row(SEPARATOR.join(slice_), "%", percent, BAR if graded else None)


def draw_slices(table: Table, path: Path) -> None:
    """Draw the accuracy of each slice with its interval, and that of all for comparison.

    Parameters
    ----------
    table : Table
        Made by `slice_table`.
    path : Path
        The PNG to write; one that exists is replaced.
    """
    kinds = [
        (kind, list(rows))
        for kind, rows in groupby(table.rows, lambda row: row.what.split(SEPARATOR)[0])
    ]
    lines = len(table.rows) + len(kinds)
    height = 0.8 + 0.21 * lines
    figure = new_figure(7.0, height)
    axes = figure.add_axes((0.34, 0.55 / height, 0.60, 1 - 0.75 / height))
    heading = {"color": INK, "weight": "bold", "fontsize": 8, "ha": "right", "va": "center"}
    place, places, labels = 0, [], []
    for kind, rows in kinds:
        axes.text(-0.02, place, kind, transform=axes.get_yaxis_transform(), **heading)
        place += 1
        for row in rows:
            number = row.estimate
            axes.plot([number.low, number.high], [place, place], color=FAINT, linewidth=1.5)
            axes.plot(number.value, place, "o", color=LIPS, markersize=4)
            places.append(place)
            labels.append(f"{row.what.split(SEPARATOR)[1]}  ({number.groups})")
            place += 1
    axes.set_yticks(places, labels, fontsize=8, color=INK)
    axes.set_ylim(place - 0.4, -0.6)
    axes.set_xlim(0, 101)
    axes.set_xlabel(
        "% within 40 ms in 5 s, with 95 % intervals (in brackets: clips)", fontsize=8
    )
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color=FAINT, alpha=0.3)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    save_png(figure, path, overwrite=True)
