"""The parts of networks, and the encoders of the shipped space in torch.

`SpaceNetwork` is what training adjusts, and the reference of the encoders in NumPy.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from avalign.space.model import SpaceModel
from avalign.space.settings import EncoderPair, EncoderSettings, SpaceSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


class Standardiser(nn.Module):
    """Brings the columns of a stream to mean 0 and deviation 1, and back."""

    mean: Tensor
    scale: Tensor

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(columns))
        self.register_buffer("scale", torch.ones(columns))

    def adapt(self, rows: Tensor) -> None:
        """Measure mean and deviation of rows (N, columns); what never varies stays as it is."""
        self.mean.copy_(rows.mean(dim=0))
        deviation = rows.std(dim=0, correction=0)
        varies = deviation > 1e-6 * (1.0 + self.mean.abs())
        self.scale.copy_(torch.where(varies, deviation, 1.0))

    def forward(self, rows: Tensor) -> Tensor:
        """Standardise rows of shape (..., columns)."""
        return (rows - self.mean) / self.scale

    def restore(self, rows: Tensor) -> Tensor:
        """Undo `forward`."""
        return rows * self.scale + self.mean


def perceptron(columns: int, hidden: Sequence[int], out: int) -> nn.Sequential:
    """Build a multilayer perceptron with GELU between layers; linear without hidden ones."""
    widths = [columns, *hidden]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.GELU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out))


def stream_encoders(
    columns: Mapping[str, int], hidden: Sequence[int], out: int
) -> nn.ModuleDict:
    """Build a standardiser and a perceptron for each stream."""
    return nn.ModuleDict(
        {
            stream: nn.Sequential(Standardiser(width), *perceptron(width, hidden, out))
            for stream, width in columns.items()
        }
    )


class Encoder(nn.Module):
    """A stack of dilated convolutions over time, then a linear map."""

    def __init__(
        self,
        columns: int,
        settings: EncoderSettings,
        channels: int,
        dimensions: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stride = settings.stride
        widths = [columns, *[channels] * (len(settings.kernels) - 1)]
        self.layers = nn.ModuleList(
            nn.Conv1d(
                width,
                channels,
                kernel,
                stride=settings.stride if layer == 0 else 1,
                dilation=dilation,
                padding=dilation * (kernel - 1) // 2,
            )
            for layer, (width, kernel, dilation) in enumerate(
                zip(widths, settings.kernels, settings.dilations, strict=True)
            )
        )
        self.out = nn.Conv1d(channels, dimensions, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Encode rows of shape (B, T, columns) to (B, T / stride, dimensions)."""
        hidden = rows.transpose(1, 2)
        for layer in self.layers:
            hidden = self.dropout(nn.functional.gelu(layer(hidden), approximate="tanh"))
        encoded: Tensor = self.out(hidden).transpose(1, 2)
        return encoded


class SpaceNetwork(nn.Module):
    """One member of the shared space: an audio and a lip encoder.

    Parameters
    ----------
    settings : SpaceSettings
        Shape of the encoders.
    lip_components : ndarray of shape (123, K)
        Principal components of the lip points.
    lip_scale : ndarray of shape (K,)
        Standard deviation of those components in the training data.
    audio_scale : ndarray of shape (C,)
        Standard deviation of the MFCCs in the training data.
    dropout : float, optional
        Fraction of hidden activations dropped in training.
    score_scale : float, optional
        Initial factor on the inner product.
    """

    lip_components: Tensor
    lip_scale: Tensor
    audio_scale: Tensor

    def __init__(
        self,
        settings: SpaceSettings,
        lip_components: NDArray[np.float32],
        lip_scale: NDArray[np.float32],
        audio_scale: NDArray[np.float32],
        *,
        dropout: float = 0.2,
        score_scale: float = 0.05,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("lip_components", torch.as_tensor(lip_components))
        self.register_buffer("lip_scale", torch.as_tensor(lip_scale))
        self.register_buffer("audio_scale", torch.as_tensor(audio_scale))
        shape = (settings.channels, settings.dimensions + 1, dropout)
        self.audio = Encoder(settings.audio_columns + 1, settings.audio, *shape)
        self.lips = Encoder(settings.lip_components + 1, settings.lips, *shape)
        self.log_score_scale = nn.Parameter(torch.tensor(float(np.log(score_scale))))
        self.no_match = nn.Parameter(torch.zeros(()))

    def embed(
        self, mfcc: Tensor, mfcc_valid: Tensor, lips: Tensor, lips_valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Map windows to the shared space.

        Parameters
        ----------
        mfcc : Tensor of shape (B, stride * T, C)
            MFCCs on a uniform clock.
        mfcc_valid : BoolTensor of shape (B, stride * T)
            Rows that hold sound.
        lips : Tensor of shape (B, T, 123)
            Normalised lip points on a uniform clock.
        lips_valid : BoolTensor of shape (B, T)
            Rows that hold lips.

        Returns
        -------
        audio, lips : Tensor of shape (B, T, dimensions + 2)
            Embeddings whose inner product is the log evidence of a pair.
        """
        settings = self.settings
        audible = mfcc_valid[:, :: settings.audio.stride, None].float()
        rows = _normalise(mfcc, mfcc_valid, self.audio_scale, settings.prior_rows_audio)
        embedded_audio = self.audio(rows) * audible
        seen = lips_valid[..., None].float()
        rows = _normalise(
            lips @ self.lip_components, lips_valid, self.lip_scale, settings.prior_rows_lips
        )
        shape = self.lips(rows) * seen
        scale = self.log_score_scale.exp()
        return (
            torch.cat([embedded_audio, audible], dim=2),
            torch.cat([shape[..., :-1], seen, shape[..., -1:]], dim=2) * scale,
        )


def lag_scores(audio: Tensor, lips: Tensor, reach: int) -> Tensor:
    """Sum the inner products of two embeddings along every diagonal of a band.

    Parameters
    ----------
    audio, lips : Tensor of shape (B, T, D)
        Embeddings of the same windows.
    reach : int
        Half width of the band in rows.

    Returns
    -------
    Tensor of shape (B, 2 * reach + 1)
        Evidence for audio lags of -reach ... reach rows.
    """
    size = 1 << (2 * max(audio.shape[1], reach) + 1).bit_length()
    spectrum = torch.fft.rfft(audio, size, dim=1) * torch.fft.rfft(lips, size, dim=1).conj()
    scores = torch.fft.irfft(spectrum.sum(dim=2), size, dim=1)
    return torch.cat([scores[:, -reach:], scores[:, : reach + 1]], dim=1)


def _normalise(rows: Tensor, valid: Tensor, scale: Tensor, prior_rows: float) -> Tensor:
    """Centre and scale whole windows as `space.grid.normalise` does; append validity."""
    mask = valid[..., None].float()
    count = mask.sum(dim=1, keepdim=True).clamp(min=1)
    centred = (rows - (rows * mask).sum(dim=1, keepdim=True) / count) * mask
    spread = centred.square().sum(dim=1, keepdim=True)
    variance = (spread + prior_rows * scale.square()) / (count + prior_rows)
    return torch.cat([centred / variance.sqrt(), mask], dim=2)


def to_model(members: Sequence[SpaceNetwork], zero_lag_s: float = 0.0) -> SpaceModel:
    """Turn trained networks into the one model that inference runs.

    Parameters
    ----------
    members : sequence of SpaceNetwork
        Networks that share components and scales, and their settings but for the
        encoders, of which there may be two kinds by turns.
    zero_lag_s : float, optional
        Lag the members show on average for clips in sync.

    Returns
    -------
    SpaceModel
        Their ensemble.
    """
    first = members[0]
    weights: dict[str, NDArray[np.float32]] = {
        "audio_scale": _array(first.audio_scale),
        "lip_components": _array(first.lip_components),
        "lip_scale": _array(first.lip_scale),
        "score_scale": np.array(
            [float(member.log_score_scale.detach().exp()) for member in members], np.float32
        ),
    }
    for number, member in enumerate(members):
        for name, encoder in (("audio", member.audio), ("lips", member.lips)):
            layers = ((str(layer), module) for layer, module in enumerate(encoder.layers))
            for part, module in chain(layers, [("out", encoder.out)]):
                for kind in ("weight", "bias"):
                    weights[f"{number}.{name}.{part}.{kind}"] = _array(getattr(module, kind))
    no_match = float(np.mean([float(member.no_match.detach()) for member in members]))
    second = members[min(1, len(members) - 1)].settings
    settings = replace(
        first.settings,
        members=len(members),
        zero_lag_s=zero_lag_s,
        no_match=no_match,
        alternate=None if second == first.settings else EncoderPair(second.audio, second.lips),
    )
    return SpaceModel(settings, weights)


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)
