"""Streams on disk: one ``.npz`` per clip, numbers only, no picture and no sound.

The file is an ordinary NumPy archive (``numpy.load`` opens it), never a pickle: a JSON
header under ``header``, then each field of each stream under its name, such as
``mfcc.values`` or ``lips.0.landmarks``. A file from elsewhere is not trusted: sizes are
checked before anything is unpacked, and every array before it is used.
"""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from avalign.errors import MediaError, ParameterError
from avalign.files import in_one_line, parse_json
from avalign.types import ClipStreams, FeatureStream, LipStream

if TYPE_CHECKING:
    from numpy.typing import NDArray

AnyPath: TypeAlias = str | PathLike[str]

npy: Any = np.lib.format  # carries no types

FORMAT = "avalign-streams"
VERSION = 1
LONGEST_S = 24 * 3600.0
LARGEST_SIDE = 2**16  # of a picture
MAX_BYTES = 2**30  # unpacked; nine hours of one face at 30 pictures per second
MOST_COLUMNS = 256
LARGEST = 1e6  # decibels, pixels, degrees, distances between the eyes
HEADER = "header"
# Name, type and shape of the fields on disk; T is the number of rows, D is free.
Fields: TypeAlias = dict[str, tuple[str, tuple[str | int, ...]]]
FEATURE_FIELDS: Fields = {
    "values": ("<f4", ("T", "D")),
    "times_s": ("<f8", ("T",)),
    "valid": ("|b1", ("T",)),
}
SPEECH_FIELDS = FEATURE_FIELDS | {"values": ("<f4", ("T", 1))}
LIP_FIELDS = FEATURE_FIELDS | {
    "values": ("<f4", ("T", 123)),
    "landmarks": ("<f4", ("T", 41, 3)),
    "head_pose": ("<f4", ("T", 3)),
    "boxes": ("<f4", ("T", 4)),
}
# Files of before it was looked for do not have it.
MOUTH_FIELDS: Fields = {"mouth_log_odds": ("<f4", ("T",))}


def save_streams(streams: ClipStreams, path: AnyPath, *, overwrite: bool = False) -> None:
    """Write the streams of a clip to a ``.npz`` file.

    The same streams give the same bytes. The file appears complete or not at all.

    Parameters
    ----------
    streams : ClipStreams
        What `extract` returned.
    path : str or PathLike
        The file to write.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If the streams contradict themselves, so that `load_streams` would refuse them.
    MediaError
        If the file exists already or cannot be written.
    """
    from avalign.files import atomic_output

    if fault := _fault(streams):
        raise ParameterError(f"these streams cannot be saved: {fault}")
    header = {
        "format": FORMAT,
        "version": VERSION,
        "source": streams.source,
        "duration_s": float(streams.duration_s),
        "frame_rate": float(streams.frame_rate),
        "lips": [
            {
                "track_id": int(lips.track_id),
                "picture_size": [int(n) for n in lips.picture_size],
            }
            for lips in streams.lips
        ],
    }
    arrays = {HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for name, stream, fields in _named(streams):
        arrays |= {f"{name}.{field}": getattr(stream, field) for field in fields}
    with (
        atomic_output(path, overwrite) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, array in arrays.items():
            buffer = BytesIO()
            npy.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
            # ZipInfo carries a fixed date, so that the bytes do not depend on the clock.
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, buffer.getbuffer(), zipfile.ZIP_DEFLATED)


def load_streams(path: AnyPath) -> ClipStreams:
    """Read the streams that `save_streams` wrote; they are equal, bit for bit.

    Parameters
    ----------
    path : str or PathLike
        A ``.npz`` file, which need not be trusted.

    Returns
    -------
    ClipStreams
        The streams of the clip.

    Raises
    ------
    MediaError
        If the file cannot be read, is not of this format and version, would unpack to
        more than `MAX_BYTES`, or holds arrays that make no sense.
    """
    from avalign.files import local_file

    path = local_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(_Archive(archive))
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror or error}") from error
    except _NotStreams as error:
        raise MediaError(f"{path}: {error}", "make it with `avalign extract`") from error
    # ValueError: among others, a name that is not the UTF-8 it says it is.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise MediaError(
            f"{path}: is damaged or no streams file: {error}", "make it with `avalign extract`"
        ) from error


class _NotStreams(Exception):
    """What is wrong with the contents of a file, in words."""


class _Archive:
    """Arrays of an archive by name, checked for size before they are unpacked."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        plain = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
        if not {entry.compress_type for entry in archive.infolist()} <= plain:
            raise _NotStreams("is packed in a way that is not used here")
        total = sum(entry.file_size for entry in archive.infolist())
        if total > MAX_BYTES:
            raise _NotStreams(
                f"would unpack to {total / 2**20:.0f} MiB, the limit is {MAX_BYTES >> 20} MiB"
            )

    def holds(self, name: str) -> bool:
        return f"{name}.npy" in self._archive.namelist()

    def array(self, name: str, dtype: str) -> NDArray[Any]:
        try:
            entry = self._archive.getinfo(f"{name}.npy")
        except KeyError:
            raise _NotStreams(f"holds no {name!r}, so it is no streams file") from None
        with self._archive.open(entry) as stream:
            try:
                npy.read_magic(stream)
                shape, fortran, found = npy.read_array_header_1_0(stream)
            except Exception as error:  # NumPy's parser names no complete list
                raise _NotStreams(f"{name!r} is no array: {in_one_line(error)}") from error
            if found.str != dtype or fortran:
                raise _NotStreams(f"{name!r} has the type {found.str}, not {dtype}")
            # Held against the limits in Python's integers, which do not overflow, before
            # anything is unpacked.
            if max(shape[1:], default=0) > MOST_COLUMNS:
                raise _NotStreams(
                    f"{name!r} has the shape {shape}, wider than {MOST_COLUMNS} columns"
                )
            size = entry.file_size - stream.tell()
            if min(shape, default=0) < 0 or math.prod(shape) * found.itemsize != size:
                raise _NotStreams(f"{name!r} is shorter or longer than its shape {shape}")
            data = stream.read(size)
        if len(data) != size:
            raise _NotStreams(f"{name!r} ends early")
        return np.frombuffer(data, found).reshape(shape).copy()


def _read(archive: _Archive) -> ClipStreams:
    header = _header(archive)

    def fields(name: str, table: Fields) -> dict[str, NDArray[Any]]:
        return {field: archive.array(f"{name}.{field}", table[field][0]) for field in table}

    try:
        streams = ClipStreams(
            mfcc=FeatureStream(**fields("mfcc", FEATURE_FIELDS), kind="mfcc"),
            speech=FeatureStream(**fields("speech", SPEECH_FIELDS), kind="speech"),
            lips=tuple(
                LipStream(
                    **fields(f"lips.{i}", LIP_FIELDS),
                    **fields(
                        f"lips.{i}",
                        MOUTH_FIELDS if archive.holds(f"lips.{i}.mouth_log_odds") else {},
                    ),
                    kind="lips",
                    track_id=face["track_id"],
                    picture_size=tuple(face["picture_size"]),
                )
                for i, face in enumerate(header["lips"])
            ),
            source=header["source"],
            duration_s=header["duration_s"],
            frame_rate=header["frame_rate"],
        )
    except (KeyError, TypeError) as error:
        raise _NotStreams(f"its header is incomplete: {error}") from error
    if fault := _fault(streams):
        raise _NotStreams(fault)
    return streams


def _header(archive: _Archive) -> dict[str, Any]:
    try:
        header = parse_json(archive.array(HEADER, "|u1").tobytes(), file_names=True)
    except ValueError as error:
        raise _NotStreams(f"its header cannot be read: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise _NotStreams(f"its header does not name the format {FORMAT!r}")
    if header.get("version") != VERSION:
        raise _NotStreams(
            f"is of version {header.get('version')!r}; this avalign reads version {VERSION}"
        )
    return header


def _named(streams: ClipStreams) -> list[tuple[str, FeatureStream, Fields]]:
    return [
        ("mfcc", streams.mfcc, FEATURE_FIELDS),
        ("speech", streams.speech, SPEECH_FIELDS),
        *(
            (
                f"lips.{i}",
                lips,
                LIP_FIELDS if lips.mouth_log_odds is None else LIP_FIELDS | MOUTH_FIELDS,
            )
            for i, lips in enumerate(streams.lips)
        ),
    ]


def _fault(streams: ClipStreams) -> str | None:
    """Name the first thing that is wrong with the streams, or None."""
    for name, stream, fields in _named(streams):
        if fault := _stream_fault(stream, fields):
            return f"{name}: {fault}"
        if stream.kind != name.split(".")[0]:
            return f"{name}: its kind is {stream.kind!r}"
    if not np.array_equal(streams.mfcc.times_s, streams.speech.times_s):
        return "speech: its times are not those of mfcc"
    for i, lips in enumerate(streams.lips):
        if not _is_whole(lips.track_id, 0, 2**31):
            return f"lips.{i}: its track_id is {lips.track_id!r}"
        size = lips.picture_size
        if len(size) != 2 or not all(_is_whole(n, 1, LARGEST_SIDE) for n in size):
            return f"lips.{i}: its picture_size is {size!r}"
    for name in ("duration_s", "frame_rate"):
        value = getattr(streams, name)
        if not (isinstance(value, int | float) and 0 <= value < math.inf):
            return f"{name} is {value!r}"
    source: object = streams.source
    return None if isinstance(source, str) else f"source is {source!r}"


def _is_whole(number: object, least: int, most: int) -> bool:
    whole = isinstance(number, int | np.integer) and not isinstance(number, bool)
    return whole and least <= int(number) <= most  # type: ignore[call-overload]


def _stream_fault(stream: FeatureStream, fields: Fields) -> str | None:
    n_rows = stream.times_s.size
    for field, (dtype, axes) in fields.items():
        array = getattr(stream, field)
        if max(array.shape[1:], default=0) > MOST_COLUMNS:
            return f"{field} has the shape {array.shape}, wider than {MOST_COLUMNS} columns"
        if array.dtype.str != dtype:
            return f"{field} has the type {array.dtype.str}, not {dtype}"
        expected = tuple(n_rows if axis == "T" else axis for axis in axes)
        if array.ndim != len(axes) or any(
            n not in (found, "D") for n, found in zip(expected, array.shape, strict=True)
        ):
            return f"{field} has the shape {array.shape}, not {expected}"
    if not (np.isfinite(stream.times_s).all() and (np.diff(stream.times_s) > 0).all()):
        return "times_s does not increase strictly, or is not finite"
    if n_rows and float(stream.times_s[-1]) - float(stream.times_s[0]) > LONGEST_S:
        return f"times_s spans more than {LONGEST_S / 3600:g} hours; cut the recording in parts"
    if not np.isfinite(stream.values[stream.valid]).all():
        return "values is not finite in rows that are marked as valid"
    for field, (dtype, _) in fields.items():
        if dtype == "<f4" and (np.abs(getattr(stream, field)[stream.valid]) > LARGEST).any():
            return f"{field} holds numbers beyond {LARGEST:g}"
    return None
