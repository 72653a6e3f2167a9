"""Gated cross-attention: other streams pass gates that begin closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.arguments import whole
from avalign.fusion.families.attention.unaligned import UnalignedFusion
from avalign.fusion.interface import FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid
from avalign.fusion.layers.transformer import (
    AttentionMaps,
    CrossAttention,
    FeedForward,
    Memory,
    TransformerBlock,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


class GatedCrossAttention(nn.Module):
    """Cross-attention and feed-forward, each behind a tanh gate that is 0 at first."""

    def __init__(self, dim: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.cross = CrossAttention(dim, heads, dropout=dropout)
        self.feed_forward = FeedForward(dim, dropout=dropout)
        self.attention_gate = nn.Parameter(torch.zeros(()))
        self.feed_forward_gate = nn.Parameter(torch.zeros(()))

    def forward(
        self, rows: Tensor, memories: Sequence[Memory], *, need_weights: bool = False
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Add the memories to rows (B, Q, dim); beside the new rows, a map for each memory."""
        answers, weights = self.cross(rows, memories, need_weights=need_weights)
        rows = rows + self.attention_gate.tanh() * answers
        return rows + self.feed_forward_gate.tanh() * self.feed_forward(rows), weights


class GatedCrossAttentionFusion(UnalignedFusion):
    """Flamingo: gated cross-attention between the layers of the target's own model.

    In each layer the target attends to the other streams through a gated cross-attention,
    and then to itself. At initialisation the gates are closed, and the others have no
    influence whatever. Streams may differ in length and rate. Where the target is missing,
    a learnt row asks in its place. Maps are named ``attention["lips->audio"]``, who asks
    first.

    When to use: the target alone does well already, or its layers come from a pretrained
    model that a sudden stream beside it would upset.

    Parameters
    ----------
    heads : int
        Heads of attention, a divisor of `out_dim`.
    layers : int
        Layers of the target, each behind a gated cross-attention.

    References
    ----------
    J.-B. Alayrac et al., "Flamingo: a visual language model for few-shot learning",
    NeurIPS 2022.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        target: str | None = None,
        heads: int = 4,
        layers: int = 2,
        rates_hz: Mapping[str, float] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim, target=target, rates_hz=rates_hz)
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.missing = nn.Parameter(torch.zeros(out_dim))
        self.gated = nn.ModuleList(
            GatedCrossAttention(out_dim, heads, dropout=dropout)
            for _ in range(whole(layers, "layers", least=1))
        )
        self.own = nn.ModuleList(
            TransformerBlock(out_dim, heads, dropout=dropout) for _ in self.gated
        )
        self.norm = nn.LayerNorm(out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Alternate between gated cross-attention and self-attention."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        rows = torch.where(
            inputs.masks[self.target][..., None], encoded[self.target], self.missing
        )
        rows = self.add_positions(self.target, rows)
        memories = [
            Memory(self.add_positions(name, encoded[name]), inputs.masks[name])
            for name in self.sources
        ]
        maps = AttentionMaps()
        for gated, own in zip(self.gated, self.own, strict=True):
            rows, weights = gated(rows, memories, need_weights=inputs.need_weights)
            for name, layer in zip(self.sources, weights, strict=True):
                maps.add(f"{self.target}->{name}", layer)
            # Only valid rows of the target are seen, so that others change nothing at first.
            rows, layer = own(rows, inputs.masks[self.target], need_weights=inputs.need_weights)
            maps.add(f"{self.target}->{self.target}", layer)
        return make_output(
            self.norm(rows),
            any_valid(self.masks_on_target_clock(inputs)),
            attention=maps.merge_layers(),
        )
