"""Low-rank fusion (LMF): tensor fusion whose weights are a sum of few outer products."""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.arguments import whole
from avalign.fusion.families.tensor_fusion import TensorFusion, augmented
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class LowRankFusion(Fusion):
    """What tensor fusion computes under weights of low rank, without the product.

    The weight of tensor fusion is written as a sum of `rank` outer products with one
    factor for each stream. Each stream can then be multiplied with its own factors first,
    and the cost grows with the number of streams, not exponentially.

    When to use: the meaning lies in how streams combine, as for tensor_fusion, but there
    are many of them, or too few data for so many weights.

    Parameters
    ----------
    rank : int
        Outer products in the sum.
    stream_dim : int
        Columns that each stream is encoded to.

    References
    ----------
    Z. Liu et al., "Efficient low-rank multimodal fusion with modality-specific factors",
    ACL 2018.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        rank: int = 4,
        stream_dim: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        self.stream_dim = whole(stream_dim, "stream_dim", least=1)
        self.encoders = StreamEncoders(self.dims, stream_dim, dropout=dropout)
        # Encoded columns have unit variance: so has the sum of products, with this scale.
        scale = 1 / (
            math.sqrt(stream_dim + 1) * whole(rank, "rank", least=1) ** (0.5 / len(self.names))
        )
        self.factors = nn.ParameterList(
            nn.Parameter(scale * torch.randn(rank, stream_dim + 1, out_dim)) for _ in self.names
        )
        self.bias = nn.Parameter(torch.zeros(out_dim))

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Multiply each stream with its factors, then the results with each other."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        parts = [
            augmented(rows)[..., None, :, :] @ factor
            for rows, factor in zip(encoded.values(), self.factors, strict=True)
        ]
        product = reduce(torch.mul, parts)
        return make_output(product.sum(dim=-3) + self.bias, any_valid(inputs.masks))

    def rebuild_weight(self) -> Tensor:
        """Weight that tensor fusion would have: (out_dim, (stream_dim + 1) ** streams)."""
        product = reduce(
            lambda left, right: (left[:, :, None] * right[:, None]).flatten(1, 2), self.factors
        )
        return product.sum(dim=0).T

    def to_tensor_fusion(self) -> TensorFusion:
        """Build the tensor fusion that computes the same; ParameterError if too large."""
        twin = TensorFusion(self.dims, self.out_dim, stream_dim=self.stream_dim)
        twin.encoders.load_state_dict(self.encoders.state_dict())
        with torch.no_grad():
            twin.output.weight.copy_(self.rebuild_weight())
            twin.output.bias.copy_(self.bias)
        return twin.to(self.bias).train(self.training)
