"""`avalign export`: a recogniser as an ONNX file."""

from pathlib import Path
from typing import Annotated

import typer

from avalign_cli import options
from avalign_cli.ui import Screen

__all__ = ["EXAMPLES", "export"]

EXAMPLES = """\b
Examples:
  avalign export --model speech/ --output speech.onnx
  avalign export --model speech/ --output small.onnx --int8

\b
Exit codes:
  0  written, and checked against torch
  2  wrong usage, or a model that ONNX cannot express
  3  a file cannot be read or written, or the output exists
  5  a package is missing; avalign doctor says how to get it
"""


def export(
    model: options.Model,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The .onnx file to write.")
    ],
    int8: Annotated[bool, typer.Option("--int8", help="Store weights in 8 bits.")] = False,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Write a recogniser for ONNX runtimes.

    A JSON file beside it tells which features it takes.
    """
    from json import dumps

    from avalign.files import check_target

    check_target((), output, overwrite=overwrite, suffix=".onnx")
    from avalign.recognition import export_model, load_model, model_files, settings_path

    beside = (settings_path(output).name,)
    check_target(model_files(model), output, beside=beside, overwrite=overwrite)

    screen = Screen(json, quiet)
    found = export_model(load_model(model), output, int8=int8, overwrite=overwrite)
    percent = 100 * found.size_bytes / found.torch_bytes
    screen.data(
        dumps(
            {
                "schema": 1,
                "model": str(model),
                "output": str(found.path),
                "settings": str(found.settings_path),
                "size_bytes": found.size_bytes,
                "torch_bytes": found.torch_bytes,
                "int8": int8,
                "largest_difference": found.parity.largest_difference,
                "same_answers": found.parity.same_answers,
            },
            ensure_ascii=False,
        )
    )
    screen.result(
        f"Wrote {found.path}: {found.size_bytes / 1e6:.2f} MB, {percent:.0f} % of the weights "
        f"in torch. On random input its probabilities differ from torch's by at most "
        f"{found.parity.largest_difference:.1g}, and the likeliest answer is the same in "
        f"{100 * found.parity.same_answers:.1f} % of the rows."
    )
    screen.note(f"Wrote {found.settings_path}")
    return 0
