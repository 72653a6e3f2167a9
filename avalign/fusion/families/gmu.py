"""The gated multimodal unit: a gate for every feature of the fused row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import PerStream
from avalign.fusion.layers.masking import any_valid, by_name, masked_softmax, stack_streams

if TYPE_CHECKING:
    from collections.abc import Mapping


class GatedMultimodalUnit(Fusion):
    """``h = sum of z_i * tanh(W_i x_i)``, with gates z that see all streams.

    The gates are a softmax over the streams, for each of the `out_dim` features. For two
    streams this is the unit of the paper, ``z = sigmoid(W_z [x_1, x_2])`` and
    ``h = z * h_1 + (1 - z) * h_2``, with ``W_z`` the difference of the two gates' weights;
    the paper's unit for more streams gates each by a sigmoid alone. Here the gates of
    the streams that are there always sum to 1. `weights` are the gates' means over the
    features.

    When to use: a light unit that chooses between streams, feature by feature; streams
    should be normalised.

    References
    ----------
    J. Arevalo et al., "Gated multimodal units for information fusion", ICLR workshop 2017,
    arXiv:1702.01992.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__(dims, out_dim)
        self.transforms = PerStream(
            {name: nn.Linear(dim, out_dim, bias=False) for name, dim in self.dims.items()}
        )
        self.gates = nn.Linear(sum(dims.values()), len(dims) * out_dim, bias=False)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Gate every feature."""
        values, mask = stack_streams(
            self.transforms(inputs.streams, inputs.masks), inputs.masks
        )
        logits = self.gates(torch.cat(list(inputs.streams.values()), dim=-1))
        gates = masked_softmax(logits.reshape(values.shape), mask[..., None], dim=2)
        return make_output(
            (gates * values.tanh()).sum(dim=2),
            any_valid(inputs.masks),
            weights=by_name(self.names, gates.mean(dim=-1)),
        )
