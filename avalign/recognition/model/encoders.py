"""The encoder of one stream: standardisation, convolutions, a recurrent layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion import masked_mean, run_recurrent, zero_masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from avalign.recognition.model.settings import StreamSettings

# Velocities of standardised rows are this much smaller than the rows themselves.
_VELOCITY_SCALE = 4.0
_KERNEL = 5
# A column that never moves would be divided by nothing.
_SMALLEST_SCALE = 1e-4


class Standardisation(nn.Module):
    """Centre, rotate and scale rows with what was measured on the training data."""

    mean: Tensor
    scale: Tensor
    components: Tensor | None

    def __init__(self, settings: StreamSettings) -> None:
        super().__init__()
        self.settings = settings
        kept = settings.components or settings.columns
        self.register_buffer("mean", torch.zeros(settings.columns))
        self.register_buffer("scale", torch.ones(kept))
        basis = torch.eye(settings.columns, kept) if settings.components else None
        self.register_buffer("components", basis)

    @torch.no_grad()
    def fit(self, clips: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Measure mean, scale and principal components of valid rows ([T, D], bool [T])."""
        width = self.settings.columns
        count, total = 0, torch.zeros(width, dtype=torch.float64)
        products = torch.zeros(width, width, dtype=torch.float64)
        shift = total
        for values, valid in clips:
            rows = values[valid].double()
            if not len(rows):
                continue
            if not count:
                # Sums of squares stay exact around a mean, and any will do.
                shift = rows.mean(dim=0)
            total += rows.sum(dim=0)
            rows = rows - (rows.mean(dim=0) if self.settings.centre else shift)
            count += len(rows)
            products += rows.T @ rows
        if not count:
            return
        mean = total / count
        covariance = products / count
        if not self.settings.centre:
            covariance -= torch.outer(mean - shift, mean - shift)
        self.mean.copy_(mean)
        if self.components is None:
            deviation = covariance.diagonal().clamp(min=0).sqrt()
        else:
            variances, vectors = torch.linalg.eigh(covariance)
            kept = len(self.scale)
            self.components.copy_(vectors.flip(1)[:, :kept])
            deviation = variances.flip(0)[:kept].clamp(min=0).sqrt()
        self.scale.copy_(1.0 / deviation.clamp(min=_SMALLEST_SCALE))

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Standardise [B, T, D] to [B, T, K]; zeros where the mask is False."""
        # First to small numbers: faint components would magnify the rounding of large ones.
        rows = zero_masked(values - self.mean, mask)
        if self.settings.centre:
            rows = zero_masked(rows - masked_mean(rows, mask)[:, None], mask)
        if self.components is not None:
            rows = rows @ self.components
        return rows * self.scale


class BidirectionalGRU(nn.Module):
    """A recurrent layer each way, which padding cannot reach."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(width, units, batch_first=True)
        self.backwards = nn.GRU(width, units, batch_first=True)

    def forward(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Read rows [B, T, D] both ways, side by side: [B, T, 2 * units]."""
        indices = torch.arange(rows.shape[1], device=rows.device)
        mirrored = lengths[:, None] - 1 - indices
        mirrored = torch.where(mirrored >= 0, mirrored, indices)
        ahead = run_recurrent(self.forwards, rows)
        back = run_recurrent(self.backwards, _take(rows, mirrored))
        return torch.cat([ahead, _take(back, mirrored)], dim=-1)


class StreamEncoder(nn.Module):
    """Standardisation, two convolutions over time, a recurrent layer."""

    def __init__(
        self, settings: StreamSettings, units: int, dropout: float, stride: int
    ) -> None:
        super().__init__()
        self.settings = settings
        self.standardise = Standardisation(settings)
        self.stride = stride
        self.first = nn.Conv1d(settings.width, units, _KERNEL, stride=stride)
        self.second = nn.Conv1d(units, units, _KERNEL, padding=_KERNEL // 2)
        self.norms = nn.ModuleList(nn.LayerNorm(units) for _ in range(2))
        self.recurrent = BidirectionalGRU(units, units)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, values: Tensor, mask: Tensor, coarse_mask: Tensor, coarse_lengths: Tensor
    ) -> Tensor:
        """Encode [B, T, D] to [B, T / stride, 2 * units]; zeros outside `coarse_mask`."""
        rows = self.standardise(values, mask)
        if self.training and self.settings.noise:
            rows = zero_masked(self._disturbed(rows), mask)
        if self.settings.velocity:
            rows = torch.cat([rows, _VELOCITY_SCALE * _velocity(rows, mask)], dim=-1)
        rows = self._convolve(self.first, self.norms[0], self._padded(rows))
        rows = rows + self._convolve(self.second, self.norms[1], zero_masked(rows, coarse_mask))
        encoded = self.dropout(self.recurrent(rows, coarse_lengths))
        return zero_masked(encoded, coarse_mask)

    def _padded(self, rows: Tensor) -> Tensor:
        """Pad so that plain division by `stride` gives the rows, as ONNX export needs."""
        after = max(0, _KERNEL // 2 + 1 - self.stride) + (-rows.shape[1] % self.stride)
        return nn.functional.pad(rows, (0, 0, _KERNEL // 2, after))

    def _disturbed(self, rows: Tensor) -> Tensor:
        """Rows as another face or microphone would give them."""
        noise = self.settings.noise
        per_clip = rows[:, :1]
        factor = 1.0 + noise * torch.randn_like(per_clip)
        summand = noise * torch.randn_like(per_clip)
        return rows * factor + summand + noise / 2 * torch.randn_like(rows)

    def _convolve(self, layer: nn.Conv1d, norm: nn.Module, rows: Tensor) -> Tensor:
        convolved = layer(rows.transpose(1, 2)).transpose(1, 2)
        return self.dropout(nn.functional.gelu(norm(convolved)))


def _velocity(rows: Tensor, mask: Tensor) -> Tensor:
    """Half the difference of the neighbours, 0 where one of them is missing."""
    change = nn.functional.pad((rows[:, 2:] - rows[:, :-2]) / 2, (0, 0, 1, 1))
    both = nn.functional.pad(mask[:, 2:] & mask[:, :-2], (1, 1))
    return zero_masked(change, both & mask)


def _take(rows: Tensor, indices: Tensor) -> Tensor:
    """Rows of each item in the order of its places."""
    return rows.gather(1, indices[..., None].expand(-1, -1, rows.shape[2]))
