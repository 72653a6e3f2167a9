"""Two-stream networks: a deep network for every stream, which meet at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamEncoders, TemporalEncoder
from avalign.fusion.layers.masking import any_valid
from avalign.fusion.layers.options import checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping


class TwoStreamFusion(Fusion):
    """Modality-level fusion: temporal networks apart, one linear layer over what they found.

    Works for any number of streams. Between early fusion, which joins features, and late
    fusion, which joins predictions, it joins learned representations.

    When to use: streams of different nature that each need context in time to mean
    anything, such as lips.

    Parameters
    ----------
    hidden : int, optional
        Width of the networks; `out_dim` by default.
    layers : int
        Convolutions over time in each network.
    kernel : int
        Rows each of them looks at; odd.

    References
    ----------
    K. Simonyan and A. Zisserman, "Two-stream convolutional networks for action
    recognition in videos", NeurIPS 2014.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        hidden: int | None = None,
        layers: int = 2,
        kernel: int = 5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        hidden = checked_width(hidden, out_dim)
        self.encoders = StreamEncoders(dims, hidden)
        self.networks = nn.ModuleList(
            TemporalEncoder(hidden, layers=layers, kernel=kernel, dropout=dropout)
            for _ in self.names
        )
        self.join = nn.Linear(len(self.names) * (hidden + 1), out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Run the networks apart, then join them."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        found = [
            network(encoded[name], inputs.masks[name])
            for name, network in zip(self.names, self.networks, strict=True)
        ]
        there = torch.stack(list(inputs.masks.values()), dim=-1).to(found[0].dtype)
        return make_output(
            self.join(torch.cat([*found, there], dim=-1)), any_valid(inputs.masks)
        )
