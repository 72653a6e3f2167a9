"""Compile kernels: exact arithmetic, no GIL, and machine code that is cached on disk."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numba
from numba.core import config
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

# How kernels are told the local cost. On one-dimensional series the last two agree.
SQEUCLIDEAN = 0
EUCLIDEAN = 1
MANHATTAN = 2


def ignore_local_settings() -> None:
    """Have numba take its settings from the environment alone.

    It reads ``.numba_config.yaml`` in the current directory each time it compiles. One that
    lies among strangers' files would name the folder that machine code is loaded from.
    """
    config._config_fname = ""
    config.reload_config()


ignore_local_settings()


# The whole engine: kernels inline functions of modules in other folders of it.
FOLDER = Path(__file__).parent


def _stamp_sources() -> str:
    """Return a digest of the package's sources, on which every kernel may depend."""
    digest = hashlib.sha256()
    for source in sorted(FOLDER.rglob("*.py")):
        digest.update(source.relative_to(FOLDER).as_posix().encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()


# Of what this process runs, which later edits do not change.
STAMP = _stamp_sources()


class _PackageCache(FunctionCache):
    """Numba's cache on disk, but stale when any module of the package changed."""

    # Numba looks at the one file that holds a function; kernels inline those of others too.
    # Files are named after the stamp: processes that run different sources share none. A
    # disk that cannot be written or read only costs the compilation.

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._all_names = f"{self._impl.filename_base}.*"
        self._own_names = f"{self._impl.filename_base}.{STAMP[:16]}"
        self._cache_file = IndexDataCacheFile(self._cache_path, self._own_names, STAMP)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Load a compiled function; None if there is none, or only a damaged file."""
        try:
            return super().load_overload(signature, target_context)
        except Exception:
            # Pickle raises anything. A full disk, or a machine that stopped, leaves such files.
            with self._guard_against_spurious_io_errors():
                for file in Path(self._cache_path).glob(f"{self._own_names}.*"):
                    file.unlink(missing_ok=True)
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        """Save a compiled function in place of those of other sources."""
        # Modules that were imported after an edit do not agree with the stamp.
        with self._guard_against_spurious_io_errors():
            if _stamp_sources() != STAMP:
                return
            for file in Path(self._cache_path).glob(self._all_names):
                if not file.name.startswith(self._own_names):
                    file.unlink(missing_ok=True)
        super().save_overload(signature, data)

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        """Return what tells a compiled function from others that were made at its place."""
        # Numba would pickle what a function closes over, a helper with a number that is drawn
        # anew in each process: no later one would find the function again.
        return signature, codegen.magic_tuple(), _describe(self._py_func)

    @contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        with suppress(OSError):
            yield


def _describe(function: Callable[..., Any]) -> tuple[Any, ...]:
    """Describe a function and all that it closes over, in every process alike."""
    values = [cell.cell_contents for cell in function.__closure__ or ()]
    return (
        function.__module__,
        function.__qualname__,
        function.__code__.co_code,
        *(
            _describe(value.py_func) if isinstance(value, Dispatcher) else dumps(value)
            for value in values
        ),
    )


def _compile(**options: Any) -> Any:
    # Nobody calls kernels from C: without entries for it they compile sooner. No fastmath: it
    # assumes that there is no infinity, which the recurrences need.
    return numba.njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, **options)


def helper(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile what only kernels call: it has no entry from Python and is cached with them."""
    if function is None:
        return functools.partial(helper, **options)
    return _compile(no_cpython_wrapper=True, **options)(function)


def njit(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Compile a kernel, which releases the GIL, on its first call; cache the machine code."""
    if function is None:
        return functools.partial(njit, **options)
    dispatcher = _compile(**options)(function)
    # Without a directory that can be written, numba refuses to cache: compile each time.
    with suppress(RuntimeError, OSError):
        dispatcher._cache = _PackageCache(function)
    return dispatcher
