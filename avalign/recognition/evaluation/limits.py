"""Limits within which a model's answers are given, measured on clips it has not learnt from.

They are stored in ``calibration.json`` beside the weights, with the hash of the weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from avalign.errors import MediaError
from avalign.files import is_there, local_file, read_json
from avalign.recognition.ctc.forced_alignment import WordTiming

CALIBRATION_NAME = "calibration.json"
WEIGHTS_NAME = "model.safetensors"
_LARGEST_BYTES = 2**20
_HINT = "remove it, and measure it anew: avalign evaluate --calibrate"


@dataclass(frozen=True, slots=True)
class Limit:
    """A misfit above which speech counts as outside the vocabulary.

    Parameters
    ----------
    misfit : float
        The limit; see `avalign.recognition.transcriber.Transcription`.
    believed : float
        Fraction of clips with known words below it.
    refused : float
        Fraction of clips without any above it.
    """

    misfit: float
    believed: float
    refused: float


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """When to believe a model.

    Parameters
    ----------
    limits : mapping of str to Limit
        For speech, by the streams that are given, such as ``"audio+lips"``.
    certainty : mapping of str to float
        For classes, by the streams: the probability that the likeliest class must have.
    timing : WordTiming
        How far words reach beyond the spikes of the model.
    facts : mapping
        What it was measured on.
    """

    limits: Mapping[str, Limit] = field(default_factory=dict)
    certainty: Mapping[str, float] = field(default_factory=dict)
    timing: WordTiming = field(default_factory=WordTiming)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Turn the calibration into plain values.

        Returns
        -------
        dict
            As in ``calibration.json``, but for the weights' name.
        """
        return {
            "limits": {name: asdict(limit) for name, limit in self.limits.items()},
            "certainty": dict(self.certainty),
            "timing": asdict(self.timing),
            "facts": dict(self.facts),
        }


def fit_limit(known: ArrayLike, foreign: ArrayLike) -> Limit:
    """Find the limit that tells two kinds of clips apart best.

    Parameters
    ----------
    known : array-like of shape (N,)
        Misfits of clips with known words.
    foreign : array-like of shape (M,)
        Misfits of clips without any.

    Returns
    -------
    Limit
        The limit with the largest sum of both fractions; of several, the middle.
    """
    inside, outside = np.asarray(known, np.float64), np.asarray(foreign, np.float64)
    finite = np.unique(np.concatenate([inside, outside]))
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Limit(0.0, float(np.mean(inside <= 0.0)), float(np.mean(outside > 0.0)))
    between = (finite[:-1] + finite[1:]) / 2
    candidates = np.concatenate([finite[:1], between, finite[-1:]])
    believed = (inside[:, None] <= candidates).mean(axis=0)
    refused = (outside[:, None] > candidates).mean(axis=0)
    total = believed + refused
    best = np.flatnonzero(total >= total.max() - 1e-12)
    chosen = int(best[len(best) // 2])
    return Limit(float(candidates[chosen]), float(believed[chosen]), float(refused[chosen]))


def write_calibration(calibration: AnswerLimits, folder: str | os.PathLike[str]) -> None:
    """Write a calibration beside the weights it is of; one that is there is replaced.

    Parameters
    ----------
    calibration : AnswerLimits
        What was measured.
    folder : path-like
        The model's folder.

    Raises
    ------
    MediaError
        If there are no weights, or the file cannot be written.
    """
    from avalign.files import atomic_output

    folder = Path(folder)
    content = {"weights": _weights_hash(folder), **calibration.as_dict()}
    with atomic_output(folder / CALIBRATION_NAME, overwrite=True) as temporary:
        temporary.write_text(
            json.dumps(content, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8"
        )


def read_calibration(folder: str | os.PathLike[str]) -> AnswerLimits | None:
    """Read the calibration beside a model's weights.

    Parameters
    ----------
    folder : path-like
        The model's folder.

    Returns
    -------
    AnswerLimits or None
        None if there is none, or it is of other weights.

    Raises
    ------
    MediaError
        If the file is damaged.
    """
    folder = Path(folder)
    path = folder / CALIBRATION_NAME
    if not is_there(path):
        return None
    try:
        content = read_json(path, largest_bytes=_LARGEST_BYTES, hint=_HINT)
        calibration = AnswerLimits(
            {
                str(name): Limit(*_numbers(limit, ("misfit", "believed", "refused")))
                for name, limit in content["limits"].items()
            },
            {
                str(name): _numbers({"": fraction}, ("",))[0]
                for name, fraction in content["certainty"].items()
            },
            WordTiming(*_numbers(content["timing"], ("start_shift_s", "end_shift_s"))),
            dict(content["facts"]),
        )
        same_weights = content["weights"] == _weights_hash(folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MediaError(f"{path}: is no calibration: {error}", _HINT) from None
    return calibration if same_weights else None


def _numbers(fields: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    values = [fields[name] for name in names]
    if not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise ValueError(f"{values} are no numbers")
    return [float(value) for value in values]


def _weights_hash(folder: Path) -> str:
    path = folder / WEIGHTS_NAME
    try:
        with local_file(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}", _HINT) from error
