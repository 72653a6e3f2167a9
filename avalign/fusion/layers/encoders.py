"""What families put in front of the fusion itself: projections and positions in time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.errors import ParameterError
from avalign.fusion.layers.masking import zero_masked
from avalign.fusion.layers.options import checked_dropout, checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class PerStream(nn.Module):
    """A layer of its own for every stream."""

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(sorted(layers))
        # A list, because a ModuleDict forbids names such as "keys" or "lip.points".
        self.layers = nn.ModuleList(layers[name] for name in self.names)

    def forward(
        self, streams: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Put every stream (B, T, D) through its layer; ordered by name, zeros where masked."""
        return {
            name: zero_masked(layer(streams[name]), masks[name])
            for name, layer in zip(self.names, self.layers, strict=True)
        }


class StreamEncoders(PerStream):
    """Bring every stream to one width: a projection and a LayerNorm of its own each."""

    def __init__(self, dims: Mapping[str, int], out_dim: int, *, dropout: float = 0.0) -> None:
        super().__init__(
            {
                name: nn.Sequential(
                    nn.Linear(dim, out_dim),
                    nn.LayerNorm(out_dim),
                    nn.Dropout(checked_dropout(dropout)),
                )
                for name, dim in sorted(dims.items())
            }
        )


class StreamHeads(PerStream):
    """Predict from every stream alone: a network with one hidden layer each."""

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        hidden = checked_width(hidden, out_dim)
        super().__init__(
            {
                name: nn.Sequential(
                    nn.Linear(dim, hidden),
                    nn.LayerNorm(hidden),
                    nn.GELU(),
                    nn.Dropout(checked_dropout(dropout)),
                    nn.Linear(hidden, out_dim),
                )
                for name, dim in sorted(dims.items())
            }
        )


class TemporalEncoder(nn.Module):
    """Residual convolutions over time that see nothing of masked rows."""

    def __init__(
        self, dim: int, *, layers: int = 2, kernel: int = 5, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise ParameterError(f"the kernel has {kernel} rows; it must be odd and positive")
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(layers))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2) for _ in range(layers)
        )
        self.dropout = nn.Dropout(checked_dropout(dropout))

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        """Encode rows (B, T, dim); zeros where the mask (B, T) is False."""
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            # To a convolution, zeros in masked rows are like the end of the sequence.
            clean = zero_masked(norm(rows), mask)
            new = nn.functional.gelu(convolution(clean.transpose(1, 2)).transpose(1, 2))
            rows = rows + self.dropout(new)
        return zero_masked(rows, mask)


def positional_encoding(positions: Tensor, dim: int, *, slowest: float = 1e4) -> Tensor:
    """Sines, then cosines of positions in rows: float32 (..., dim).

    `slowest` is the longest wavelength over 2 pi, in rows.
    Source: A. Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.
    """
    half = (dim + 1) // 2
    steps = torch.arange(half, device=positions.device, dtype=torch.float32)
    angles = positions[..., None].float() * torch.exp(-math.log(slowest) / half * steps)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :dim]


class PositionalEncoding(nn.Module):
    """Add `positional_encoding` of the row number to rows; any length, no parameters."""

    def forward(self, rows: Tensor) -> Tensor:
        """Add the encoding of its position to each row (B, T, D)."""
        positions = torch.arange(rows.shape[1], device=rows.device)
        return rows + positional_encoding(positions, rows.shape[2]).to(rows.dtype)
