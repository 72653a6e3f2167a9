"""The bottleneck transformer (MBT): streams exchange information through a few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.arguments import whole
from avalign.errors import ParameterError
from avalign.fusion.families.attention.unaligned import UnalignedFusion
from avalign.fusion.interface import FusionInput, FusionOutput, make_output
from avalign.fusion.layers.attention import AdditiveAttention
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid, masked_mean, stack_streams
from avalign.fusion.layers.transformer import AttentionMaps, Transformer, TransformerBlock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


class BottleneckLayer(nn.Module):
    """One block for each stream, all of which may see some shared rows beside their own."""

    def __init__(self, streams: int, dim: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, heads, dropout=dropout) for _ in range(streams)
        )

    def forward(
        self,
        rows: Sequence[Tensor],
        masks: Sequence[Tensor],
        shared: Tensor,
        *,
        need_weights: bool = False,
    ) -> tuple[list[Tensor], Tensor, list[Tensor | None]]:
        """Let each stream (B, T, dim) see itself and the shared rows (B, N, dim).

        Gives the new rows of each stream, the mean of what the streams that are there made of
        the shared rows, and the maps (B, heads, T + N, T + N), None where not asked for.
        """
        outputs, updates, maps = [], [], []
        always = torch.ones_like(shared[..., 0], dtype=torch.bool)
        for own, mask, block in zip(rows, masks, self.blocks, strict=True):
            seen, weights = block(
                torch.cat([own, shared], dim=1),
                torch.cat([mask, always], dim=1),
                need_weights=need_weights,
            )
            outputs.append(seen[:, : own.shape[1]])
            updates.append(seen[:, own.shape[1] :])
            maps.append(weights)
        there = torch.stack([mask.any(dim=1) for mask in masks], dim=1)
        mean_update = masked_mean(torch.stack(updates, dim=1), there[:, :, None], dim=1)
        return outputs, mean_update, maps


class BottleneckTransformerFusion(UnalignedFusion):
    """MBT: a transformer for each stream, and a few shared rows that all of them see.

    In each fusing layer every stream attends to itself and to the bottleneck; what the
    streams make of the bottleneck is averaged over those that are there. The rows of an
    instant are joined on the clock of the target by additive attention, whose weights are
    the `weights`. ``attention["lips"]`` holds the map of one stream; its last `bottleneck`
    rows and columns are the shared ones.

    When to use: streams are long or many, so that attention across all of them costs too
    much, or fusing everything with everything overfits. Streams may differ in length and
    rate.

    Parameters
    ----------
    heads : int
        Heads of attention, a divisor of `out_dim`.
    layers : int
        Transformer blocks of each stream.
    bottleneck : int
        Shared rows.
    fuse_from : int
        Blocks of each stream before the bottleneck begins; at most ``layers - 2``.

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
        whole(bottleneck, "bottleneck", least=1)
        whole(layers, "layers", least=1)
        # What one layer writes into the bottleneck, the streams read in the next.
        if not 0 <= fuse_from <= layers - 2:
            raise ParameterError(
                f"fuse_from is {fuse_from} of {layers} layers",
                "leave two layers at least to fuse: one to tell, one to hear",
            )
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.bottleneck = nn.Parameter(0.02 * torch.randn(bottleneck, out_dim))
        self.own = nn.ModuleList(
            Transformer(out_dim, heads, fuse_from, dropout=dropout) for _ in self.names
        )
        self.layers = nn.ModuleList(
            BottleneckLayer(len(self.names), out_dim, heads, dropout=dropout)
            for _ in range(layers - fuse_from)
        )
        self.norm = nn.LayerNorm(out_dim)
        self.over_streams = AdditiveAttention(out_dim, out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Let the streams see themselves, and each other through the bottleneck."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        masks = list(inputs.masks.values())
        rows = [
            own(self.add_positions(name, encoded[name]), inputs.masks[name])[0]
            for name, own in zip(self.names, self.own, strict=True)
        ]
        shared = self.bottleneck.to(rows[0].dtype).repeat(rows[0].shape[0], 1, 1)
        maps = AttentionMaps()
        for layer in self.layers:
            rows, shared, weights = layer(rows, masks, shared, need_weights=inputs.need_weights)
            for name, seen in zip(self.names, weights, strict=True):
                maps.add(name, seen)
        nearest = {
            name: self.on_target_clock(name, own, inputs)
            for name, own in zip(self.names, rows, strict=True)
        }
        there = self.masks_on_target_clock(inputs)
        values, valid = stack_streams(nearest, there)
        sequence, stream_weights = self.over_streams(self.norm(values), valid)
        return make_output(
            sequence,
            any_valid(there),
            weights=dict(zip(self.names, stream_weights.unbind(dim=-1), strict=True)),
            attention=maps.merge_layers(),
        )
