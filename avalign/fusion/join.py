"""From an alignment and its streams to batches in which equal rows are simultaneous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.errors import ParameterError
from avalign.space import frames_at
from avalign.types import AlignedSequence, Alignment, FeatureStream, TimeWarp

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Three days at 50 rows per second: a clock that runs on for longer is broken.
_MOST_ROWS = 13_000_000


def from_alignment(
    alignment: Alignment | TimeWarp | None,
    audio_stream: FeatureStream | None,
    lip_stream: FeatureStream | None,
    *,
    rate_hz: float = 50.0,
    with_audio: Mapping[str, FeatureStream] | None = None,
    with_picture: Mapping[str, FeatureStream] | None = None,
    span_s: tuple[float, float] | None = None,
) -> AlignedSequence:
    """Bring streams onto one clock, the picture's, the audio moved by its alignment.

    Row k of every stream then tells of the same instant. What a stream does not cover,
    and gaps longer than 0.2 s, are masked and 0.

    Parameters
    ----------
    alignment : Alignment, TimeWarp or None
        Where the audio lies against the picture: what `align_streams` or `compare`
        found, or a map from the picture's clock to the audio's, such as `path_warp` makes.
        None trusts the clocks as they are.
    audio_stream : FeatureStream or None
        The sound, at any rate; becomes ``"audio"``. None where there is none.
    lip_stream : FeatureStream or None
        The lips; becomes ``"lips"``. None where there is none.
    rate_hz : float, optional
        Rows per second wanted.
    with_audio, with_picture : mapping of str to FeatureStream, optional
        Further streams by name, on the audio's clock (such as a transcript of it) or on
        the picture's.
    span_s : tuple of float, optional
        First and last instant wanted, by the picture's clock; default all that any
        stream covers.

    Returns
    -------
    AlignedSequence
        The streams, their common clock, and where each is valid.

    Raises
    ------
    ParameterError
        If there is no stream, a name comes twice, a row that counts is not finite, the
        alignment is not one lag and has no warp, or rate or span cannot be used.
    """
    warp = _find_warp(alignment)
    on_audio = _name_streams("audio", audio_stream, with_audio)
    on_video = _name_streams("lips", lip_stream, with_picture)
    if both := sorted(on_audio.keys() & on_video.keys()):
        raise ParameterError(
            f"the name {both[0]!r} comes twice", "give each stream its own name"
        )
    if not on_audio and not on_video:
        raise ParameterError("there is no stream to join", "give the sound, the lips or both")
    if not (np.isfinite(rate_hz) and rate_hz > 0):
        raise ParameterError(f"{rate_hz:g} rows per second cannot be made", "try 50")
    for name, stream in {**on_audio, **on_video}.items():
        _check_stream(name, stream)

    times_s = _common_clock(on_audio, on_video, warp, rate_hz, span_s)
    sampled = {name: frames_at(stream, times_s) for name, stream in on_video.items()}
    audio_times_s = warp.to_other(times_s)
    sampled |= {name: frames_at(stream, audio_times_s) for name, stream in on_audio.items()}
    return AlignedSequence(
        {name: values for name, (values, _) in sampled.items()},
        times_s,
        {name: valid for name, (_, valid) in sampled.items()},
    )


def path_warp(
    path: ArrayLike, picture_times_s: ArrayLike, audio_times_s: ArrayLike
) -> TimeWarp:
    """Turn a warping path between two streams into a map between their clocks.

    Parameters
    ----------
    path : array-like of shape (K, 2), int
        Rows of the picture's stream against rows of the audio's, neither going back; what
        `avalign.dtw.path` and the aligners of `avalign.align` find.
    picture_times_s, audio_times_s : array-like of float
        Times of the rows of both streams.

    Returns
    -------
    TimeWarp
        From the picture's clock to the audio's. Where several rows of one stream meet one
        row of the other, their mean time is taken.

    Raises
    ------
    ParameterError
        If the path goes back, or leaves the streams.
    """
    steps = np.asarray(path)
    clocks = [np.asarray(times, np.float64) for times in (picture_times_s, audio_times_s)]
    if (
        steps.ndim != 2
        or steps.shape[1] != 2
        or len(steps) == 0
        or steps.dtype.kind not in "iu"
    ):
        raise ParameterError(
            f"a path of shape {steps.shape} and type {steps.dtype} is none",
            "give pairs of rows, shape (K, 2), integers",
        )
    if (np.diff(steps, axis=0) < 0).any():
        raise ParameterError("the path goes back in time", "give a monotone path")
    for column, clock in enumerate(clocks):
        if steps[0, column] < 0 or steps[-1, column] >= len(clock):
            raise ParameterError(
                f"the path runs from row {steps[0, column]} to {steps[-1, column]} of a stream "
                f"with {len(clock)} rows",
                "give the clocks of the streams that were aligned, the picture's first",
            )
    knots = np.column_stack([clock[steps[:, at]] for at, clock in enumerate(clocks)])
    for column in (0, 1):
        knots = _average_equals(knots, column)
    return TimeWarp(knots[:, 0], knots[:, 1])


@dataclass(frozen=True, slots=True, eq=False)
class AlignedBatch:
    """Aligned sequences of several clips, padded to one length.

    Parameters
    ----------
    streams : dict of str to Tensor of shape (B, T, D), float32
        Rows of each stream; 0 where masked.
    masks : dict of str to Tensor of shape (B, T), bool
        Where each stream has something to say; False in the padding.
    present : dict of str to Tensor of shape (B,), bool
        Which clips have the stream at all.
    lengths : Tensor of shape (B,), int64
        Rows of each clip, without padding.
    """

    streams: dict[str, torch.Tensor]
    masks: dict[str, torch.Tensor]
    present: dict[str, torch.Tensor]
    lengths: torch.Tensor

    def to(self, device: torch.device | str) -> AlignedBatch:
        """Move all tensors to a device.

        Parameters
        ----------
        device : torch.device or str
            Where to.

        Returns
        -------
        AlignedBatch
            The same batch there.
        """
        streams, masks, present = (
            {name: tensor.to(device) for name, tensor in part.items()}
            for part in (self.streams, self.masks, self.present)
        )
        return AlignedBatch(streams, masks, present, self.lengths.to(device))


def collate(
    sequences: Sequence[AlignedSequence], *, dims: Mapping[str, int] | None = None
) -> AlignedBatch:
    """Pad aligned sequences to one length and stack them.

    Parameters
    ----------
    sequences : sequence of AlignedSequence
        Clips, of any lengths; a stream may be missing from some.
    dims : mapping of str to int, optional
        Streams and columns of the model that the batch is for, so that a stream that no
        clip has is there, too; default the streams that any clip has.

    Returns
    -------
    AlignedBatch
        The tensors; ``fusion(batch.streams, batch.masks, batch.present)`` takes them.

    Raises
    ------
    ParameterError
        If there is no sequence, or a stream's columns differ.
    """
    if not sequences:
        raise ParameterError("there is nothing to collate", "give at least one sequence")
    columns = dict(dims or {})
    for sequence in sequences:
        for name, values in sequence.streams.items():
            if columns.setdefault(name, values.shape[1]) != values.shape[1]:
                raise ParameterError(
                    f"stream {name!r} has shape {values.shape}, not (T, {columns[name]})",
                    "give all clips the same features",
                )
    lengths = [len(sequence) for sequence in sequences]
    shape = len(sequences), max(lengths)
    streams = {name: torch.zeros(*shape, columns[name]) for name in sorted(columns)}
    masks = {name: torch.zeros(shape, dtype=torch.bool) for name in streams}
    for item, sequence in enumerate(sequences):
        for name, values in sequence.streams.items():
            streams[name][item, : len(values)] = torch.from_numpy(values)
            masks[name][item, : len(values)] = torch.from_numpy(sequence.masks[name])
    present = {name: mask.any(dim=1) for name, mask in masks.items()}
    return AlignedBatch(streams, masks, present, torch.tensor(lengths))


def bucket_batches(
    lengths: ArrayLike,
    batch_size: int,
    *,
    rows_per_batch: int | None = None,
    seed: int | None = None,
) -> list[NDArray[np.intp]]:
    """Put clips of similar length together, so that little of a batch is padding.

    Parameters
    ----------
    lengths : array-like of shape (N,), int
        Rows of each clip.
    batch_size : int
        Most clips in a batch.
    rows_per_batch : int, optional
        Most rows in a batch, padding counted; a longer clip is a batch of its own.
    seed : int, optional
        Shuffles the batches, and clips of equal length between them: the same seed, the
        same batches; pass another one for each epoch. Default shortest first.

    Returns
    -------
    list of ndarray of intp
        Indices of the clips of each batch; every clip is in exactly one.

    Raises
    ------
    ParameterError
        If a length or limit is not positive.
    """
    sizes = np.asarray(lengths)
    if sizes.ndim != 1 or (sizes.size and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
        raise ParameterError(
            f"lengths of shape {sizes.shape} and type {sizes.dtype} are not numbers of rows",
            "give one integer above 0 per clip",
        )
    for name, limit in (("batch_size", batch_size), ("rows_per_batch", rows_per_batch)):
        if limit is not None and limit < 1:
            raise ParameterError(f"{name} is {limit}", "it has to be 1 or more")
    generator = None if seed is None else np.random.default_rng(seed)
    order = np.arange(len(sizes)) if generator is None else generator.permutation(len(sizes))
    batches: list[list[int]] = []
    for item in order[np.argsort(sizes[order], kind="stable")]:
        # Lengths increase, so that each clip is the longest of its batch so far.
        filled = len(batches[-1]) + 1 if batches else 1
        if (
            not batches
            or filled > batch_size
            or (rows_per_batch is not None and filled * int(sizes[item]) > rows_per_batch)
        ):
            batches.append([])
        batches[-1].append(int(item))
    shuffled = range(len(batches)) if generator is None else generator.permutation(len(batches))
    return [np.array(batches[index], np.intp) for index in shuffled]


def _find_warp(alignment: Alignment | TimeWarp | None) -> TimeWarp:
    """Find the map from the picture's clock to the audio's."""
    if isinstance(alignment, TimeWarp):
        return alignment
    if alignment is not None and alignment.warp is not None:
        return alignment.warp
    if alignment is not None and alignment.model != "rigid":
        raise ParameterError(
            f"the alignment is {alignment.model} but has no warp",
            "pass path_warp(alignment.path, picture_times_s, audio_times_s)",
        )
    # The lag is known more finely than the rows of the path lie.
    lag_s = 0.0 if alignment is None else alignment.audio_lag_s
    return TimeWarp(np.zeros(1), np.array([lag_s]))


def _name_streams(
    name: str, stream: FeatureStream | None, further: Mapping[str, FeatureStream] | None
) -> dict[str, FeatureStream]:
    named = {} if stream is None else {name: stream}
    if further and name in further:
        raise ParameterError(f"the name {name!r} is taken", "name the further stream otherwise")
    return named | dict(further or {})


def _check_stream(name: str, stream: FeatureStream) -> None:
    shape, rows = stream.values.shape, len(stream)
    if len(shape) != 2 or shape[0] != rows or stream.valid.shape != (rows,):
        raise ParameterError(
            f"stream {name!r} has values of shape {shape} and a mask of shape "
            f"{stream.valid.shape} for {rows} times",
            f"give shapes ({rows}, D) and ({rows},)",
        )
    if not (np.isfinite(stream.times_s).all() and (np.diff(stream.times_s) > 0).all()):
        raise ParameterError(f"the times of stream {name!r} do not increase", "sort its rows")
    if not np.isfinite(stream.values[stream.valid]).all():
        raise ParameterError(
            f"stream {name!r} holds NaN or infinity in rows that are marked valid",
            "mark those rows as not valid",
        )


def _common_clock(
    on_audio: Mapping[str, FeatureStream],
    on_video: Mapping[str, FeatureStream],
    warp: TimeWarp,
    rate_hz: float,
    span_s: tuple[float, float] | None,
) -> NDArray[np.float64]:
    """Rows at an even pace that meet the first row of the picture, or of the audio."""
    ends_s = [_ends_s(stream) for stream in on_video.values()]
    ends_s += [warp.inverse.to_other(_ends_s(stream)) for stream in on_audio.values()]
    known_s = np.array([ends for ends in ends_s if len(ends)]).reshape(-1, 2)
    if span_s is not None:
        first_s, last_s = anchor_s, _ = span_s
        if not (np.isfinite(span_s).all() and first_s <= last_s):
            raise ParameterError(f"the span {span_s} is none", "give its begin, then its end")
    elif len(known_s):
        anchor_s, first_s, last_s = known_s[0, 0], known_s[:, 0].min(), known_s[:, 1].max()
    else:
        return np.zeros(0)
    before = np.floor((anchor_s - first_s) * rate_hz + 1e-6)
    after = np.floor((last_s - anchor_s) * rate_hz + 1e-6)
    if before + after >= _MOST_ROWS:
        raise ParameterError(
            f"{rate_hz:g} rows per second over {last_s - first_s:g} s are too many",
            "look at the clocks of the streams, or cut the clip",
        )
    return np.asarray(anchor_s + np.arange(-before, after + 1) / rate_hz)


def _ends_s(stream: FeatureStream) -> NDArray[np.float64]:
    """First and last time that counts; empty where none does."""
    return stream.times_s[stream.valid][[0, -1]] if stream.valid.any() else np.zeros(0)


def _average_equals(knots: NDArray[np.float64], column: int) -> NDArray[np.float64]:
    """Average the knots that are equal in a sorted column."""
    _, first, count = np.unique(knots[:, column], return_index=True, return_counts=True)
    sums = np.add.reduceat(knots, first, axis=0)
    return np.asarray(sums / count[:, None])
