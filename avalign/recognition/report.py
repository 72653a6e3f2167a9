"""The report of recognising one file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from avalign.transcript import Transcript

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Emotion:
    """Classes of a file, as a whole and over time.

    Parameters
    ----------
    label : str or None
        The likeliest class; None where the model is not certain enough.
    probabilities : mapping of str to float
        Of the file as a whole.
    times_s : ndarray of shape (W,), float64
        Centres of the windows.
    over_time : ndarray of shape (W, classes), float64
        Probabilities in each window.
    """

    label: str | None
    probabilities: Mapping[str, float]
    times_s: NDArray[np.float64]
    over_time: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A model's internals over time, for drawing.

    Parameters
    ----------
    times_s : ndarray of shape (T,), float64
        Time of each row.
    speech : ndarray of shape (T,) or None
        Probability that a character is said in the row.
    fractions : mapping of str to ndarray of shape (T,)
        Fraction of each stream in the fusion, where the family has such weights.
    """

    times_s: NDArray[np.float64]
    speech: NDArray[np.float64] | None
    fractions: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class RecognitionReport:
    """What was recognised in one file; `as_dict` turns it into JSON schema 1.

    Parameters
    ----------
    file, model : str
        The file and the model as they were named.
    status : str
        ``"ok"``, ``"no_answer"`` or ``"error"``.
    reason : str or None
        Why there is no answer.
    streams : tuple of str
        What the model was given.
    audio_lag_ms : float or None
        Measured audio lag; positive means late. None where it is not known.
    lag_repaired : bool
        Whether the sound was moved by it before it was recognised.
    transcript : Transcript or None
        The words, on the clock of the sound (of the picture, where no sound is read).
        None without an answer, and for a model that reads no speech.
    misfit, misfit_limit : float or None
        How little the speech is of the model's vocabulary, and how much is allowed; of a
        transcript that was given, how much it differs from what is read.
    emotion : Emotion or None
        Classes, of a model that has some.
    values : mapping of str to float
        Numbers, of a model that gives some.
    modality_contribution : mapping of str to float
        What each stream adds to the answer: exact Shapley values, in nats per character
        (speech) or as probability (classes).
    vocabulary_size : int or None
        How many words the model knows.
    trace : Trace or None
        What the model saw over time.
    notes : tuple of str
        What to know besides.
    exit_code : int
        What the command line returns.
    elapsed_s : float
        Wall time spent.
    """

    file: str
    model: str
    status: str = "ok"
    reason: str | None = None
    streams: tuple[str, ...] = ()
    audio_lag_ms: float | None = None
    lag_repaired: bool = False
    transcript: Transcript | None = None
    misfit: float | None = None
    misfit_limit: float | None = None
    emotion: Emotion | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    modality_contribution: Mapping[str, float] = field(default_factory=dict)
    vocabulary_size: int | None = None
    trace: Trace | None = None
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    elapsed_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Turn the report into plain values, JSON schema 1.

        Returns
        -------
        dict
            See ``docs/json.md``; None wherever something is not known, never NaN.
        """
        from avalign import __version__

        words = None if self.transcript is None else self.transcript.as_dict()["words"]
        return {
            "schema": 1,
            "file": self.file,
            "model": self.model,
            "status": self.status,
            "reason": self.reason,
            "streams": list(self.streams),
            "audio_lag_ms": _rounded(self.audio_lag_ms, 1),
            "lag_repaired": self.lag_repaired,
            "text": None if self.transcript is None else self.transcript.text,
            "words": words and [_rounded_word(word) for word in words],
            "misfit": _rounded(self.misfit, 4),
            "misfit_limit": _rounded(self.misfit_limit, 4),
            "vocabulary_size": self.vocabulary_size,
            "emotion": None if self.emotion is None else _emotion_dict(self.emotion),
            "values": _rounded_all(self.values) or None,
            "modality_contribution": _rounded_all(self.modality_contribution) or None,
            "notes": list(self.notes),
            "versions": {"avalign": __version__},
            "elapsed_s": _rounded(self.elapsed_s, 2),
        }


def _emotion_dict(emotion: Emotion) -> dict[str, Any]:
    names: Sequence[str] = list(emotion.probabilities)
    return {
        "label": emotion.label,
        "probabilities": _rounded_all(emotion.probabilities),
        "over_time": [
            {
                "time_s": _rounded(time_s, 3),
                "probabilities": _rounded_all(dict(zip(names, row, strict=True))),
            }
            for time_s, row in zip(
                emotion.times_s.tolist(), emotion.over_time.tolist(), strict=True
            )
        ],
    }


def _rounded_word(word: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _rounded(value, 3) if isinstance(value, float) else value
        for name, value in word.items()
    }


def _rounded_all(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _rounded(value, 4) for name, value in values.items()}


def _rounded(value: float | None, digits: int) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits)
