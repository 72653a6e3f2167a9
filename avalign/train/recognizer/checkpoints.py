"""Checkpoints: all that a run needs to resume, in one file written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avalign.errors import MediaError, ParameterError
from avalign.files import atomic_output, open_safetensors, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn
    from torch.optim import Optimizer

_LARGEST_BYTES = 8 * 2**30
_MODEL, _OPTIMIZER = "model.", "optimizer."


@dataclass(slots=True)
class Progress:
    """How far a run has come."""

    epoch: int = 0
    batch: int = 0  # the next one in the epoch, from 0
    step: int = 0  # batches learnt from so far
    # parts of the loss, added up over this epoch
    sums: dict[str, float] = field(default_factory=dict)
    best_score: float = float("inf")  # lowest on dev so far
    best_epoch: int = -1  # -1 before the first
    finished: bool = False
    curves: list[dict[str, float]] = field(default_factory=list)  # one row of numbers per epoch


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: Optimizer,
    scaler: Mapping[str, Any],
    progress: Progress,
    run: Mapping[str, Any],
) -> None:
    """Write a checkpoint in place of the one before; only the same `run` may resume it."""
    from safetensors.torch import save_file

    tensors = {_MODEL + name: value for name, value in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"{_OPTIMIZER}{number}.{name}": value for name, value in state.items()}
    facts = {
        "progress": {name: getattr(progress, name) for name in Progress.__slots__},
        "run": run,
        "scaler": scaler,
    }
    with atomic_output(path, overwrite=True) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            temporary,
            {"checkpoint": json.dumps(facts)},
        )


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: Optimizer, run: Mapping[str, Any]
) -> tuple[Progress, dict[str, Any]]:
    """Restore model and optimizer; return the progress and the state of the loss scaling."""
    hint = "start anew with -y"
    with open_safetensors(path, framework="pt", largest_bytes=_LARGEST_BYTES, hint=hint) as (
        file,
        metadata,
    ):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        # The best score is infinite until there is one.
        facts = parse_json(metadata["checkpoint"], infinite=True)
        _check_run(path, facts["run"], run)
        progress = _progress(facts["progress"])
        model.load_state_dict(
            {
                name.removeprefix(_MODEL): tensor
                for name, tensor in tensors.items()
                if name.startswith(_MODEL)
            }
        )
        state = optimizer.state_dict()
        state["state"] = _optimizer_state(tensors)
        _check_optimizer(state["state"], optimizer)
        optimizer.load_state_dict(state)
        return progress, dict(facts["scaler"])
    except ParameterError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        raise MediaError(
            f"{path}: is no checkpoint of this run: {str(error).splitlines()[0]}", hint
        ) from None


def _progress(fields: Mapping[str, Any]) -> Progress:
    progress = Progress(**fields)
    counts = progress.epoch, progress.batch, progress.step, progress.best_epoch + 1
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError(f"it counts {counts}")
    rows = [progress.sums, *progress.curves, {"best_score": progress.best_score}]
    if not all(type(value) in (int, float) for row in rows for value in row.values()):
        raise ValueError("its scores are no numbers")
    if type(progress.finished) is not bool:
        raise ValueError("it does not say whether it is finished")
    return progress


def _optimizer_state(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(_OPTIMIZER):
            number, key = name.removeprefix(_OPTIMIZER).split(".", 1)
            state.setdefault(int(number), {})[key] = tensor
    return state


def _check_optimizer(state: Mapping[int, Mapping[str, Tensor]], optimizer: Optimizer) -> None:
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    for number, arrays in state.items():
        shape = parameters[number].shape if number < len(parameters) else None
        if {"exp_avg", "exp_avg_sq", "step"} != arrays.keys() or any(
            array.shape != (shape if name != "step" else ()) for name, array in arrays.items()
        ):
            raise ValueError(f"the state of weight {number} has another shape")


def _check_run(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    # Through JSON, as the other has been.
    now = json.loads(json.dumps(now))
    if before == now:
        return
    name, old, new = _first_difference(before, now)
    raise ParameterError(
        f"{path}: was written by a run with {name} = {_short(old)}, not {_short(new)}",
        "go on with the settings and data of that run, or start anew with -y",
    )


def _first_difference(
    before: Mapping[str, Any], now: Mapping[str, Any]
) -> tuple[str, object, object]:
    """Find the innermost setting that differs, such as ``plan.loop.epochs``."""
    name = next(key for key in sorted({*before, *now}) if before.get(key) != now.get(key))
    old, new = before.get(name), now.get(name)
    if isinstance(old, dict) and isinstance(new, dict):
        inner, old, new = _first_difference(old, new)
        name = f"{name}.{inner}"
    return name, old, new


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
