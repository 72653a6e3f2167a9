"""Recognisers as ONNX files, for inference without torch."""

from __future__ import annotations

import json
import logging
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from avalign.errors import ParameterError, import_guard
from avalign.files import atomic_outputs

with import_guard(
    "the export needs torch, which does not load", "pip install 'avalign[export]'"
):
    import torch
    from torch import Tensor, nn

    from avalign.fusion import mask_name, write_onnx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from avalign.recognition.model.encoders import Standardisation
    from avalign.recognition.model.recognizer import Recognizer

LARGEST_DIFFERENCE = 1e-4
HEADS = ("log_probs", "words", "logits", "values")
# Not 0 and 1, which the exporter would take for constants.
_EXAMPLE_ITEMS, _EXAMPLE_STEPS = 2, 7
# Lengths at which the file is held against torch, in rows.
_PROBED_ROWS = (8, 150, 404)
# How much of a row of probes is that of the row before.
_KEPT = 0.9
# Weights smaller than this are left as they are: they are little to gain.
_SMALLEST_WEIGHT = 1024


@dataclass(frozen=True, slots=True)
class Parity:
    """How far answers of a file are from those of torch, on random input of three lengths."""

    largest_difference: float  # of probabilities; of values, relative above 1
    same_answers: float  # fraction of rows and items with the same likeliest label


@dataclass(frozen=True, slots=True)
class Export:
    """What was written, and how close it is."""

    path: Path
    settings_path: Path  # the JSON beside it
    size_bytes: int
    torch_bytes: int  # of the weights in torch
    parity: Parity
    int8: bool  # whether weights are 8-bit integers


def export_model(
    model: Recognizer,
    path: str | os.PathLike[str],
    *,
    int8: bool = False,
    overwrite: bool = False,
) -> Export:
    """Write a recogniser as an ONNX file, and compare its answers with torch.

    Inputs are the streams by name, float32 (batch, time, D), as they are extracted, and
    their masks, bool (batch, time), named ``<stream>_mask``; an absent stream is one whose
    mask is False throughout. The number of rows is any multiple of the model's ``stride``:
    fill up with rows whose masks are False. Outputs are the heads that the model has:
    ``log_probs``, ``words``, ``logits``, ``values``. A JSON file of the same name tells
    features, rate, alphabet, vocabulary, labels.

    Parameters
    ----------
    model : Recognizer
        The model.
    path : path-like
        The ``.onnx`` file.
    int8 : bool
        Store weights as 8-bit integers, and multiply with them.
    overwrite : bool
        Replace files that exist.

    Returns
    -------
    Export
        Files, sizes and parity.

    Raises
    ------
    ParameterError
        If ONNX cannot express the model, the name does not end in ``.onnx``, or, without
        `int8`, probabilities differ from torch's by more than 1e-4.
    MissingDependencyError
        If onnx, onnxscript or onnxruntime is missing.
    MediaError
        If a file exists already or cannot be written.
    """
    _require_runtime()
    target = Path(path)
    if target.suffix.lower() != ".onnx":
        raise ParameterError(f"{target}: is no name for an ONNX file", "let it end in .onnx")
    model = model.cpu().eval()
    beside = settings_path(target)
    with atomic_outputs(target, beside, overwrite=overwrite) as (temporary, settings):
        _write(model, temporary)
        if int8:
            _quantise(temporary)
        parity = _parity(model, temporary)
        if not int8 and not parity.largest_difference <= LARGEST_DIFFERENCE:
            raise ParameterError(
                f"answers of the file differ from torch's by {parity.largest_difference:.2g}",
                "export another family, or keep torch for this one",
            )
        size = temporary.stat().st_size
        content = {**_content(model), "int8": int8, "parity": asdict(parity)}
        settings.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
    weights = sum(tensor.nbytes for tensor in model.state_dict().values())
    return Export(target, beside, size, weights, parity, int8)


def settings_path(path: str | os.PathLike[str]) -> Path:
    """Name the JSON file that is written beside an ONNX file.

    Parameters
    ----------
    path : path-like
        The ``.onnx`` file.

    Returns
    -------
    Path
        The same name with ``.json``.
    """
    return Path(path).with_suffix(".json")


class _Flat(nn.Module):
    """A recogniser whose inputs and outputs are tensors in a row."""

    def __init__(self, model: Recognizer) -> None:
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        names = self.model.names
        streams = dict(zip(names, inputs[: len(names)], strict=True))
        masks = dict(zip(names, inputs[len(names) :], strict=True))
        answers = self.model(streams, masks).answers
        return tuple(head for name in HEADS if (head := getattr(answers, name)) is not None)


def _write(model: Recognizer, path: Path) -> None:
    steps = torch.export.Dim("steps", min=2, max=1_000_000)
    stride = model.settings.stride
    time = stride * steps if stride > 1 else steps
    rows = stride * _EXAMPLE_STEPS
    widths = [model.settings.streams[name].columns for name in model.names]
    example = (
        *(torch.zeros(_EXAMPLE_ITEMS, rows, width) for width in widths),
        *(torch.ones(_EXAMPLE_ITEMS, rows, dtype=torch.bool) for _ in widths),
    )
    axes = [{0: torch.export.Dim("batch"), 1: time}] * len(example)
    write_onnx(
        _Flat(model),
        path,
        example,
        axes,
        inputs=_inputs(model),
        outputs=_outputs(model),
        name=f"a recogniser with the fusion {model.settings.fusion!r}",
        overwrite=True,
    )


def _inputs(model: Recognizer) -> list[str]:
    return [*model.names, *map(mask_name, model.names)]


def _outputs(model: Recognizer) -> list[str]:
    settings = model.settings
    there = (settings.characters, settings.word_rows, settings.labels, settings.values)
    return [name for name, has in zip(HEADS, there, strict=True) if has]


def _content(model: Recognizer) -> dict[str, Any]:
    settings = model.settings
    return {
        "schema": 1,
        "streams": {
            name: {"feature": stream.feature, "columns": stream.columns}
            for name, stream in sorted(settings.streams.items())
        },
        "rate_hz": settings.rate_hz,
        "stride": settings.stride,
        "inputs": _inputs(model),
        "outputs": _outputs(model),
        "fusion": settings.fusion,
        "characters": settings.characters,
        "vocabulary": list(settings.vocabulary),
        "labels": list(settings.labels),
        "values": list(settings.values),
    }


def _parity(model: Recognizer, path: Path) -> Parity:
    """Ask file and torch the same: all streams, and each one missing."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        path.read_bytes(), options, providers=["CPUExecutionProvider"]
    )
    generator = torch.Generator().manual_seed(0)
    largest, same, total = 0.0, 0, 0
    stride = model.settings.stride
    for rows in _PROBED_ROWS:
        rows = rows - rows % stride
        for missing in (None, *model.names) if len(model.names) > 1 else (None,):
            streams, masks = _probe(model, rows, missing, generator)
            with torch.no_grad():
                expected = _Flat(model)(*streams.values(), *masks.values())
            found = session.run(
                _outputs(model),
                {
                    **{name: part.numpy() for name, part in streams.items()},
                    **{mask_name(name): part.numpy() for name, part in masks.items()},
                },
            )
            for name, true, answer in zip(_outputs(model), expected, found, strict=True):
                answered = torch.from_numpy(answer)
                if name == "values":
                    apart = (true - answered).abs() / true.abs().clamp(min=1.0)
                else:
                    # Logarithms of what is next to impossible differ, and do not matter.
                    apart = (true.softmax(-1) - answered.softmax(-1)).abs()
                    agree = true.argmax(-1) == answered.argmax(-1)
                    same, total = same + int(agree.sum()), total + agree.numel()
                largest = max(largest, float(apart.max()))
    return Parity(largest, same / total if total else 1.0)


def _probe(
    model: Recognizer, rows: int, missing: str | None, generator: torch.Generator
) -> tuple[Mapping[str, Tensor], Mapping[str, Tensor]]:
    """Make rows as the model was trained on, of two items of different length."""
    streams, masks = {}, {}
    for name, encoder in zip(model.names, model.encoders, strict=True):
        standardise = cast("Standardisation", encoder.standardise)
        # Rows like those of training: standardised they are of about unit scale. They
        # change as slowly, too: torch itself rounds more coarsely on white noise.
        noise = torch.randn(2, rows, len(standardise.scale), generator=generator)
        for row in range(1, rows):
            noise[:, row] = _KEPT * noise[:, row - 1] + (1 - _KEPT**2) ** 0.5 * noise[:, row]
        noise = noise / standardise.scale
        if standardise.components is not None:
            noise = noise @ standardise.components.T
        streams[name] = standardise.mean + noise
        mask = torch.ones(2, rows, dtype=torch.bool)
        mask[1, rows - rows // 4 :] = False
        if name == missing:
            mask[:] = False
        masks[name] = mask
    return streams, masks


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep warnings quiet: onnxruntime gives advice for its own tools on the root logger."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


def _quantise(path: Path) -> None:
    """Turn large weights into 8-bit integers, in place.

    Matrix products are computed with integers; recurrent layers and convolutions have no such
    kernels: they store integers and compute with floats.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(str(path))
    # Shapes that were noted before the graph was optimised no longer fit all of its nodes.
    model.graph.ClearField("value_info")
    onnx.save(model, str(path))
    with _without_advice():
        quantize_dynamic(
            str(path),
            str(path),
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            extra_options={"MatMulConstBOnly": True},
        )
    model = onnx.load(str(path))
    kept, nodes = [], []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.ndim < 2 or values.size < _SMALLEST_WEIGHT:
            kept.append(tensor)
            continue
        # Recurrent weights are (directions, outputs, inputs), the others outputs first.
        axis = 1 if values.ndim == 3 and values.shape[0] == 1 else 0
        others = tuple(other for other in range(values.ndim) if other != axis)
        scale = np.maximum(np.abs(values).max(axis=others), 1e-12) / np.float32(127)
        shape = [-1 if other == axis else 1 for other in range(values.ndim)]
        whole = np.clip(np.round(values / scale.reshape(shape)), -127, 127).astype(np.int8)
        kept.append(onnx.numpy_helper.from_array(whole, f"{tensor.name}_int8"))
        kept.append(onnx.numpy_helper.from_array(scale, f"{tensor.name}_scale"))
        nodes.append(
            onnx.helper.make_node(
                "DequantizeLinear",
                [f"{tensor.name}_int8", f"{tensor.name}_scale"],
                [tensor.name],
                axis=axis,
            )
        )
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.save(model, str(path))


def _require_runtime() -> None:
    with import_guard(
        "the export is checked with onnxruntime, which does not load",
        "pip install 'avalign[export]'",
    ):
        import onnxruntime  # noqa: F401
