"""The recogniser: an encoder per stream, any fusion, and heads for speech and emotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.errors import ParameterError
from avalign.fusion import (
    FusionOutput,
    any_valid,
    build_fusion,
    mask_to_lengths,
    masked_mean,
    zero_masked,
)
from avalign.recognition.model.encoders import BidirectionalGRU, StreamEncoder
from avalign.recognition.model.heads import Answers, Heads
from avalign.recognition.model.pooling import StatisticsPooling
from avalign.recognition.model.settings import RecognizerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor


@dataclass(frozen=True)
class Recognition:
    """Everything that a recogniser gives for a batch."""

    answers: Answers  # of all streams together
    lengths: Tensor  # int64 [B], rows up to the last valid one of any stream
    fusion: FusionOutput  # one row for every `stride` rows of the model
    unimodal: dict[str, Answers]  # of each stream alone, where the model has such heads
    present: dict[str, Tensor]  # bool [B] for each stream


class Recognizer(nn.Module):
    """A network that maps streams to characters, classes or numbers.

    Each stream has an encoder of its own, and what the stream is like over the whole clip
    is added to its rows if the settings say so; a fusion family joins them; a recurrent
    layer reads the fused rows, unless the settings say otherwise; heads answer. Streams may
    be missing, as a whole or in rows, and standardisation is inside: it takes features as
    they are extracted.

    Parameters
    ----------
    settings : RecognizerSettings
        Its shape.

    Raises
    ------
    ParameterError
        If there is no such fusion, or its options do not fit.
    """

    def __init__(self, settings: RecognizerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.names = tuple(sorted(settings.streams))
        units, wide = settings.width, 2 * settings.width
        self.encoders = nn.ModuleList(
            StreamEncoder(settings.streams[name], units, settings.dropout, settings.stride)
            for name in self.names
        )
        self.statistics = nn.ModuleList(
            StatisticsPooling(settings.streams[name], wide, settings.dropout)
            for name in self.names
            if settings.statistics
        )
        dims = dict.fromkeys(self.names, wide)
        self.fusion = build_fusion(settings.fusion, dims, wide, **settings.fusion_options)
        self.context = _Context(wide, settings.dropout) if settings.context else None
        self.heads = Heads(settings, wide, 2 * wide)
        self.unimodal = nn.ModuleList(
            Heads(settings, wide, wide) for _ in self.names if settings.unimodal
        )

    def forward(
        self,
        streams: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        *,
        need_weights: bool = False,
    ) -> Recognition:
        """Recognise a batch.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (B, T, D)
            Features on the common clock; a stream that the whole batch lacks may be left
            out.
        masks : mapping of str to Tensor of shape (B, T), bool, optional
            True where a row is valid; everywhere by default.
        present : mapping of str to Tensor of shape (B,), bool, optional
            True where an item has the stream; by default where any row is valid.
        need_weights : bool
            Compute attention maps too.

        Returns
        -------
        Recognition
            Answers and what the fusion tells.

        Raises
        ------
        ParameterError
            If there is no stream, one the model does not know, or one of another shape;
            also as `avalign.fusion.Fusion`.
        """
        if not torch.compiler.is_compiling():
            self._check(streams)
        valid = {
            name: _mask(streams[name], name, masks, present)
            for name in self.names
            if name in streams
        }
        lengths = mask_to_lengths(any_valid(valid))
        coarse = {name: _coarse(mask, self.settings.stride) for name, mask in valid.items()}
        coarse_lengths = mask_to_lengths(any_valid(coarse))
        encoded = {
            name: encoder(streams[name], valid[name], coarse[name], coarse_lengths)
            for name, encoder in zip(self.names, self.encoders, strict=True)
            if name in streams
        }
        for name, statistics in zip(self.names, self.statistics, strict=False):
            if name in streams:
                whole = statistics(streams[name], valid[name])
                encoded[name] = zero_masked(encoded[name] + whole[:, None], coarse[name])
        fused = self.fusion(encoded, coarse, need_weights=need_weights)
        rows = fused.sequence
        if self.context is not None:
            rows = self.context(rows, coarse_lengths)
        summary = torch.cat([fused.pooled, masked_mean(rows, fused.mask)], dim=-1)
        n_rows = next(iter(valid.values())).shape[1]
        unimodal = {
            name: heads(encoded[name], masked_mean(encoded[name], coarse[name]), n_rows)
            for name, heads in zip(self.names, self.unimodal, strict=False)
            if name in streams
        }
        there = {name: mask.any(dim=1) for name, mask in valid.items()}
        answers = self.heads(rows, summary, n_rows)
        return Recognition(answers, lengths, fused, unimodal, there)

    def fit_standardisation(self, clips: Iterable[Mapping[str, tuple[Tensor, Tensor]]]) -> None:
        """Measure means, scales, components and statistics on the training data.

        Parameters
        ----------
        clips : iterable of mapping of str to (Tensor (T, D), bool Tensor (T,))
            Rows and masks of each clip by stream.
        """
        clips = list(clips)
        for name, encoder in zip(self.names, self.encoders, strict=True):
            encoder.standardise.fit(clip[name] for clip in clips if name in clip)  # type: ignore[operator, union-attr]
        for name, statistics in zip(self.names, self.statistics, strict=False):
            statistics.fit(clip[name] for clip in clips if name in clip)  # type: ignore[operator]

    def _check(self, streams: Mapping[str, Tensor]) -> None:
        if not streams:
            raise ParameterError(
                "all streams are missing", f"give at least one of {', '.join(self.names)}"
            )
        for name, values in streams.items():
            if name not in self.settings.streams:
                raise ParameterError(
                    f"the model reads no stream {name!r}", f"it reads {', '.join(self.names)}"
                )
            columns = self.settings.streams[name].columns
            if values.ndim != 3 or values.shape[2] != columns:
                raise ParameterError(
                    f"stream {name!r} has shape {tuple(values.shape)}, "
                    f"wanted (B, T, {columns})",
                    f"its rows are {self.settings.streams[name].feature!r}",
                )


class _Context(nn.Module):
    """A recurrent layer over the fused rows."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.recurrent = BidirectionalGRU(width, width // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Read rows of shape (B, T, width); the result has the same shape."""
        projected = nn.functional.gelu(self.project(rows))
        return self.dropout(self.recurrent(projected, lengths))


def _mask(
    values: Tensor,
    name: str,
    masks: Mapping[str, Tensor] | None,
    present: Mapping[str, Tensor] | None,
) -> Tensor:
    """Where a stream is valid, for the items that have it."""
    mask = (masks or {}).get(name)
    if mask is None:
        mask = torch.ones_like(values[..., 0], dtype=torch.bool)
    if present and name in present:
        mask = mask & present[name][:, None]
    return mask


def _coarse(mask: Tensor, stride: int) -> Tensor:
    """Whether any of every `stride` rows is valid."""
    padded = nn.functional.pad(mask, (0, -mask.shape[1] % stride))
    return padded.reshape(padded.shape[0], -1, stride).any(dim=2)
