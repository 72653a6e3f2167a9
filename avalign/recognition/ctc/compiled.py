"""How the decoders are compiled: exact arithmetic, no GIL, machine code cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba

from avalign.dtw import ignore_local_settings

ignore_local_settings()


def njit(function: Callable[..., Any]) -> Any:
    """Compile a kernel on its first call; no fastmath, since impossible paths cost infinity.

    A kernel calls no function of another module: numba's cache is stale when the kernel's own
    module changed, and only then.
    """
    dispatcher = numba.njit(nogil=True, error_model="numpy")(function)
    # Without a folder that can be written, numba refuses to keep it: compile each time.
    with suppress(RuntimeError, OSError):
        dispatcher.enable_caching()
    return dispatcher
