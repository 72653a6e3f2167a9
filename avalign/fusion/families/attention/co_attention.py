"""Co-attention: every stream attends to every other, all in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from avalign.arguments import whole
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import PositionalEncoding, StreamEncoders
from avalign.fusion.layers.masking import any_valid, masked_mean, stack_streams
from avalign.fusion.layers.transformer import (
    AttentionMaps,
    CrossAttention,
    FeedForward,
    Memory,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class CoAttentionFusion(Fusion):
    """Streams attend to each other, both ways at once, with shared weights.

    All that tells the streams apart is their encoders: were these alike, swapping the
    streams would change nothing. The rows of an instant are averaged at the end. Maps are
    named ``attention["lips->audio"]``, who asks first.

    When to use: two or three streams of equal standing; sharing the weights makes it the
    smallest of the attending families for its depth.

    Parameters
    ----------
    heads : int
        Heads of attention, a divisor of `out_dim`.
    layers : int
        How often the streams attend to each other.

    References
    ----------
    J. Lu, J. Yang, D. Batra and D. Parikh, "Hierarchical question-image co-attention for
    visual question answering", NeurIPS 2016.

    J. Lu, D. Batra, D. Parikh and S. Lee, "ViLBERT: pretraining task-agnostic
    visiolinguistic representations for vision-and-language tasks", NeurIPS 2019 (the
    transformer layers, there with weights of their own for each stream).
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        heads: int = 4,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.positions = PositionalEncoding()
        self.cross = nn.ModuleList(
            CrossAttention(out_dim, heads, dropout=dropout)
            for _ in range(whole(layers, "layers", least=1))
        )
        self.feed_forward = nn.ModuleList(
            FeedForward(out_dim, dropout=dropout) for _ in self.cross
        )
        self.norm = nn.LayerNorm(out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Attend both ways, then average."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        rows = {name: self.positions(values) for name, values in encoded.items()}
        maps = AttentionMaps()
        for cross, feed_forward in zip(self.cross, self.feed_forward, strict=True):
            # All streams see what the others were before this layer.
            memories = {name: Memory(rows[name], inputs.masks[name]) for name in rows}
            for name, own in memories.items():
                others = {other: memories[other] for other in rows if other != name}
                answers, weights = cross(
                    own.rows, list(others.values()), need_weights=inputs.need_weights
                )
                for other, layer in zip(others, weights, strict=True):
                    maps.add(f"{name}->{other}", layer)
                attended = own.rows + answers
                rows[name] = attended + feed_forward(attended)
        values, there = stack_streams(rows, inputs.masks)
        return make_output(
            self.norm(masked_mean(values, there, dim=2)),
            any_valid(inputs.masks),
            attention=maps.merge_layers(),
        )
