"""What families put in front of the fusion itself: projections and places in time."""

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

__all__ = [
    "PerStream",
    "PositionalEncoding",
    "StreamEncoders",
    "StreamHeads",
    "TemporalEncoder",
    "positional_encoding",
]


class PerStream(nn.Module):
    """A layer of its own for every stream.

    Parameters
    ----------
    layers : mapping of str to nn.Module
        Layer of each stream; maps rows (B, T, D) to rows.
    """

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = tuple(sorted(layers))
        # A list, because a ModuleDict forbids names such as "keys" or "lip.points".
        self.layers = nn.ModuleList(layers[name] for name in self.names)

    def forward(
        self, streams: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Put every stream through its layer.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (B, T, D)
            Streams.
        masks : mapping of str to Tensor of shape (B, T), bool
            Their masks.

        Returns
        -------
        dict of str to Tensor of shape (B, T, out_dim)
            New streams, ordered by name; zeros where the mask is False.
        """
        return {
            name: zero_masked(layer(streams[name]), masks[name])
            for name, layer in zip(self.names, self.layers, strict=True)
        }


class StreamEncoders(PerStream):
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
    """Predict from every stream alone: a network with one hidden layer each.

    Parameters
    ----------
    dims : mapping of str to int
        Width of each stream.
    out_dim : int
        Width of the predictions.
    hidden : int, optional
        Width of the hidden layer; `out_dim` by default.
    dropout : float
        Share of hidden values to drop in training.
    """

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
    """Residual convolutions over time that see nothing of masked rows.

    Parameters
    ----------
    dim : int
        Width of the rows, in and out.
    layers : int
        Convolutions.
    kernel : int
        Rows each of them looks at; odd, so that it is centred.
    dropout : float
        Share of values to drop in training.

    Raises
    ------
    ParameterError
        If the kernel is not odd and positive.
    """

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
        """Encode.

        Parameters
        ----------
        rows : Tensor of shape (B, T, dim)
            Rows.
        mask : Tensor of shape (B, T), bool
            True where they are valid.

        Returns
        -------
        Tensor of shape (B, T, dim)
            New rows; zeros where the mask is False.
        """
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            # Zeros in masked rows look to a convolution like the end of the sequence.
            clean = zero_masked(norm(rows), mask)
            new = nn.functional.gelu(convolution(clean.transpose(1, 2)).transpose(1, 2))
            rows = rows + self.dropout(new)
        return zero_masked(rows, mask)


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
