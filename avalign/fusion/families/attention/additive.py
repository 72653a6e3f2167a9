"""Additive attention over the streams of each row, and over the rows of each item."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.attention import AdditiveAttention
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid, masked_mean, stack_streams
from avalign.fusion.layers.options import checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping


class AdditiveAttentionFusion(Fusion):
    """At each instant, weigh the streams by what they show; then weigh the instants.

    The query of each row is the mean of the streams that are there, so that a stream is
    judged in the light of the others. `pooled` is the mean of the rows under a second
    additive attention, without query.

    When to use: which stream can be trusted changes over time, and the weights should be
    readable; cheap, linear in time.

    Parameters
    ----------
    hidden : int, optional
        Width of the scoring networks; `out_dim` by default.

    References
    ----------
    D. Bahdanau, K. Cho and Y. Bengio, "Neural machine translation by jointly learning to
    align and translate", ICLR 2015.

    C. Hori et al., "Attention-based multimodal fusion for video description", ICCV 2017.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        hidden = checked_width(hidden, out_dim)
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.over_streams = AdditiveAttention(out_dim, hidden, query_dim=out_dim)
        self.over_time = AdditiveAttention(out_dim, hidden)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Weigh streams, then rows."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        values, there = stack_streams(encoded, inputs.masks)
        rows, stream_weights = self.over_streams(
            values, there, masked_mean(values, there, dim=2)
        )
        mask = any_valid(inputs.masks)
        weights = dict(zip(self.names, stream_weights.unbind(dim=-1), strict=True))
        answer = make_output(rows, mask, weights=weights)
        pooled, _ = self.over_time(answer.sequence, mask)
        return replace(answer, pooled=pooled)
