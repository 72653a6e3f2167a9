"""Cross-attention: the rows of one stream attend to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.arguments import whole
from avalign.errors import ParameterError
from avalign.fusion.families.attention.unaligned import UnalignedFusion
from avalign.fusion.interface import FusionInput, FusionOutput, make_output
from avalign.fusion.layers.attention import time_window_bias
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid
from avalign.fusion.layers.transformer import (
    AttentionMaps,
    CrossAttention,
    FeedForward,
    Memory,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class CrossAttentionFusion(UnalignedFusion):
    """The target attends to each other stream; the results are averaged and added.

    Streams may differ in length and rate, and need not be aligned: attention finds the
    rows that belong together, and ``attention["lips->audio"]`` shows which, for
    `attention_lag` to read the lag off. Where the target is missing, a learnt row asks in
    its place.

    When to use: one stream is the main one, and the others lie at some lag that is not
    known well, or changes. A window keeps attention near in time, which few data need.

    Parameters
    ----------
    heads : int
        Heads of attention, a divisor of `out_dim`.
    layers : int
        How often the target asks.
    window : float, optional
        Width of the time window, in seconds where there are rates, else in rows; by
        default attention reaches everywhere.
    hard_window : bool
        Forbid what is farther than `window`, instead of making it less likely.

    References
    ----------
    G. Sterpu, C. Saam and N. Harte, "Attention-based audio-visual fusion for robust
    automatic speech recognition", ICMI 2018.

    M. Sperber et al., "Self-attentional acoustic models", Interspeech 2018 (the window).
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        target: str | None = None,
        heads: int = 4,
        layers: int = 1,
        window: float | None = None,
        hard_window: bool = False,
        rates_hz: Mapping[str, float] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim, target=target, rates_hz=rates_hz)
        if window is not None and not window > 0:
            raise ParameterError(f"the window is {window}", "give a width above 0, or None")
        self.window = window
        self.hard_window = hard_window
        self.encoders = StreamEncoders(self.dims, out_dim, dropout=dropout)
        self.missing = nn.Parameter(torch.zeros(out_dim))
        self.cross = nn.ModuleList(
            CrossAttention(out_dim, heads, dropout=dropout)
            for _ in range(whole(layers, "layers", least=1))
        )
        self.feed_forward = nn.ModuleList(
            FeedForward(out_dim, dropout=dropout) for _ in self.cross
        )
        self.norm = nn.LayerNorm(out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Attend from the target to the others."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        rows = torch.where(
            inputs.masks[self.target][..., None], encoded[self.target], self.missing
        )
        rows = self.add_positions(self.target, rows)
        memories = [
            Memory(
                self.add_positions(name, encoded[name]),
                inputs.masks[name],
                self._bias(name, inputs),
            )
            for name in self.sources
        ]
        maps = AttentionMaps()
        for cross, feed_forward in zip(self.cross, self.feed_forward, strict=True):
            answers, weights = cross(rows, memories, need_weights=inputs.need_weights)
            for name, layer in zip(self.sources, weights, strict=True):
                maps.add(f"{self.target}->{name}", layer)
            rows = rows + answers
            rows = rows + feed_forward(rows)
        return make_output(
            self.norm(rows),
            any_valid(self.masks_on_target_clock(inputs)),
            attention=maps.merge_layers(),
        )

    def _bias(self, name: str, inputs: FusionInput) -> Tensor | None:
        """Draw the target's attention to rows of a stream near in time."""
        if self.window is None:
            return None
        return time_window_bias(
            self.times(self.target, inputs.streams[self.target]),
            self.times(name, inputs.streams[name]),
            self.window,
            hard=self.hard_window,
        )
