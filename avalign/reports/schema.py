"""JSON schema 1: a report as the plain object that leaves the house."""

from __future__ import annotations

import hashlib
import json
import math
from functools import cache
from importlib import metadata, resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avalign.reports import AlignReport, SyncReport
    from avalign.types import Alignment, FaceAlignment, TimeWarp

SCHEMA = 1
MODEL_FILES = ("space.safetensors", "calibration.json")


def to_dict(report: SyncReport) -> dict[str, Any]:
    """Turn a report into the object of JSON schema 1.

    Parameters
    ----------
    report : SyncReport
        The answer about one file.

    Returns
    -------
    dict
        Plain numbers, strings, lists and dictionaries; None wherever something
        is not known, never NaN. Times named ``_ms`` are in milliseconds, and a
        positive ``audio_lag_ms`` means that the audio is late. Without an
        answer ``confidence`` and ``at_edge`` are those of the best guess.
    """
    answer = report.alignment
    face = best_guess(report)
    guess = answer or (face.alignment if face else None)
    return {
        "schema": SCHEMA,
        "file": report.file,
        "status": report.status,
        "reason": report.reason,
        "audio_lag_ms": _milliseconds(answer),
        "interval_ms": _interval_ms(answer),
        "confidence": _number(guess.confidence if guess else None, 4),
        "at_edge": guess.at_edge if guess else None,
        "verdict": report.verdict,
        "tolerance": report.tolerance,
        "output": report.output,
        "planned": report.planned,
        "residual_ms": _number(report.residual_ms, 1),
        "residual_quarters_ms": _quarters(report.residual_quarters_ms),
        "duration_s": _number(report.duration_s, 3),
        "speech_s": _number(report.speech_s, 2),
        "face_coverage": _number(report.face_coverage, 4),
        "frame_rate": _number(report.frame_rate, 3),
        "video_track": report.video_track,
        "audio_track": report.audio_track,
        "channel": report.channel,
        "faces": [_face(face, report) for face in report.faces],
        "segments": None,
        "drift_ppm": _number(answer.drift_ppm if answer else None, 1),
        "notes": list(report.notes),
        "versions": dict(versions()),
        "elapsed_s": _number(report.elapsed_s, 3),
    }


def align_to_dict(report: AlignReport) -> dict[str, Any]:
    """Turn a report on two recordings into a plain object.

    Parameters
    ----------
    report : AlignReport
        The answer about two recordings.

    Returns
    -------
    dict
        Plain numbers, strings, lists and dictionaries, as of `to_dict`. A positive lag
        means that the other recording is late against the reference.
    """
    answer = report.alignment
    warp = answer.warp if answer else None
    paces = None
    if warp is not None:
        # A jump has no pace.
        steps = [
            pace
            for piece in warp.pieces
            for pace in (piece.other_s[1:] - piece.other_s[:-1])
            / (piece.reference_s[1:] - piece.reference_s[:-1])
        ]
        paces = [_number(float(min(steps)), 4), _number(float(max(steps)), 4)]
    return {
        "schema": SCHEMA,
        "reference": report.reference,
        "other": report.other,
        "to": report.to,
        "status": report.status,
        "reason": report.reason,
        "model": answer.model if answer else None,
        "lag_ms": _milliseconds(answer),
        "lag_range_ms": _interval_ms(answer),
        "pace_range": paces,
        "drift_ppm": _number(answer.drift_ppm if answer else None, 1),
        "jumps": _jumps(warp) if warp is not None else None,
        "confidence": _number(report.confidence, 4),
        "output": report.output,
        "residual_ms": _number(report.residual_ms, 1),
        "residual_quarters_ms": _quarters(report.residual_quarters_ms),
        "duration_s": _number(report.duration_s, 3),
        "overlap_s": _number(answer.diagnostics["overlap_s"] if answer else None, 2),
        "notes": list(report.notes),
        "versions": dict(versions()),
        "elapsed_s": _number(report.elapsed_s, 3),
    }


def to_json(report: SyncReport | AlignReport) -> str:
    """Write a report as one line of JSON.

    Parameters
    ----------
    report : SyncReport or AlignReport
        The answer about one file, or about two recordings.

    Returns
    -------
    str
        The object of `to_dict` or `align_to_dict`, without a line break.
    """
    from avalign.reports import AlignReport

    plain = align_to_dict(report) if isinstance(report, AlignReport) else to_dict(report)
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def best_guess(report: SyncReport) -> FaceAlignment | None:
    """Find the face whose alignment describes a report, trusted or not.

    Parameters
    ----------
    report : SyncReport
        The answer about one file.

    Returns
    -------
    FaceAlignment or None
        The matching face; without an answer, the face that fits the sound best;
        None where no face could be aligned at all.
    """
    wanted = report.best_face if report.face is None else report.face
    aligned = (face for face in report.faces if face.alignment is not None)
    return next((face for face in aligned if face.track_id == wanted), None)


@cache
def versions() -> dict[str, str | None]:
    """Name what measured.

    Returns
    -------
    dict
        Versions of avalign and mediapipe, and the name of the shipped
        audio-lip model; None for what is not installed.
    """
    return {
        "avalign": _installed("avalign"),
        "mediapipe": _installed("mediapipe"),
        "model": model_name(),
    }


def model_name() -> str | None:
    """Name the shipped weights of the audio-lip space.

    Returns
    -------
    str or None
        ``"space-"`` and the start of the SHA-256 of weights and calibration, so
        that reports with the same name come from the same numbers; None if
        they are not installed.
    """
    folder = resources.files("avalign.space") / "weights"
    files = [folder / name for name in MODEL_FILES]
    if not all(file.is_file() for file in files):
        return None
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files))
    return f"space-{digest.hexdigest()[:8]}"


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _face(face: FaceAlignment, report: SyncReport) -> dict[str, Any]:
    alignment = face.alignment
    return {
        "track_id": face.track_id,
        "place": face.place,
        "box": [_number(edge, 4) for edge in face.box],
        "coverage": _number(face.coverage, 4),
        "audio_lag_ms": _milliseconds(alignment),
        "interval_ms": _interval_ms(alignment),
        "confidence": _number(alignment.confidence if alignment else None, 4),
        "matched": report.alignment is not None and face.track_id == report.face,
    }


def _milliseconds(alignment: Alignment | None) -> float | None:
    return _number(1000.0 * alignment.audio_lag_s, 1) if alignment else None


def _interval_ms(alignment: Alignment | None) -> list[float | None] | None:
    return [_number(1000.0 * end, 1) for end in alignment.interval_s] if alignment else None


def _quarters(values: tuple[float | None, ...] | None) -> list[float | None] | None:
    return None if values is None else [_number(value, 1) for value in values]


def _jumps(warp: TimeWarp) -> list[dict[str, float | None]]:
    """Where what has no counterpart begins, and how much of it there is in either recording."""
    return [
        {
            "reference_s": _number(float(warp.reference_s[knot]), 3),
            "other_s": _number(float(warp.other_s[knot]), 3),
            "lag_change_ms": _number(1e3 * float(warp.lag_s[knot + 1] - warp.lag_s[knot]), 1),
        }
        for knot in warp.jumps
    ]


def _number(value: float | None, digits: int) -> float | None:
    """Round for people; NaN and infinity have no place in JSON."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0  # turns -0.0 into 0.0
