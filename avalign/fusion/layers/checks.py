"""Checks of what a fusion is given: the same messages for every family."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping


def check_shapes(
    streams: Mapping[str, Tensor],
    masks: Mapping[str, Tensor],
    present: Mapping[str, Tensor],
    quality: Mapping[str, Tensor],
    *,
    dims: Mapping[str, int],
    aligned: bool,
    weight: Tensor | None,
) -> None:
    """Check that names, ranks, widths, batches, lengths and types fit together."""
    if not streams:
        raise ParameterError(
            "all streams are missing", f"give at least one of {', '.join(dims)}"
        )
    for what, given in (
        ("stream", streams),
        ("mask", masks),
        ("present", present),
        ("quality", quality),
    ):
        unknown = sorted(set(given) - set(dims))
        if unknown:
            raise ParameterError(
                f"{what} {unknown[0]!r} is not a stream of this fusion",
                f"its streams are {', '.join(dims)}",
            )
    first = next(iter(streams))
    for name, values in streams.items():
        _check_stream(name, values, dims[name])
        _check_weights_fit(name, values, weight)
        if len(values) != len(streams[first]):
            raise ParameterError(
                f"stream {name!r} has shape {tuple(values.shape)}, but {first!r} has "
                f"{tuple(streams[first].shape)}: the batches differ",
                f"wanted ({len(streams[first])}, T, {dims[name]})",
            )
        if aligned and values.shape[1] != streams[first].shape[1]:
            raise ParameterError(
                f"stream {name!r} has shape {tuple(values.shape)}, but {first!r} has "
                f"{tuple(streams[first].shape)}: the lengths differ, wanted "
                f"({len(values)}, {streams[first].shape[1]}, {dims[name]})",
                "bring them to one clock with avalign.align_streams and "
                "avalign.fusion.from_alignment first",
            )
        rows = tuple(values.shape[:2])
        if name in masks:
            _check_flags(f"mask of stream {name!r}", masks[name], rows)
        if name in present:
            _check_flags(f"present of stream {name!r}", present[name], rows[:1])
        if name in quality:
            _check_quality(name, quality[name], rows)


def check_values(
    streams: Mapping[str, Tensor], masks: Mapping[str, Tensor], quality: Mapping[str, Tensor]
) -> None:
    """Check that valid rows are finite and that every item has a stream."""
    there = torch.stack([mask.any(dim=1) for mask in masks.values()]).any(dim=0)
    tensors = [*streams.values(), *quality.values()]
    # One synchronisation with the device, not one for each tensor.
    if torch.stack([there.all(), *(values.isfinite().all() for values in tensors)]).all():
        return
    for name, values in streams.items():
        if not values.isfinite().all():
            item, row, column = (~values.isfinite()).nonzero()[0].tolist()
            raise ParameterError(
                f"stream {name!r} of shape {tuple(values.shape)} is not finite at item {item}, "
                f"row {row}, column {column}, which its mask calls valid",
                "set the mask to False there, or fill the gap",
            )
    for name, values in quality.items():
        if not values.isfinite().all():
            raise ParameterError(f"the quality of stream {name!r} is not finite in a valid row")
    missing = (~there).nonzero()[0].item()
    raise ParameterError(
        f"all streams of item {missing} are missing", "leave the item out of the batch"
    )


def _check_stream(name: str, values: Tensor, width: int) -> None:
    """Raise unless a stream is a floating-point tensor of shape (B, T, width)."""
    if not isinstance(values, Tensor):
        raise ParameterError(
            f"stream {name!r} is a {type(values).__name__}, wanted a tensor (B, T, {width})",
            "torch.from_numpy makes one of an array",
        )
    if values.ndim != 3 or values.shape[2] != width or 0 in values.shape:
        raise ParameterError(
            f"stream {name!r} has shape {tuple(values.shape)}, wanted (B, T, {width})"
        )
    if not values.is_floating_point():
        raise ParameterError(
            f"stream {name!r} has dtype {values.dtype}, wanted floating point",
            "convert it with .float()",
        )


def _check_flags(what: str, flags: Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless flags are a boolean tensor of the shape."""
    if not isinstance(flags, Tensor) or flags.dtype != torch.bool:
        met = flags.dtype if isinstance(flags, Tensor) else type(flags).__name__
        raise ParameterError(
            f"the {what} is {met}, wanted a bool tensor of shape {shape}",
            "True where there is something",
        )
    if tuple(flags.shape) != shape:
        raise ParameterError(f"the {what} has shape {tuple(flags.shape)}, wanted {shape}")


def _check_quality(name: str, quality: Tensor, shape: tuple[int, ...]) -> None:
    """Raise unless a quality is a floating-point tensor of the shape."""
    if not isinstance(quality, Tensor) or not quality.is_floating_point():
        met = quality.dtype if isinstance(quality, Tensor) else type(quality).__name__
        raise ParameterError(
            f"the quality of stream {name!r} is {met}, wanted a floating-point tensor of "
            f"shape {shape}"
        )
    if tuple(quality.shape) != shape:
        raise ParameterError(
            f"the quality of stream {name!r} has shape {tuple(quality.shape)}, wanted {shape}"
        )


def _check_weights_fit(name: str, values: Tensor, weight: Tensor | None) -> None:
    """Raise unless a stream can meet the weights: same device and, without autocast, dtype."""
    if weight is None:
        return
    if values.device != weight.device:
        raise ParameterError(
            f"stream {name!r} is on {values.device}, the weights on {weight.device}",
            "bring both to one device with .to(device)",
        )
    if values.dtype != weight.dtype and not torch.is_autocast_enabled(values.device.type):
        raise ParameterError(
            f"stream {name!r} has dtype {values.dtype}, the weights {weight.dtype}",
            f"convert it with .to({weight.dtype})",
        )
