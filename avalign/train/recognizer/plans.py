"""The settings of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from avalign.errors import ParameterError
from avalign.fusion import find_family
from avalign.recognition import StreamSettings, UtteranceAugmentation
from avalign.train.recognizer.distributed import choose_device
from avalign.train.recognizer.objective import LossWeights

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """How a model is trained, whatever it is.

    Parameters
    ----------
    epochs : int
        Most passes over the data.
    batch_size : int
        Utterances in a batch, over all processes.
    learning_rate, weight_decay : float
        Of AdamW; the rate rises linearly and falls as a cosine.
    betas : tuple of float
        Of AdamW: how much of the mean gradient, and of its mean square, stays at each
        step. A short memory of the square suits runs of a few thousand steps.
    warm_up : float
        Fraction of the steps in which the rate rises.
    largest_gradient : float
        Gradients are shortened to this norm.
    patience : int
        Epochs without a better score on dev after which training stops.
    test_every : int
        Epochs between tests on dev.
    checkpoint_every : int
        Steps between checkpoints; there is one after each epoch, too.
    precision : {"float32", "bfloat16", "float16"}
        What is computed in; weights are float32 always.
    seed : int
        Same seed, same weights.

    Raises
    ------
    ParameterError
        If a number cannot be used.
    """

    epochs: int = 60
    batch_size: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.98)
    warm_up: float = 0.15
    largest_gradient: float = 5.0
    patience: int = 30
    test_every: int = 2
    checkpoint_every: int = 200
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience", "test_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}", "choose 1 or more")
        if self.seed < 0:
            raise ParameterError(f"seed is {self.seed}", "choose 0 or more")
        if not 0 < self.learning_rate < math.inf:
            raise ParameterError(
                f"learning_rate is {self.learning_rate}", "choose a number above 0"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ParameterError(f"betas are {self.betas}", "choose numbers from 0 to below 1")
        if self.precision not in PRECISIONS:
            raise ParameterError(
                f"precision is {self.precision!r}", f"choose one of {', '.join(PRECISIONS)}"
            )

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step, steps : int
            The step from 0, and how many there are at most.

        Returns
        -------
        float
            The rate.
        """
        rising = max(1, round(self.warm_up * steps))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        fraction = (step - rising) / max(1, steps - rising)
        return self.learning_rate * (1e-3 + (1 - 1e-3) * (1 + math.cos(math.pi * fraction)) / 2)


def known_streams() -> dict[str, StreamSettings]:
    """Return the streams that can be read, by name: audio, lips, and words of a transcript.

    Returns
    -------
    dict of str to StreamSettings
        ``"audio"``, ``"lips"`` and ``"text"``, as they train well for speech.
    """
    return {
        "audio": StreamSettings.of("mfcc"),
        "lips": StreamSettings.of("lip_points", components=32, velocity=True, noise=0.1),
        "text": StreamSettings.of("characters", centre=False),
    }


def emotion_streams() -> dict[str, StreamSettings]:
    """Return the streams that can be read for emotion, by name.

    Emotion shows in loudness and in the corners of the mouth, so the mean of the training set
    is taken off, not that of each clip.

    Returns
    -------
    dict of str to StreamSettings
        ``"audio"``, ``"lips"`` and ``"text"``.
    """
    return {
        "audio": StreamSettings.of("log_mel", centre=False),
        "lips": StreamSettings.of("lip_points", components=16, centre=False, velocity=True),
        "text": StreamSettings.of("characters", centre=False),
    }


def _default_streams() -> dict[str, StreamSettings]:
    known = known_streams()
    return {name: known[name] for name in ("audio", "lips")}


@dataclass(frozen=True, slots=True)
class RecognizerPlan:
    """Settings of training, besides the data.

    Parameters
    ----------
    fusion : str
        One of `avalign.fusion.list_fusions`.
    fusion_options : mapping
        Options of the family.
    streams : mapping of str to StreamSettings
        What the model reads.
    width : int
        Units per direction of the recurrent layers.
    dropout : float
        Fraction of values dropped.
    statistics : bool
        Read mean and deviation of each stream over the clip, too.
    augmentation : UtteranceAugmentation
        How utterances are disturbed.
    voices : int
        Most voices in babble.
    recordings : tuple of Path
        Files of recorded noise, drawn as often as babble.
    weights : LossWeights
        Weights of the parts of the loss.
    loop : LoopPlan
        How the weights are found.
    device : str
        Where: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
    tensorboard : bool
        Write the curves for TensorBoard, too.
    """

    fusion: str = "gmu"
    fusion_options: Mapping[str, float | int | str | bool] = field(default_factory=dict)
    streams: Mapping[str, StreamSettings] = field(default_factory=_default_streams)
    width: int = 256
    dropout: float = 0.1
    statistics: bool = False
    augmentation: UtteranceAugmentation = field(default_factory=UtteranceAugmentation)
    voices: int = 7
    recordings: tuple[Path, ...] = ()
    weights: LossWeights = field(default_factory=LossWeights)
    loop: LoopPlan = field(default_factory=LoopPlan)
    device: str = "auto"
    tensorboard: bool = False

    def check(self) -> None:
        """Refuse what cannot be trained, before hours of extraction.

        Raises
        ------
        ParameterError
            If there is no such fusion or device.
        """
        find_family(self.fusion)
        choose_device(self.device)

    def shape(self) -> dict[str, Any]:
        """Give the fields that `RecognizerSettings` has, too.

        Returns
        -------
        dict
            Arguments of `RecognizerSettings`.
        """
        return {
            "streams": self.streams,
            "fusion": self.fusion,
            "fusion_options": self.fusion_options,
            "width": self.width,
            "dropout": self.dropout,
            "statistics": self.statistics,
            "context": find_family(self.fusion).combines == "features",
        }


def emotion_plan(**changes: Any) -> RecognizerPlan:
    """Plan the training of emotion: a small model, no noise, a level that stays.

    Corpora of acted emotion are small, and one label per clip teaches less than a
    sentence does: mean and deviation of the streams are read, too. Noise is mixed in only
    where recordings of it are given.

    Parameters
    ----------
    **changes
        Fields of `RecognizerPlan` that are to be others.

    Returns
    -------
    RecognizerPlan
        The plan.
    """
    streams = emotion_streams()
    augmentation = UtteranceAugmentation(
        noise_share=0.5 if changes.get("recordings") else 0.0,
        gain_db=1.0,
        speed=0.05,
        spans=1,
        bands=0.1,
        absent=dict.fromkeys(streams, 0.2),
    )
    defaults: dict[str, Any] = {
        "streams": {name: streams[name] for name in ("audio", "lips")},
        "width": 32,
        "dropout": 0.2,
        "statistics": True,
        "augmentation": augmentation,
        "weights": LossWeights(unimodal=0.3),
        "loop": LoopPlan(epochs=30, test_every=1, patience=12),
    }
    return RecognizerPlan(**{**defaults, **changes})


@dataclass(frozen=True, slots=True)
class TrainingCallbacks:
    """What training calls as it goes on.

    Parameters
    ----------
    progress : callable
        Called with the fraction done, 0 to 1.
    report : callable
        Called with the numbers of each epoch.
    begin : callable
        Called with the name of each run, where there are several.
    """

    progress: Callable[[float], None] = lambda _: None
    report: Callable[[Mapping[str, float]], None] = lambda _: None
    begin: Callable[[str], None] = lambda _: None

    def part(self, start: float, end: float) -> TrainingCallbacks:
        """Scale the progress to a part of the work.

        Parameters
        ----------
        start, end : float
            Which part, as fractions of the whole.

        Returns
        -------
        TrainingCallbacks
            Its progress from 0 to 1 is passed on as that from `start` to `end`.
        """
        return replace(self, progress=lambda done: self.progress(start + (end - start) * done))
