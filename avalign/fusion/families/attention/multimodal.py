"""The multimodal transformer (MulT): one crossmodal transformer for each direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from avalign.arguments import whole
from avalign.fusion.families.attention.unaligned import UnalignedFusion
from avalign.fusion.interface import FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid, zero_masked
from avalign.fusion.layers.transformer import (
    AttentionMaps,
    CrossAttention,
    FeedForward,
    Memory,
    Transformer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class CrossmodalTransformer(nn.Module):
    """Adapts one stream to another: each layer looks at the source as it first was."""

    def __init__(self, dim: int, heads: int, layers: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.cross = nn.ModuleList(
            CrossAttention(dim, heads, dropout=dropout) for _ in range(layers)
        )
        self.feed_forward = nn.ModuleList(FeedForward(dim, dropout=dropout) for _ in self.cross)

    def forward(
        self, rows: Tensor, source: Memory, *, need_weights: bool = False
    ) -> tuple[Tensor, list[Tensor | None]]:
        """Adapt rows (B, T, dim); beside new rows, a map (B, heads, T, K) for each layer."""
        maps = []
        for cross, feed_forward in zip(self.cross, self.feed_forward, strict=True):
            answers, weights = cross(rows, [source], need_weights=need_weights)
            rows = rows + answers
            rows = rows + feed_forward(rows)
            maps += weights
        return rows, maps


class MultimodalTransformerFusion(UnalignedFusion):
    """MulT: each stream is adapted to each other one, then looked at along time.

    A crossmodal transformer for every ordered pair of streams; what those of one stream
    gave is joined, goes through self-attention, and the streams are concatenated on the
    clock of the target. Streams may differ in length and rate, and need not be aligned.
    Maps are named ``attention["lips->audio"]``, who asks first.

    When to use: there is enough to train it, the streams are not aligned, and each may
    hold what explains another. The number of directions grows with the square of the
    number of streams.

    Parameters
    ----------
    heads : int
        Heads of attention, a divisor of `out_dim`.
    layers : int
        Crossmodal blocks in each direction.
    self_layers : int
        Blocks of self-attention over each stream afterwards.

    References
    ----------
    Y.-H. H. Tsai et al., "Multimodal transformer for unaligned multimodal language
    sequences", ACL 2019.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        heads: int = 4,
        layers: int = 2,
        self_layers: int = 1,
        target: str | None = None,
        rates_hz: Mapping[str, float] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim, target=target, rates_hz=rates_hz)
        whole(layers, "layers", least=1)
        whole(self_layers, "self_layers", least=1)
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.directions = tuple(
            (asks, answers) for asks in self.names for answers in self.names if asks != answers
        )
        self.crossmodal = nn.ModuleList(
            CrossmodalTransformer(out_dim, heads, layers, dropout=dropout)
            for _ in self.directions
        )
        others = max(1, len(self.names) - 1)
        self.join = nn.ModuleList(nn.Linear(others * out_dim, out_dim) for _ in self.names)
        self.over_time = nn.ModuleList(
            Transformer(out_dim, heads, self_layers, dropout=dropout) for _ in self.names
        )
        self.norm = nn.LayerNorm(len(self.names) * out_dim)
        self.output = nn.Linear(len(self.names) * out_dim, out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Adapt every stream to the others, then concatenate."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        positioned = {name: self.add_positions(name, rows) for name, rows in encoded.items()}
        maps = AttentionMaps()
        adapted: dict[str, list[Tensor]] = {name: [] for name in self.names}
        for (asks, answers), crossmodal in zip(self.directions, self.crossmodal, strict=True):
            rows, weights = crossmodal(
                positioned[asks],
                Memory(positioned[answers], inputs.masks[answers]),
                need_weights=inputs.need_weights,
            )
            adapted[asks].append(rows)
            maps.add(f"{asks}->{answers}", *weights)

        parts = []
        for name, join, over_time in zip(self.names, self.join, self.over_time, strict=True):
            mask = inputs.masks[name]
            # A stream that is alone has nothing to be adapted to.
            rows = join(torch.cat(adapted[name] or [positioned[name]], dim=-1))
            rows, weights = over_time(rows, mask, need_weights=inputs.need_weights)
            maps.add(f"{name}->{name}", *weights)
            parts.append(self.on_target_clock(name, zero_masked(rows, mask), inputs))
        return make_output(
            self.output(self.norm(torch.cat(parts, dim=-1))),
            any_valid(self.masks_on_target_clock(inputs)),
            attention=maps.merge_layers(),
        )
