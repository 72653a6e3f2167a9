"""Where a model computes."""

from __future__ import annotations

import torch

from avalign.errors import ParameterError


def find_device(name: str) -> torch.device:
    """Find a device.

    Parameters
    ----------
    name : str
        ``"auto"`` (a GPU where there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ParameterError
        If there is none of that name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    hint = "use auto, cpu or cuda"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ParameterError(f"{name!r} is no device", hint) from None
    if device.type not in ("cpu", "cuda"):
        raise ParameterError(f"{name!r} is no device that is supported", hint)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ParameterError(f"there is no device {name!r} here", "use cpu")
    return device
