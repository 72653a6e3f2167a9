"""Recognisers in a folder: weights as safetensors, settings as JSON, nothing to execute."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from avalign.errors import MediaError, ParameterError
from avalign.files import open_safetensors, read_text
from avalign.recognition.evaluation.limits import CALIBRATION_NAME
from avalign.recognition.model.recognizer import Recognizer
from avalign.recognition.model.settings import RecognizerSettings, settings_digest

if TYPE_CHECKING:
    from torch import Tensor

SETTINGS_NAME = "model.json"
WEIGHTS_NAME = "model.safetensors"
_LARGEST_SETTINGS_BYTES = 16 * 2**20
_LARGEST_WEIGHTS_BYTES = 2 * 2**30


def save_model(
    model: Recognizer, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write a model: ``model.safetensors`` and ``model.json`` in a folder.

    Parameters
    ----------
    model : Recognizer
        The model.
    folder : path-like
        Where to; made if it is missing.
    overwrite : bool
        Replace a model that is there.

    Raises
    ------
    MediaError
        If a file exists already or cannot be written.
    """
    from safetensors.torch import save_file

    from avalign.files import atomic_outputs

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(
            f"{folder}: cannot be made: {error.strerror}", "name another folder"
        ) from error
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    names = folder / WEIGHTS_NAME, folder / SETTINGS_NAME
    with atomic_outputs(*names, overwrite=overwrite) as (weights, settings):
        save_file(state, weights, {"settings": model.settings.digest})
        settings.write_text(model.settings.to_json(), encoding="utf-8")


def model_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Name the files that a model consists of, so that nothing else is written there.

    Parameters
    ----------
    folder : path-like
        A folder that `save_model` wrote.

    Returns
    -------
    list of Path
        Weights and settings, and the calibration where there is one.
    """
    calibration = Path(folder) / CALIBRATION_NAME
    needed = [Path(folder) / name for name in (WEIGHTS_NAME, SETTINGS_NAME)]
    return [*needed, calibration] if calibration.exists() else needed


def load_model(
    folder: str | os.PathLike[str], *, device: str | torch.device = "cpu"
) -> Recognizer:
    """Read a model that `save_model` wrote; nothing in the files is executed.

    Parameters
    ----------
    folder : path-like
        The folder.
    device : str or torch.device
        Where the model is to compute.

    Returns
    -------
    Recognizer
        The model, ready to recognise (in ``eval`` mode).

    Raises
    ------
    MediaError
        If the files are missing, damaged, too large, or do not belong together.
    """
    folder = Path(folder)
    try:
        text = read_text(
            folder / SETTINGS_NAME, largest_bytes=_LARGEST_SETTINGS_BYTES, hint=_HINT
        )
        settings = RecognizerSettings.from_json(text)
        # Without memory: whether settings and weights agree is known before any is taken.
        with torch.device("meta"):
            model = Recognizer(settings)
    except (ParameterError, RuntimeError) as error:
        message = error.message if isinstance(error, ParameterError) else str(error)
        raise MediaError(f"{folder / SETTINGS_NAME}: {message}", _HINT) from None
    state = _read_weights(folder / WEIGHTS_NAME, model, settings_digest(text))
    model.load_state_dict(state, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_()
    return model.to(device).eval()


_HINT = "name a folder that `avalign train speech` or `avalign train emotion` wrote"


def _read_weights(path: Path, model: Recognizer, wanted_digest: str) -> dict[str, Tensor]:
    with open_safetensors(
        path, framework="pt", largest_bytes=_LARGEST_WEIGHTS_BYTES, hint=_HINT
    ) as (file, metadata):
        if metadata.get("settings") != wanted_digest:
            raise MediaError(
                f"{path}: belongs to another configuration than {SETTINGS_NAME} beside it",
                "restore the two files that were written together",
            )
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    wanted = model.state_dict()
    for name in [*wanted, *state]:
        tensor, model_tensor = state.get(name), wanted.get(name)
        want = None if model_tensor is None else tuple(model_tensor.shape)
        found = None if tensor is None else tuple(tensor.shape)
        if tensor is None or model_tensor is None or want != found:
            raise MediaError(f"{path}: array {name!r} is {found}, wanted {want}", _HINT)
        if tensor.dtype != model_tensor.dtype or not bool(tensor.isfinite().all()):
            raise MediaError(
                f"{path}: array {name!r} is {tensor.dtype} or holds values that are not finite",
                _HINT,
            )
    return state
