"""Base of the families that attend over time, so that streams need not be aligned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch

from avalign.errors import ParameterError
from avalign.fusion.interface import Fusion
from avalign.fusion.layers.encoders import positional_encoding
from avalign.fusion.layers.masking import zero_masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from avalign.fusion.interface import FusionInput


class UnalignedFusion(Fusion):
    """A fusion of streams that may differ in length and rate; its rows are the target's.

    Row 0 of every stream is at time 0, and row k at ``k / rate``. A lag between the
    streams is for the family to bridge.

    Parameters
    ----------
    dims, out_dim
        As in `Fusion`.
    target : str, optional
        Stream on whose clock the fused rows are; by default the first by name.
    rates_hz : mapping of str to float, optional
        Rows per second of each stream. Without it all streams have the same rate, and
        times are in rows.

    Raises
    ------
    ParameterError
        If the target is no stream, or the rates do not name every stream once with a
        positive number.
    """

    aligned: ClassVar[bool] = False

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        target: str | None = None,
        rates_hz: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(dims, out_dim)
        self.target = self.names[0] if target is None else target
        if self.target not in self.names:
            raise ParameterError(
                f"the target {target!r} is not a stream of this fusion",
                f"choose one of {', '.join(self.names)}",
            )
        self.sources = tuple(name for name in self.names if name != self.target)
        self.rates_hz = self._checked_rates(rates_hz)

    def _checked_rates(self, rates_hz: Mapping[str, float] | None) -> dict[str, float]:
        if rates_hz is None:
            return dict.fromkeys(self.names, 1.0)
        if set(rates_hz) != set(self.names):
            raise ParameterError(
                f"rates_hz names {', '.join(sorted(rates_hz)) or 'no stream'}",
                f"give one rate for each of {', '.join(self.names)}",
            )
        for name, rate_hz in rates_hz.items():
            if not (rate_hz > 0 and math.isfinite(rate_hz)):
                raise ParameterError(
                    f"the rate of stream {name!r} is {rate_hz}", "give rows per second, above 0"
                )
        return {name: float(rates_hz[name]) for name in self.names}

    def times(self, name: str, rows: Tensor) -> Tensor:
        """Compute the times of a stream's rows: float32 (T,), seconds; rows without rates."""
        numbers = torch.arange(rows.shape[1], device=rows.device, dtype=torch.float32)
        return numbers / self.rates_hz[name]

    def add_positions(self, name: str, rows: Tensor) -> Tensor:
        """Add the encoding of its time, in rows of the target, to each row (B, T, D)."""
        positions = self.times(name, rows) * self.rates_hz[self.target]
        return rows + positional_encoding(positions, rows.shape[2]).to(rows.dtype)

    def on_target_clock(self, name: str, rows: Tensor, inputs: FusionInput) -> Tensor:
        """Take the row nearest in time to each row of the target; zeros beyond the end."""
        index, inside = self._nearest(name, rows, inputs)
        return zero_masked(rows[:, index], inside)

    def masks_on_target_clock(self, inputs: FusionInput) -> dict[str, Tensor]:
        """Which streams are there at each row of the target: bool (B, T) by name."""
        masks = {}
        for name, mask in inputs.masks.items():
            index, inside = self._nearest(name, mask, inputs)
            masks[name] = mask[:, index] & inside
        return masks

    def _nearest(self, name: str, rows: Tensor, inputs: FusionInput) -> tuple[Tensor, Tensor]:
        """Find the row nearest to each row of the target, and whether there is one."""
        positions = self.times(self.target, inputs.streams[self.target]) * self.rates_hz[name]
        index = (positions + 0.5).long()
        return index.clamp(max=rows.shape[1] - 1), index < rows.shape[1]
