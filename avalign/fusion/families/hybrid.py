"""Hybrid fusion: an early network beside late ones, combined by learned weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion.families.early import EarlyFusion
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamHeads
from avalign.fusion.layers.masking import (
    any_valid,
    by_name,
    equal_weights,
    masked_softmax,
    stack_streams,
    weighted_sum,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class HybridFusion(Fusion):
    """Early and late fusion at once: the joint network predicts beside the streams.

    The weights are learned, one for each prediction. In `weights` the weight of the joint
    network is split equally among the streams that it saw.

    When to use: streams interact, but each must carry the answer alone when the others
    are missing.

    Parameters
    ----------
    hidden : int, optional
        Width of all hidden layers; `out_dim` by default.

    References
    ----------
    P. K. Atrey et al., "Multimodal fusion for multimedia analysis: a survey", Multimedia
    Systems 16, 2010, section 3.3.
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
        self.joint = EarlyFusion(dims, out_dim, hidden=hidden, dropout=dropout)
        self.heads = StreamHeads(dims, out_dim, hidden=hidden, dropout=dropout)
        self.logits = nn.Parameter(torch.zeros(len(self.names) + 1))

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Average the joint prediction with those of the streams."""
        mask = any_valid(inputs.masks)
        joint = self.joint.fuse(inputs).sequence
        values, there = stack_streams(self.heads(inputs.streams, inputs.masks), inputs.masks)
        predictions = torch.cat([values, joint[:, :, None]], dim=2)
        available = torch.cat([there, mask[..., None]], dim=2)
        stream_weights = masked_softmax(self.logits.expand_as(available), available)
        own, common = stream_weights[..., :-1], stream_weights[..., -1:]
        return make_output(
            weighted_sum(predictions, stream_weights),
            mask,
            weights=by_name(self.names, own + common * equal_weights(there)),
        )
