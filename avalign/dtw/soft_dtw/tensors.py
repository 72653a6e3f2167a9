"""Checks of batches of series in tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from avalign.arguments import abbreviate, choice
from avalign.dtw.problem import METRIC_CODES
from avalign.errors import ParameterError


def check_batch(x: Tensor, y: Tensor | None, metric: str) -> Tensor:
    """Refuse what is no batch of series; return y, empty where costs are precomputed."""
    choice(metric, "metric", METRIC_CODES)
    if (y is None) != (metric == "precomputed"):
        raise ParameterError(
            f"metric {metric!r} and y {'missing' if y is None else 'given'}",
            "precomputed costs go as x, without y; all other metrics need both",
        )
    for name, tensor in (("x", x), ("y", y)):
        if name == "y" and tensor is None:
            continue
        if not isinstance(tensor, Tensor):
            raise ParameterError(
                f"{name} is {abbreviate(tensor)}", "give a tensor; torch.as_tensor makes one"
            )
        if tensor.ndim != 3 or 0 in tensor.shape:
            raise ParameterError(
                f"{name} has shape {tuple(tensor.shape)}",
                "give (batch, rows, features), none of them 0",
            )
        if tensor.dtype not in (torch.float32, torch.float64):
            raise ParameterError(f"{name} holds {tensor.dtype}", "call .float() on it first")
        if tensor.device.type not in ("cpu", "cuda"):
            raise ParameterError(
                f"{name} is on {tensor.device}", "move it to cpu or cuda first"
            )
    if y is None:
        return x.new_empty((x.shape[0], 0, 0))
    if (x.shape[0], x.shape[2]) != (y.shape[0], y.shape[2]):
        raise ParameterError(
            f"x of shape {tuple(x.shape)} and y of shape {tuple(y.shape)}",
            "batch and features must be the same",
        )
    if (x.dtype, x.device) != (y.dtype, y.device):
        raise ParameterError(
            f"x is {x.dtype} on {x.device}, y {y.dtype} on {y.device}", "make them the same"
        )
    return y


def count_rows(given: Tensor | None, batch: int, rows: int, name: str) -> Tensor:
    """Return how many rows of each series count, on the CPU."""
    if given is None:
        return torch.full((batch,), rows)
    if not isinstance(given, Tensor):
        raise ParameterError(f"{name} is {abbreviate(given)}", "give a tensor of integers")
    lengths = given.detach().cpu()
    if lengths.dtype == torch.bool and lengths.shape == (batch, rows):
        mask, lengths = lengths, lengths.sum(1)
        if not torch.equal(mask, torch.arange(rows) < lengths[:, None]):
            raise ParameterError(
                f"the mask {name} has gaps",
                "rows that count come first, all others behind them",
            )
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ParameterError(
            f"{name} is {given.dtype} of shape {tuple(given.shape)}",
            f"give integers of shape ({batch},), or a boolean mask of shape ({batch}, {rows})",
        )
    if not ((lengths >= 1) & (lengths <= rows)).all():
        raise ParameterError(
            f"{name} reach from {int(lengths.min())} to {int(lengths.max())}",
            f"each series needs 1 to {rows} rows",
        )
    return lengths


def row_mask(lengths: Tensor, rows: int, device: torch.device) -> Tensor:
    """Return which rows count, (B, rows, 1)."""
    return (torch.arange(rows) < lengths[:, None])[:, :, None].to(device)


def refuse_what_is_not_finite(values: Tensor, counts: Tensor, name: str) -> None:
    """Refuse NaN and infinity in rows that count."""
    wrong = ~torch.isfinite(values.detach()) & counts
    if wrong.any():
        pair, row, feature = wrong.nonzero()[0].tolist()
        raise ParameterError(
            f"{name}[{pair}, {row}, {feature}] is {values[pair, row, feature].item()}",
            "look for the step that made it, or mask such rows by their lengths",
        )
