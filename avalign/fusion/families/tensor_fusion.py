"""Tensor fusion (TFN): every product of one feature from each stream."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.arguments import whole
from avalign.errors import ParameterError
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamEncoders
from avalign.fusion.layers.masking import any_valid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

# 64 MB of activations for every thousand rows; and the weights grow with it, too.
_MOST_COLUMNS = 16_384


def augmented(rows: Tensor) -> Tensor:
    """Append a 1 to each row (..., D), so that products keep what a stream says alone."""
    return torch.cat([rows, torch.ones_like(rows[..., :1])], dim=-1)


def augmented_outer_product(streams: Sequence[Tensor]) -> Tensor:
    """All products of augmented rows, (..., product of (D + 1)); the last stream is fastest."""
    return reduce(
        lambda product, rows: (product[..., :, None] * rows[..., None, :]).flatten(-2),
        [augmented(rows) for rows in streams],
    )


class TensorFusion(Fusion):
    """The outer product of all streams at each instant, mapped linearly.

    Each stream is encoded to a few columns, and a 1 is appended, so that the product holds
    every stream alone, every pair, every triple and so on. A stream that is missing is
    (0, ..., 0, 1): the terms it is part of vanish, the others stay.

    When to use: two or three streams, whose meaning lies in how they combine. The product
    has ``(stream_dim + 1) ** streams`` columns; for more streams take low_rank_fusion.

    Parameters
    ----------
    stream_dim : int, optional
        Columns that each stream is encoded to; by default 16, or what the limit allows.

    Raises
    ------
    ParameterError
        If the product would have more than 16384 columns.

    References
    ----------
    A. Zadeh et al., "Tensor fusion network for multimodal sentiment analysis", EMNLP 2017.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        stream_dim: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        most = int(_MOST_COLUMNS ** (1 / len(self.names)) + 1e-9) - 1
        if stream_dim is None:
            stream_dim = max(1, min(16, most))
        columns = (whole(stream_dim, "stream_dim", least=1) + 1) ** len(self.names)
        if columns > _MOST_COLUMNS:
            lower = f"lower stream_dim to {most} at most, or " if most > 0 else ""
            raise ParameterError(
                f"the product of {len(self.names)} streams of {stream_dim} columns each, and "
                f"a 1, has {columns} columns, more than {_MOST_COLUMNS}",
                f'{lower}take build_fusion("low_rank_fusion", ...)',
            )
        self.encoders = StreamEncoders(self.dims, stream_dim, dropout=dropout)
        self.output = nn.Linear(columns, out_dim)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Take the outer product and map it linearly."""
        encoded = self.encoders(inputs.streams, inputs.masks)
        product = augmented_outer_product(list(encoded.values()))
        return make_output(self.output(product), any_valid(inputs.masks))
