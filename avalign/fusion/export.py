"""Fusions as ONNX files, for inference without torch."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from avalign.errors import ParameterError, import_guard
from avalign.files import atomic_output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from avalign.fusion.interface import Fusion

# Families that ONNX cannot express, and why.
NOT_EXPRESSIBLE: Mapping[str, str] = MappingProxyType({})

# Not 0 and 1, which the exporter would take for constants.
_EXAMPLE_ITEMS, _EXAMPLE_ROWS = 2, 7


def export_fusion(
    fusion: Fusion, path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write a fusion as an ONNX file, with any batch and any number of rows.

    Inputs are the streams by name, float32 (batch, time, D), and their masks, bool
    (batch, time), named by `mask_name`; an absent stream is one whose mask is False
    throughout. Outputs are ``sequence`` (batch, time, out_dim), ``mask`` (batch, time) and
    ``pooled`` (batch, out_dim), as in `FusionOutput`. Inputs are not checked in the file.

    Parameters
    ----------
    fusion : Fusion
        The family, trained; exported as it is in evaluation.
    path : path-like
        The file to write.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If ONNX cannot express the fusion.
    MissingDependencyError
        If onnx or onnxscript is not installed.
    MediaError
        If the file exists already or cannot be written.

    Examples
    --------
    >>> import onnxruntime  # doctest: +SKIP
    >>> export_fusion(fusion, "fusion.onnx")  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("fusion.onnx")  # doctest: +SKIP
    >>> feed = {"audio": audio, "audio_mask": audio_mask}  # doctest: +SKIP
    >>> feed |= {"lips": lips, "lips_mask": lips_mask}  # doctest: +SKIP
    >>> sequence, mask, pooled = session.run(None, feed)  # doctest: +SKIP
    """
    device = next(fusion.parameters(), torch.empty(0)).device
    # Streams of families that can do without alignment may differ in length.
    times = [
        torch.export.Dim("time" if fusion.aligned else f"time_{index}")
        for index in range(len(fusion.names))
    ]
    lengths = [
        _EXAMPLE_ROWS if fusion.aligned else _EXAMPLE_ROWS + index
        for index in range(len(times))
    ]
    example = (
        *(
            torch.zeros(_EXAMPLE_ITEMS, rows, width, device=device)
            for rows, width in zip(lengths, fusion.dims.values(), strict=True)
        ),
        *(
            torch.ones(_EXAMPLE_ITEMS, rows, dtype=torch.bool, device=device)
            for rows in lengths
        ),
    )
    axes = [{0: torch.export.Dim("batch"), 1: time} for time in times]
    was_training = fusion.training
    try:
        write_onnx(
            _Flat(fusion.eval()),
            path,
            example,
            [*axes, *axes],
            inputs=[*fusion.names, *(mask_name(name) for name in fusion.names)],
            outputs=["sequence", "mask", "pooled"],
            name=type(fusion).__name__,
            free_axes={"sequence": 2, "mask": 2},
            overwrite=overwrite,
        )
    finally:
        fusion.train(was_training)


def write_onnx(
    module: nn.Module,
    path: str | os.PathLike[str],
    example: tuple[Tensor, ...],
    axes: Sequence[Mapping[int, Any]],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    name: str,
    free_axes: Mapping[str, int] = MappingProxyType({}),
    overwrite: bool = False,
) -> None:
    """Write a module that takes and gives tensors in a row as an ONNX file.

    Parameters
    ----------
    module : nn.Module
        The module, in evaluation; its ``forward`` takes ``*inputs``.
    path : path-like
        The file to write.
    example : tuple of Tensor
        One input of each kind.
    axes : sequence of mapping of int to torch.export.Dim
        Axes of each input that may have any length.
    inputs, outputs : sequence of str
        Their names in the file.
    name : str
        What the module is called in messages.
    free_axes : mapping of str to int, optional
        How many leading axes of an output have to fit any length; 1, the items, by
        default.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    ParameterError
        If ONNX cannot express the module, or only at the lengths of the example.
    MissingDependencyError
        If onnx or onnxscript is not installed.
    MediaError
        If the file exists already or cannot be written.
    """
    _require_onnx()
    with atomic_output(path, overwrite) as temporary, _quietly(), torch.no_grad():
        try:
            torch.onnx.export(
                module,
                example,
                str(temporary),
                dynamo=True,
                dynamic_shapes={"inputs": tuple(axes)},
                input_names=list(inputs),
                output_names=list(outputs),
                external_data=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            cause = str(error.__cause__ or error).strip().splitlines()[0]
            raise _refusal(name, cause) from error
        _check_free_axes(
            temporary,
            {one: tuple(free) for one, free in zip(inputs, axes, strict=True)}
            | {one: tuple(range(free_axes.get(one, 1))) for one in outputs},
            name,
        )


def _check_free_axes(
    path: str | os.PathLike[str], free: Mapping[str, Sequence[int]], name: str
) -> None:
    """Refuse a file that fits the example's lengths only, as an unrolled loop does."""
    import onnx

    graph = onnx.load(path).graph
    for value in (*graph.input, *graph.output):
        lengths = value.type.tensor_type.shape.dim
        for axis in free[value.name]:
            if not lengths[axis].dim_param:
                fixed = f"axis {axis} of {value.name!r} is {lengths[axis].dim_value} for good"
                raise _refusal(name, fixed)


def _refusal(name: str, cause: str) -> ParameterError:
    return ParameterError(
        f"ONNX cannot express {name}: {cause}",
        "export another family, or keep torch for this one",
    )


def mask_name(stream: str) -> str:
    """Name of the input that holds a stream's mask.

    Parameters
    ----------
    stream : str
        The stream.

    Returns
    -------
    str
        Such as ``"audio_mask"``.
    """
    return f"{stream}_mask"


class _Flat(nn.Module):
    """A fusion whose inputs are tensors in a row: all streams, then all masks."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        names = self.fusion.names
        streams = dict(zip(names, inputs[: len(names)], strict=True))
        masks = dict(zip(names, inputs[len(names) :], strict=True))
        found = self.fusion(streams, masks)
        return found.sequence, found.mask, found.pooled


def _require_onnx() -> None:
    with import_guard(
        "the export needs onnx and onnxscript, which do not load",
        "pip install 'avalign[export]'",
    ):
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporter's remarks on its own internals from the user."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
