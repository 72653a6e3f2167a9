"""Mean and deviation of a stream over a whole clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.fusion import masked_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from avalign.recognition.model.settings import StreamSettings

# The root of 0 has no gradient.
_SMALLEST_VARIANCE = 1e-8
# A statistic that hardly differs among the training clips tells nothing of others.
_SMALLEST_DEVIATION = 1e-4
# Nobody is further from the training clips than this, in their deviations.
_FARTHEST = 5.0


class StatisticsPooling(nn.Module):
    """Mean and standard deviation over time, standardised and projected to `width`.

    Few clips suffice to learn from them. Where each clip is centred by its own mean, only
    deviations are read. Source: D. Snyder et al., "X-vectors: robust DNN embeddings for speaker
    recognition", ICASSP 2018.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, settings: StreamSettings, width: int, dropout: float) -> None:
        super().__init__()
        self.centre = settings.centre
        count = settings.columns * (1 if self.centre else 2)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("scale", torch.ones(count))
        self.project = nn.Linear(count, width)
        self.dropout = nn.Dropout(dropout)

    @torch.no_grad()
    def fit(self, clips: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Measure how the statistics differ among clips ([T, D], bool [T])."""
        found = [
            self.statistics(values[None], valid[None])[0]
            for values, valid in clips
            if valid.any()
        ]
        if not found:
            return
        table = torch.stack(found).double()
        deviation = table.std(dim=0, correction=0)
        self.mean.copy_(table.mean(dim=0))
        self.scale.copy_(
            torch.where(deviation > _SMALLEST_DEVIATION, 1.0 / deviation, torch.zeros(()))
        )

    def statistics(self, values: Tensor, mask: Tensor) -> Tensor:
        """Compute means, if they count, and deviations over time: [B, 2 * D] or [B, D]."""
        mean = masked_mean(values, mask)
        variance = masked_mean((values - mean[:, None]).square(), mask)
        deviation = variance.clamp(min=_SMALLEST_VARIANCE).sqrt()
        return deviation if self.centre else torch.cat([mean, deviation], dim=-1)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """Summarise [B, T, D] as [B, width]; zeros where no row is valid."""
        standard = (self.statistics(values, mask) - self.mean) * self.scale
        read = self.project(self.dropout(standard.clamp(-_FARTHEST, _FARTHEST)))
        return self.dropout(nn.functional.gelu(read)) * mask.any(dim=1, keepdim=True)
