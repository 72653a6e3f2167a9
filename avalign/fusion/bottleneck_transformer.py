"""The bottleneck transformer (MBT): streams speak to each other through a few rows only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.errors import ParameterError
from avalign.fusion.attention import AdditiveAttention
from avalign.fusion.encoders import StreamEncoders
from avalign.fusion.interface import FusionInput, FusionOutput, fused
from avalign.fusion.masking import any_valid, masked_mean, stack_streams
from avalign.fusion.options import checked_count
from avalign.fusion.transformer import AttentionMaps, TransformerBlock
from avalign.fusion.unaligned import UnalignedFusion

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BottleneckTransformerFusion"]


class BottleneckTransformerFusion(UnalignedFusion):
    """MBT: a transformer for each stream, and a few shared rows that all of them see.

    In each fusing layer every stream attends to itself and to the bottleneck; what the
    streams make of the bottleneck is averaged over those that are there. The rows of an
    instant are joined on the clock of the target by additive attention, whose shares are
    the `weights`. ``attention["lips"]`` holds the map of one stream; its last `bottleneck`
    rows and columns are the shared ones.

    When to use: streams are long or many, so that attention across all of them costs too
    much, or fusing everything with everything overfits. Streams may differ in length and
    rate.

    Parameters
    ----------
    dims : mapping of str to int
        Width of each stream.
    out_dim : int
        Width of the fused rows; a multiple of `heads`.
    heads : int
        Heads of attention.
    layers : int
        Transformer blocks of each stream.
    bottleneck : int
        Shared rows.
    fuse_from : int
        Blocks of each stream before the bottleneck begins; at most ``layers - 2``.
    target : str, optional
        Stream on whose clock the fused rows are; by default the first by name.
    rates_hz : mapping of str to float, optional
        Rows per second of each stream; by default all are alike.
    dropout : float
        Share of values and attention weights to drop in training.

    References
    ----------
    A. Nagrani et al., "Attention bottlenecks for multimodal fusion", NeurIPS 2021.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        heads: int = 4,
        layers: int = 3,
        bottleneck: int = 4,
        fuse_from: int = 1,
        target: str | None = None,
        rates_hz: Mapping[str, float] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim, target=target, rates_hz=rates_hz)
        checked_count(bottleneck, "bottleneck")
        # What one layer writes into the bottleneck, the streams read in the next.
        if not 0 <= fuse_from <= checked_count(layers, "layers") - 2:
            raise ParameterError(
                f"fuse_from is {fuse_from} of {layers} layers",
                "leave two layers at least to fuse: one to tell, one to hear",
            )
        self.fuse_from = fuse_from
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.bottleneck = nn.Parameter(0.02 * torch.randn(bottleneck, out_dim))
        self.layers = nn.ModuleList(
            nn.ModuleList(TransformerBlock(out_dim, heads, dropout=dropout) for _ in self.names)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(out_dim)
        self.over_streams = AdditiveAttention(out_dim, out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Let the streams see themselves, and each other through the bottleneck."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        rows = {name: self.with_places(name, values) for name, values in encoded.items()}
        there = torch.stack([mask.any(dim=1) for mask in inputs.masks.values()], dim=1)
        shared = self.bottleneck.expand(len(there), -1, -1)
        maps = AttentionMaps()
        for number, blocks in enumerate(self.layers):
            fusing = number >= self.fuse_from
            opinions = []
            for name, block in zip(self.names, blocks, strict=True):
                seen, mask = rows[name], inputs.masks[name]
                if fusing:
                    seen = torch.cat([seen, shared.to(seen.dtype)], dim=1)
                    mask = torch.cat([mask, torch.ones_like(shared[..., 0]).bool()], dim=1)
                seen, weights = block(seen, mask, need_weights=inputs.need_weights)
                rows[name] = seen[:, : rows[name].shape[1]]
                opinions.append(seen[:, rows[name].shape[1] :])
                if fusing:
                    maps.add(name, weights)
            if fusing:
                shared = masked_mean(torch.stack(opinions, dim=1), there[:, :, None], dim=1)
        masks = self.masks_on_target_clock(inputs)
        nearest = {name: self.on_target_clock(name, rows[name], inputs) for name in rows}
        values, valid = stack_streams(nearest, masks)
        sequence, shares = self.over_streams(self.norm(values), valid)
        return fused(
            sequence,
            any_valid(masks),
            weights=dict(zip(self.names, shares.unbind(dim=-1), strict=True)),
            attention=maps.together(),
        )
