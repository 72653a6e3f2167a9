"""Self-attention: every row of every stream sees every other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.arguments import whole
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.attention import AdditiveAttention
from avalign.fusion.layers.encoders import PositionalEncoding, StreamEncoders
from avalign.fusion.layers.masking import any_valid, stack_streams
from avalign.fusion.layers.transformer import AttentionMaps, Transformer

if TYPE_CHECKING:
    from collections.abc import Mapping


class SelfAttentionFusion(Fusion):
    """One transformer over the rows of all streams, laid end to end.

    Streams are told apart by the biases of their encoders, instants by sines and cosines.
    The rows of an instant are joined by additive attention, whose weights are the `weights`.
    The map ``attention["joint"]``, of shape (B, layers * heads, S * T, S * T), lists the
    rows of the first stream by name, then those of the next.

    When to use: clips are short, there is much to learn from, and what belongs together
    may lie in any stream at any time. The cost grows with (streams * rows) squared.

    Parameters
    ----------
    heads : int
        Heads of attention, a divisor of `out_dim`.
    layers : int
        Transformer blocks.

    References
    ----------
    A. Vaswani et al., "Attention is all you need", NeurIPS 2017.

    A. Zadeh et al., "Factorized multimodal transformer for multimodal sequential learning",
    2019, arXiv:1911.09826.
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
        whole(layers, "layers", least=1)
        self.transformer = Transformer(out_dim, heads, layers, dropout=dropout)
        self.norm = nn.LayerNorm(out_dim)
        self.over_streams = AdditiveAttention(out_dim, out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Attend over all rows at once."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        rows = torch.cat([self.positions(values) for values in encoded.values()], dim=1)
        mask = torch.cat(tuple(inputs.masks.values()), dim=1)
        rows, weights = self.transformer(rows, mask, need_weights=inputs.need_weights)
        maps = AttentionMaps()
        maps.add("joint", *weights)
        # By shape, because chunks of a length that may vary cannot be exported.
        by_stream = self.norm(rows).unflatten(1, (len(self.names), -1)).unbind(dim=1)
        values, there = stack_streams(
            dict(zip(self.names, by_stream, strict=True)), inputs.masks
        )
        sequence, stream_weights = self.over_streams(values, there)
        return make_output(
            sequence,
            any_valid(inputs.masks),
            weights=dict(zip(self.names, stream_weights.unbind(dim=-1), strict=True)),
            attention=maps.merge_layers(),
        )
