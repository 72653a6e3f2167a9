"""Contrastive learning over time shifts and other clips: how the shipped space was learnt."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from avalign.errors import ParameterError
from avalign.space.learning.losses import info_nce, lag_contrast
from avalign.space.learning.network import SpaceNetwork, lag_scores, to_model
from avalign.space.learning.parameters import choice, count, instance, number
from avalign.space.learning.training import Objective, TorchEstimator, cut_windows
from avalign.space.model import SpaceModel, expected_shapes, load_model
from avalign.space.scoring import retrieval_accuracy
from avalign.space.settings import EncoderSettings, SpaceSettings
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips, Shape

_ONE_CLOCK = SpaceSettings(
    channels=32,
    audio_rate_hz=50.0,
    audio=EncoderSettings((7, 5, 5), (1, 1, 2)),
)
# What a trained model holds besides its weights.
_OFFSETS = ("zero_lag_s", "no_match")


@dataclass(eq=False, kw_only=True)
class ContrastiveSpace(TorchEstimator):
    """Two convolutional encoders whose inner product is evidence for being partners.

    Windows of sound are contrasted with those of the lips, both ways, by InfoNCE:
    against time shifts of themselves, against other windows, or both. The space that
    `avalign sync` ships is one of these, `ContrastiveSpace.shipped()`; `avalign train
    space` trains such a space on clips, with the same networks and the same loss, but
    with disturbed windows and lags that are measured as it goes.

    Audio may come in several rows for each row of lips: as many as
    ``settings.audio.stride``. Each clip is normalised by itself.

    `score` is the retrieval accuracy of windows: clips are cut into windows that do not
    overlap, and the fraction of sounds whose own lips, and of lips whose own sound, come
    first among all windows is returned.

    Parameters
    ----------
    settings : SpaceSettings
        Shape of the encoders. Columns follow the data; offsets are set by training.
    negatives : str
        ``"both"``, ``"shifts"`` (of the same window in time) or ``"clips"`` (other
        windows of the batch).
    window : int
        Rows of the lips that are seen together.
    reach : int
        Largest time shift in rows of the lips; below `window`.
    tolerance : float
        Deviation of the target lag in rows of the lips.
    temperature : float
        What inner products are divided by at first; it is learnt.
    dropout : float
        Fraction of hidden activations dropped in training.

    Attributes
    ----------
    model_ : SpaceModel
        What was learnt, for inference without torch; what `avalign.align` takes.

    References
    ----------
    A. van den Oord, Y. Li and O. Vinyals, "Representation learning with contrastive
    predictive coding", arXiv:1807.03748, 2018.

    J. S. Chung and A. Zisserman, "Out of time: automated lip sync in the wild", ACCV
    Workshops 2016: time shifts as negatives.
    """

    name: ClassVar[str] = "contrastive"
    settings: SpaceSettings = instance(_ONE_CLOCK)  # noqa: RUF009 (it is frozen)
    negatives: str = choice("both", "shifts", "clips")
    window: int = count(50, low=2, high=4096)
    reach: int = count(20, high=4096)
    tolerance: float = number(1.0, above=True)
    temperature: float = number(20.0, above=True)
    dropout: float = number(0.1, high=0.95)
    batch: int | None = count(32, low=2, optional=True)
    network_: nn.ModuleList = field(init=False, repr=False)
    model_: SpaceModel = field(init=False, repr=False)

    @classmethod
    def shipped(cls) -> Self:
        """Take the space that `avalign sync` ships: MFCCs at 100 Hz, lips at 50 Hz."""
        return cls.from_model(
            load_model(),
            negatives="shifts",
            window=75,
            reach=50,
            dropout=0.2,
            steps=1200,
            learning_rate=2e-3,
            weight_decay=0.02,
        )

    @classmethod
    def from_model(cls, model: SpaceModel, **parameters: Any) -> Self:
        """Make a fitted estimator of a model that was trained otherwise."""
        estimator = cls(settings=model.settings, **parameters)
        settings = model.settings
        estimator.columns_ = {"audio": settings.audio_columns, "lips": settings.lip_columns}
        estimator.model_ = model
        return estimator

    @classmethod
    def parameters_from_json(  # noqa: D102 (as in `SpaceEstimator`)
        cls, parameters: Mapping[str, Any]
    ) -> dict[str, Any]:
        settings = SpaceSettings.from_json(json.dumps(parameters["settings"]))
        return {**super().parameters_from_json(parameters), "settings": settings}

    def _rows_of_audio(self) -> int:
        return self.settings.audio.stride

    def _settings(self) -> SpaceSettings:
        """Fit the settings to the columns of the data."""
        audio, lips = self.columns_["audio"], self.columns_["lips"]
        components = min(self.settings.lip_components, lips)
        settings = replace(
            self.settings, audio_columns=audio, lip_columns=lips, lip_components=components
        )
        try:
            settings.check()
        except ValueError as error:
            raise ParameterError(f"the settings cannot be used: {error}") from None
        if settings.lips.stride != 1 or settings.audio_rate_hz != (
            settings.rate_hz * settings.audio.stride
        ):
            raise ParameterError(
                f"{settings.audio_rate_hz:g} rows of audio for {settings.rate_hz:g} of lips "
                f"do not fit strides of {settings.audio.stride} and {settings.lips.stride}",
                "step over rows of audio alone, as many as there are for each row of lips",
            )
        return settings

    def _fit(self, audio: Rows, lips: Rows, clips: Clips) -> None:
        if self.reach >= self.window:
            raise ParameterError(
                f"windows of {self.window} rows cannot be shifted by {self.reach}",
                "lower reach, or lengthen window",
            )
        super()._fit(audio, lips, clips)
        self.model_ = to_model([*self.network_])

    def _build(self, columns: Mapping[str, int]) -> nn.ModuleList:
        settings = self._settings()
        fixed = (
            np.zeros((settings.lip_columns, settings.lip_components), np.float32),
            np.ones(settings.lip_components, np.float32),
            np.ones(settings.audio_columns, np.float32),
        )
        return nn.ModuleList(
            SpaceNetwork(
                settings.of_member(member),
                *fixed,
                dropout=self.dropout,
                score_scale=1.0 / self.temperature,
            )
            for member in range(settings.members)
        )

    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        stride = self._rows_of_audio()
        audio_clips = [slice(stride * clip.start, stride * clip.stop) for clip in clips]
        components, lip_scale = _principal_components(
            _subtract_clip_means(streams["lips"], clips), self._settings().lip_components
        )
        audio_scale = _subtract_clip_means(streams["audio"], audio_clips).std(
            dim=0, correction=0
        )
        for member in network:
            member.lip_components.copy_(components)
            member.lip_scale.copy_(lip_scale)
            member.audio_scale.copy_(audio_scale)
        windows = _Windows(streams, clips, self.window, stride)
        if len(windows) < 2:
            raise ParameterError(
                "a single window has no other to be told from",
                f"give more rows than {self.window}, or lower window",
            )

        def loss(units: Tensor) -> Tensor:
            total = torch.zeros((), device=units.device)
            for member in network:
                if self.negatives != "clips":
                    total = total + self._against_shifts(member, windows, units)
                if self.negatives != "shifts":
                    audio, lips = member.embed(*windows.cut(units, torch.zeros_like(units)))
                    similarity = torch.einsum("itd,jtd->ij", audio, lips)
                    # The inverse temperature is learnt, and is in the embeddings.
                    total = total + info_nce(similarity)
            return total

        return Objective(len(windows), loss)

    def _against_shifts(self, member: SpaceNetwork, windows: _Windows, units: Tensor) -> Tensor:
        lags = torch.randint(-self.reach, self.reach + 1, units.shape, device=units.device)
        audio, lips = member.embed(*windows.cut(units, lags))
        return lag_contrast(
            lag_scores(audio, lips, self.reach),
            lag_scores(audio.roll(1, 0), lips, self.reach),
            member.no_match,
            lags,
            self.tolerance,
        )

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        settings = self.model_.settings
        stride = settings.audio.stride if stream == "audio" else 1
        embed = self.model_.embed_audio if stream == "audio" else self.model_.embed_lips
        parts = []
        for clip in clips:
            values = rows[stride * clip.start : stride * clip.stop].astype(np.float32)
            times_s = np.arange(len(values)) / (settings.rate_hz * stride)
            given = FeatureStream(values, times_s, np.ones(len(values), bool), stream)
            parts.append(embed(given).values)
        return np.concatenate(parts)

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        windows = [
            slice(start, start + self.window)
            for clip in clips
            for start in range(clip.start, clip.stop - self.window + 1, self.window)
        ]
        if len(windows) < 2:
            raise ParameterError(
                f"fewer than two windows of {self.window} rows",
                "give more rows, or lower window",
            )
        sides = self._embed("audio", audio, clips), self._embed("lips", lips, clips)
        # The evidence of a window is the sum over its rows: an inner product once more.
        flat = [np.stack([side[window].ravel() for window in windows]) for side in sides]
        return retrieval_accuracy(flat[0], flat[1])

    def arrays(self) -> dict[str, NDArray[Any]]:  # noqa: D102 (as in `SpaceEstimator`)
        offsets = {name: np.array([getattr(self.model_, name)]) for name in _OFFSETS}
        return {**self.model_.weights, **offsets}

    def expected_arrays(self) -> dict[str, Shape]:  # noqa: D102 (as in `SpaceEstimator`)
        shapes = expected_shapes(self._settings())
        weights: dict[str, Shape] = {
            name: (np.float32, shape) for name, shape in shapes.items()
        }
        return weights | dict.fromkeys(_OFFSETS, (np.float64, (1,)))

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: D102 (as there)
        zero_lag_s, no_match = (float(arrays[name][0]) for name in _OFFSETS)
        settings = replace(self._settings(), zero_lag_s=zero_lag_s, no_match=no_match)
        weights = {name: array for name, array in arrays.items() if name not in _OFFSETS}
        self.model_ = SpaceModel(settings, weights)


class _Windows:
    """Windows of clips, whose sound can be cut late or early."""

    def __init__(
        self, streams: Mapping[str, Tensor], clips: Clips, length: int, stride: int
    ) -> None:
        self.audio, self.lips, self.stride = streams["audio"], streams["lips"], stride
        device = self.lips.device
        index, inside = cut_windows(clips, length)
        self.index = torch.as_tensor(index, device=device)
        self.inside = torch.as_tensor(inside, device=device)
        starts = np.array([clip.start for clip in clips])
        of_clip = np.searchsorted(starts, index[:, 0], side="right") - 1
        bounds = np.array([[clip.start, clip.stop] for clip in clips])[of_clip]
        self.bounds = stride * torch.as_tensor(bounds, device=device)
        self.ticks = torch.arange(stride * length, device=device)

    def __len__(self) -> int:
        return len(self.index)

    def cut(self, units: Tensor, lags: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Cut windows whose sound is late by some rows, for `SpaceNetwork.embed`."""
        first, end = self.bounds[units].unbind(dim=1)
        rows = self.stride * (self.index[units, 0] - lags)[:, None] + self.ticks
        audible = (rows >= first[:, None]) & (rows < end[:, None])
        audio = self.audio[torch.where(audible, rows, first[:, None])]
        return audio, audible, self.lips[self.index[units]], self.inside[units]


def _subtract_clip_means(rows: Tensor, clips: Clips) -> Tensor:
    """Take the mean of its clip off each row."""
    return torch.cat([rows[clip] - rows[clip].mean(dim=0) for clip in clips])


def _principal_components(moves: Tensor, wanted: int) -> tuple[Tensor, Tensor]:
    """Principal components of rows, best first, and the deviation along each."""
    variances, directions = torch.linalg.eigh(moves.double().T @ moves.double() / len(moves))
    components = directions.flip(1)[:, :wanted]
    # A sign is free: fix it, so that the same data give the same model.
    largest = components.abs().argmax(dim=0, keepdim=True)
    components = components * components.gather(0, largest).sign()
    scale = variances.flip(0)[:wanted].clamp(min=0).sqrt()
    return components.float(), scale.float()
