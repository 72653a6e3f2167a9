"""Evaluate a trained model on the clips of a manifest: ``avalign evaluate``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.data import Manifest, find_leaked_speakers, read_manifest
from avalign.errors import MediaError, ParameterError, import_guard
from avalign.recognition import (
    AnswerLimits,
    ConditionScore,
    read_calibration,
    write_calibration,
)

with import_guard(
    "evaluation needs torch, which does not load", 'pip install "avalign[recognition]"'
):
    import torch

    from avalign.recognition import Recognizer, find_device, load_model
    from avalign.recognition.evaluation.cases import load_cases, predict_cases
    from avalign.recognition.evaluation.condition_scores import score_condition
    from avalign.recognition.evaluation.conditions import Condition
    from avalign.recognition.material.utterances import Skipped
    from avalign.recognition.material.voices import noise_by_name

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model.

    Parameters
    ----------
    model, data, split : str
        What was evaluated on what.
    conditions : tuple of ConditionScore
        The scores.
    skipped : tuple of Skipped
        Clips that could not be used.
    notes : tuple of str
        What to know besides.
    seed : int
        Of the noise and of the resampling.
    calibration : AnswerLimits, optional
        When to believe the model, where that was measured, too.
    """

    model: str
    data: str
    split: str
    conditions: tuple[ConditionScore, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]
    seed: int
    calibration: AnswerLimits | None = None

    def as_dict(self) -> dict[str, Any]:
        """Turn the evaluation into plain values, JSON schema 1.

        Returns
        -------
        dict
            See ``docs/json.md``.
        """
        from avalign import __version__

        return {
            "schema": 1,
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "seed": self.seed,
            "conditions": [condition.as_dict() for condition in self.conditions],
            "skipped": [asdict(one) for one in self.skipped],
            "notes": list(self.notes),
            "calibration": None if self.calibration is None else self.calibration.as_dict(),
            "versions": {"avalign": __version__, "torch": torch.__version__},
        }


def evaluate(
    model: str | os.PathLike[str],
    data: str | os.PathLike[str],
    *,
    split: str = "dev",
    streams: Sequence[str] = (),
    noise: str | os.PathLike[str] | None = None,
    snr_db: Sequence[float | None] = (None,),
    seed: int = 0,
    calibrated: bool = False,
    overwrite: bool = False,
    device: str = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Evaluation:
    """Test a model on a part of a manifest.

    Speech is scored by word and character error rate, decoded greedily and, where the
    model's words are those of a grammar, by that grammar; with times in the transcripts,
    also by how far the words' times are off. Emotion is scored by unweighted average
    recall, accuracy, F1, AUC and the confusion matrix; values by MAE, RMSE and
    concordance.

    Parameters
    ----------
    model : path-like
        Folder that training wrote.
    data : path-like
        The manifest.
    split : str
        The part to test on.
    streams : sequence of str
        What the model is given; everything by default.
    noise : str or path-like, optional
        A kind of `avalign.recognition.NOISES`, or a file.
    snr_db : sequence of float or None
        How loud the noise is, each a condition of its own; None without noise.
    seed : int
        Same seed, same noise and same intervals.
    calibrated : bool
        Also measure on these clips when to believe the model; see
        `avalign.recognition.evaluation.calibrating`. It is written beside the weights.
    overwrite : bool
        Replace a calibration of these weights.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    cache_dir : path-like, optional
        Where extracted clips are cached.
    jobs : int, optional
        Files extracted at once; all cores by default.
    progress : callable, optional
        Called with the fraction done, 0 to 1.

    Returns
    -------
    Evaluation
        Scores of each condition, with 95 % intervals by clip.

    Raises
    ------
    ParameterError
        If the part is empty, lacks what the model is to answer, has labels or characters
        that the model does not know, or a stream or the noise cannot be used; or if a
        calibration is asked for on clips that were learnt from.
    MediaError
        If a file cannot be read, or a calibration is there that may not be replaced.
    """
    progress = progress or (lambda fraction: None)
    if calibrated:
        _check_calibrating(model, split, overwrite)
    recognizer = load_model(model, device=find_device(device))
    given = _checked_streams(recognizer, streams)
    manifest = read_manifest(data)
    conditions = [
        _condition(given, noise, level, manifest, seed) for level in dict.fromkeys(snr_db)
    ]
    cases, skipped = load_cases(
        recognizer,
        _part(manifest, split),
        cache_dir=cache_dir,
        jobs=jobs,
        progress=lambda done: progress(0.7 * done),
    )
    calibration = None
    if calibrated:
        from avalign.recognition.evaluation.calibrating import calibrate

        calibration = calibrate(recognizer, cases, seed=seed)
        write_calibration(calibration, model)
    scores = []
    for number, condition in enumerate(conditions):
        predictions = list(predict_cases(recognizer, cases, condition, seed=seed))
        named = None if condition.noise is None else os.path.basename(os.fspath(noise or ""))
        scores.append(score_condition(recognizer, predictions, condition, named, seed=seed))
        progress(0.7 + 0.3 * (number + 1) / len(conditions))
    return Evaluation(
        str(model),
        str(data),
        split,
        tuple(scores),
        tuple(skipped),
        tuple(_notes(manifest, split)),
        seed,
        calibration,
    )


def _check_calibrating(model: str | os.PathLike[str], split: str, overwrite: bool) -> None:
    if split == "train":
        raise ParameterError(
            "clips that were learnt from do not tell when to believe a model",
            "calibrate on another part, such as --split dev",
        )
    if not overwrite and read_calibration(model) is not None:
        raise MediaError(f"{model}: holds a calibration of these weights", "replace it with -y")


def _checked_streams(model: Recognizer, streams: Sequence[str]) -> tuple[str, ...]:
    known = model.settings.streams
    for name in streams:
        if name not in known:
            raise ParameterError(
                f"the model reads no stream {name!r}", f"it reads {', '.join(sorted(known))}"
            )
    return tuple(streams) or tuple(sorted(known))


def _condition(
    streams: tuple[str, ...],
    noise: str | os.PathLike[str] | None,
    snr_db: float | None,
    manifest: Manifest,
    seed: int,
) -> Condition:
    joined = "+".join(streams)
    if snr_db is None:
        return Condition(joined, streams)
    if noise is None:
        raise ParameterError(f"{snr_db:g} dB of no noise", "name the noise, such as babble")
    if not np.isfinite(snr_db):
        raise ParameterError(f"an SNR of {snr_db} dB", "choose a finite number")
    name = f"{joined}, {os.path.basename(os.fspath(noise))} {snr_db:g} dB"
    return Condition(name, streams, noise_by_name(noise, manifest, seed=seed), snr_db)


def _part(manifest: Manifest, split: str) -> Manifest:
    part = manifest.select(split=split)
    if not part.rows:
        there = ", ".join(sorted({row.split for row in manifest} - {""})) or "none"
        raise ParameterError(
            f"{manifest.path} has no rows with split={split} among its {len(manifest)}",
            f"its parts are: {there}",
        )
    return part


def _notes(manifest: Manifest, split: str) -> list[str]:
    if split == "train":
        return ["these clips were learnt from: the scores say nothing of others"]
    both = manifest.select(split=["train", split])
    named = {row.speaker for row in both.select(split=split)} - {""}
    known = sorted(named & {row.speaker for row in both.select(split="train")})
    if not known:
        return []
    leaked = sorted(find_leaked_speakers(both))
    how = "" if leaked else ", as the split by sentence declares"
    return [
        f"{len(known)} of {len(named)} speakers are in train, too{how}: scores hold for "
        "known speakers"
    ]
