"""Where it ran: processor, instruction set, load and versions."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

VARIABLES = ("OMP", "OPENBLAS", "MKL", "NUMBA", "VECLIB_MAXIMUM", "NUMEXPR")
LIBRARIES = ("numpy", "numba", "llvmlite", "scipy", "torch")


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it ran.

    Parameters
    ----------
    processor : str
        Its model.
    cores, pinned_to : tuple of int
        How many there are, and those this process may use.
    instruction_set : str
        The widest vectors that Numba's code may use: AVX-512, AVX2, ...
    system, python : str
        Operating system and interpreter.
    libraries : dict of str to str
        Versions.
    """

    processor: str
    cores: int
    pinned_to: tuple[int, ...]
    instruction_set: str
    system: str
    python: str
    libraries: dict[str, str]


def describe() -> Machine:
    """Look at the machine."""
    return Machine(
        _processor(),
        os.cpu_count() or 1,
        tuple(sorted(_allowed())),
        instruction_set(),
        f"{platform.system()} {platform.machine()}",
        platform.python_version(),
        {name: version for name in LIBRARIES if (version := _version(name))},
    )


def pin(cores: int) -> None:
    """Stay on the last cores that are allowed, where the system lets us choose."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(_allowed())[-cores:])


def load_average() -> float:
    """Return the load average of the last minute; NaN where there is none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def instruction_set() -> str:
    """Name the widest vectors that Numba's code may use here."""
    features = _features()
    for feature, name in (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("avx", "AVX")):
        if features.get(feature):
            return name
    machine = platform.machine().lower()
    return "NEON" if machine in {"arm64", "aarch64"} else f"{machine} baseline"


def environment(threads: int, *, avx2: bool, cache: Path) -> dict[str, str]:
    """Make the environment of the process that measures.

    Parameters
    ----------
    threads : int
        How many threads the processor's libraries may use.
    avx2 : bool
        Keep Numba from AVX-512. Its machine code is kept apart.
    cache : Path
        Folder for machine code that is kept apart.

    Returns
    -------
    dict of str to str
        This process's environment with that changed.
    """
    changed = {f"{name}_NUM_THREADS": "1" for name in VARIABLES}
    changed["NUMBA_NUM_THREADS"] = str(threads)
    if avx2:
        # A processor that has AVX2 and nothing wider.
        changed["NUMBA_CPU_NAME"] = "x86-64-v3"
        changed["NUMBA_CPU_FEATURES"] = ",".join(
            f"{'+' if on and 'avx512' not in name else '-'}{name}"
            for name, on in _features().items()
        )
        changed["NUMBA_CACHE_DIR"] = str(cache.resolve())
    return {**os.environ, **changed}


def _features() -> dict[str, bool]:
    chosen = os.environ.get("NUMBA_CPU_FEATURES")
    if chosen is not None:
        return {flag[1:]: flag[0] == "+" for flag in chosen.split(",") if flag}
    try:
        from llvmlite import binding

        return dict(binding.get_host_cpu_features())
    except (ImportError, RuntimeError):
        return {}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
