"""What families put in front of the fusion itself: projections and places in time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion.masking import zero_masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["PositionalEncoding", "StreamEncoders", "positional_encoding"]


class StreamEncoders(nn.Module):
    """Bring every stream to one width: a projection and a LayerNorm of its own each.

    Parameters
    ----------
    dims : mapping of str to int
        Width of each stream.
    out_dim : int
        Width they are brought to.
    dropout : float
        Share of values to drop in training.
    """

    def __init__(self, dims: Mapping[str, int], out_dim: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.names = tuple(sorted(dims))
        # A list, because a ModuleDict forbids names such as "keys" or "lip.points".
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dims[name], out_dim), nn.LayerNorm(out_dim), nn.Dropout(dropout)
            )
            for name in self.names
        )

    def forward(
        self, streams: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Encode all streams.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (B, T, D)
            Streams.
        masks : mapping of str to Tensor of shape (B, T), bool
            Their masks.

        Returns
        -------
        dict of str to Tensor of shape (B, T, out_dim)
            Encoded streams, ordered by name; zeros where the mask is False.
        """
        return {
            name: zero_masked(layer(streams[name]), masks[name])
            for name, layer in zip(self.names, self.layers, strict=True)
        }


def positional_encoding(positions: Tensor, dim: int, *, slowest: float = 1e4) -> Tensor:
    """Sines and cosines that tell rows apart by their place in time.

    Parameters
    ----------
    positions : Tensor of any shape (...)
        Row numbers, or times in rows; floating point or integer.
    dim : int
        Width of the encoding.
    slowest : float
        Longest wavelength, in rows, over 2 pi.

    Returns
    -------
    Tensor of shape (..., dim), float32
        The sines first, then the cosines.

    References
    ----------
    A. Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.
    """
    half = (dim + 1) // 2
    steps = torch.arange(half, device=positions.device, dtype=torch.float32)
    angles = positions[..., None].float() * torch.exp(-math.log(slowest) / half * steps)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :dim]


class PositionalEncoding(nn.Module):
    """Add `positional_encoding` of the row number to rows; any length, no parameters."""

    def forward(self, rows: Tensor) -> Tensor:
        """Add each row's place.

        Parameters
        ----------
        rows : Tensor of shape (B, T, D)
            Rows.

        Returns
        -------
        Tensor of shape (B, T, D)
            Rows with their places, in the same dtype.
        """
        positions = torch.arange(rows.shape[1], device=rows.device)
        return rows + positional_encoding(positions, rows.shape[2]).to(rows.dtype)
