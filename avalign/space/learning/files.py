"""Estimators on disk: arrays as safetensors, everything else as JSON, and no pickle."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from avalign.errors import AvalignError, MediaError
from avalign.files import atomic_folder, open_safetensors, read_json
from avalign.space.learning.parameters import check_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from avalign.space.learning.estimator import SpaceEstimator

SETTINGS_FILE = "estimator.json"
ARRAYS_FILE = "arrays.safetensors"
_FORMAT = 1
_LARGEST_ARRAYS_BYTES = 1024 * 1024 * 1024
_LARGEST_SETTINGS_BYTES = 1024 * 1024
_MOST_COLUMNS = 65_536
# Products of absurd sizes overflow.
_LARGEST_VALUE = 1e15
_HINT = "name a folder written by an estimator's save"

Estimator = TypeVar("Estimator", bound="SpaceEstimator")


def write_estimator(
    estimator: SpaceEstimator, folder: Path | str, *, overwrite: bool = False
) -> None:
    """Write a fitted estimator to a folder that appears whole or not at all."""
    from safetensors.numpy import save

    settings = {
        "format": _FORMAT,
        "estimator": estimator.name,
        "columns": estimator.columns_,
        "parameters": estimator.get_params(),
    }
    # safetensors writes an array's buffer as it lies in memory.
    arrays = {name: np.ascontiguousarray(array) for name, array in estimator.arrays().items()}
    with atomic_folder(
        folder, overwrite, replaceable=_is_estimator, kind="a saved estimator"
    ) as built:
        (built / ARRAYS_FILE).write_bytes(save(arrays))
        text = json.dumps(settings, indent=2, default=_to_json_value) + "\n"
        (built / SETTINGS_FILE).write_text(text, encoding="utf-8")


def read_name(folder: Path | str) -> str:
    """Name of the estimator that a folder holds, as `list_spaces` lists it."""
    return str(_read_settings(Path(folder))["estimator"])


def read_estimator(kind: type[Estimator], folder: Path | str) -> Estimator:
    """Load an estimator of a class from a folder; MediaError if it holds something else."""
    folder = Path(folder)
    settings = _read_settings(folder)
    found = settings["estimator"]
    if found != getattr(kind, "name", None):
        raise MediaError(
            f"{folder}: holds {str(found)[:60]!r}, not {kind.__name__}",
            "avalign.space.load_space loads any",
        )
    try:
        estimator = kind(**kind.parameters_from_json(settings["parameters"]))
        check_parameters(estimator)
        estimator.columns_ = _checked_columns(settings["columns"])
        expected = estimator.expected_arrays()
    except (AvalignError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise _damaged(folder / SETTINGS_FILE, error) from None
    estimator.restore(_read_arrays(folder / ARRAYS_FILE, expected))
    return estimator


def _is_estimator(folder: Path) -> bool:
    """Tell whether a folder holds a saved estimator, and nothing besides."""
    names = {each.name for each in folder.iterdir()}
    return SETTINGS_FILE in names and names <= {SETTINGS_FILE, ARRAYS_FILE}


def _to_json_value(value: Any) -> Any:
    """Turn numbers of any kind, and groups of settings, into what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    for turned in (index, float):
        with suppress(TypeError):
            return turned(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS_FILE
    try:
        settings = read_json(path, largest_bytes=_LARGEST_SETTINGS_BYTES, hint=_HINT)
        if settings["format"] != _FORMAT:
            raise ValueError(f"format {str(settings['format'])[:20]}, not {_FORMAT}")
        if not isinstance(settings["parameters"], dict):
            raise TypeError("the parameters are no object")
        if missing := {"estimator", "columns"} - settings.keys():
            raise KeyError(*missing)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path, error) from None
    result: dict[str, Any] = settings
    return result


def _checked_columns(columns: Any) -> dict[str, int]:
    result = {name: columns[name] for name in ("audio", "lips")}
    for name, width in result.items():
        if type(width) is not int or not 1 <= width <= _MOST_COLUMNS:
            raise ValueError(f"{str(width)[:20]} columns of {name}")
    return result


def _read_arrays(path: Path, expected: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Read exactly the arrays that are expected, all of them finite."""
    arrays: dict[str, NDArray[Any]] = {}
    with open_safetensors(
        path, framework="numpy", largest_bytes=_LARGEST_ARRAYS_BYTES, hint=_HINT
    ) as (file, _):
        names = set(file.keys())
        if names != expected.keys():
            odd = min(names ^ expected.keys())[:60]
            state = "is missing" if odd in expected else "does not belong here"
            raise MediaError(f"{path}: array {odd!r} {state}", _HINT)
        for name, (dtype, shape) in expected.items():
            array = file.get_tensor(name)
            if array.shape != shape or array.dtype != dtype:
                wanted = f"{np.dtype(dtype)} {shape}"
                raise MediaError(
                    f"{path}: array {name!r} should be {wanted}, "
                    f"found {array.dtype} {array.shape}",
                    _HINT,
                )
            # Not so of NaN either.
            if not (np.abs(array) <= _LARGEST_VALUE).all():
                raise MediaError(
                    f"{path}: array {name!r} holds values that are not finite, or beyond "
                    f"{_LARGEST_VALUE:g}",
                    _HINT,
                )
            arrays[name] = array
    return arrays


def _damaged(path: Path, error: Exception) -> MediaError:
    reason = str(error)[:200] or type(error).__name__
    return MediaError(f"{path}: cannot read a saved estimator: {reason}", _HINT)
