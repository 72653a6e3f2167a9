"""Modality gates: at each row, a gate decides how much every stream counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamEncoders, StreamHeads
from avalign.fusion.layers.masking import (
    any_valid,
    by_name,
    masked_softmax,
    stack_streams,
    weighted_sum,
)
from avalign.fusion.layers.options import checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping


class ModalityGatesFusion(Fusion):
    """A mixture of experts, one for each stream, with a gate that sees all streams.

    The gate gives one number per stream and row; they sum to 1 over the streams that are
    there, and say which stream the answer rests on.

    When to use: which stream is informative changes from row to row, and you want to see
    which it was.

    Parameters
    ----------
    hidden : int, optional
        Width of the hidden layers; `out_dim` by default.

    References
    ----------
    R. A. Jacobs et al., "Adaptive mixtures of local experts", Neural Computation 3(1),
    1991.
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
        self.experts = StreamHeads(dims, out_dim, hidden=hidden, dropout=dropout)
        self.seen = StreamEncoders(dims, hidden)
        self.gate = nn.Sequential(
            nn.GELU(), nn.Linear(len(self.names) * hidden, len(self.names))
        )

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Add the experts up by the gate."""
        values, mask = stack_streams(self.experts(inputs.streams, inputs.masks), inputs.masks)
        seen = torch.cat(list(self.seen(inputs.streams, inputs.masks).values()), dim=-1)
        stream_weights = masked_softmax(self.gate(seen), mask)
        return make_output(
            weighted_sum(values, stream_weights),
            any_valid(inputs.masks),
            weights=by_name(self.names, stream_weights),
        )
