"""Early fusion: concatenate the features of each row, then learn from them jointly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.masking import any_valid
from avalign.fusion.layers.options import checked_dropout, checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping


class EarlyFusion(Fusion):
    """Feature-level fusion: one small network over the concatenated streams.

    Beside the features, the network sees which streams are there, so that a missing
    stream is not mistaken for one that is zero.

    When to use: the streams are aligned, rarely missing and clean; it is fast, and sees
    correlations between features that later fusion cannot.

    Parameters
    ----------
    hidden : int, optional
        Width of the hidden layer; `out_dim` by default.

    References
    ----------
    S. Dupont and J. Luettin, "Audio-visual speech modeling for continuous speech
    recognition", IEEE Transactions on Multimedia 2(3), 2000.
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
        self.network = nn.Sequential(
            nn.Linear(sum(self.dims.values()) + len(self.dims), hidden),
            nn.LayerNorm(hidden),
            nn.GELU(),
            nn.Dropout(checked_dropout(dropout)),
            nn.Linear(hidden, out_dim),
        )

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Concatenate and transform."""
        values = list(inputs.streams.values())
        there = torch.stack(list(inputs.masks.values()), dim=-1).to(values[0].dtype)
        return make_output(
            self.network(torch.cat([*values, there], dim=-1)), any_valid(inputs.masks)
        )
