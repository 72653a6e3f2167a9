"""What a library has to bring to take part."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from benchmarks.dtw.reference import Answer
from benchmarks.dtw.workloads import Kind, Task, Workload

Prepare = Callable[[Task], "Call"]

# One vector of the machine per cell is fast, one C or Numba loop is this, plain Python is 100
# times slower. Only used to leave out what would take too long.
CELLS_PER_SECOND = 5e7


def linear_memory(workload: Workload) -> float:
    """Of a library that keeps a few rows."""
    return 0.0


def full_matrix(bytes_per_cell: float) -> Callable[[Workload], float]:
    """Of a library that keeps matrices of all cells, inside a band or not."""
    return lambda workload: bytes_per_cell * workload.rows * workload.columns


@dataclass(frozen=True, slots=True)
class Call:
    """One library, ready to solve one task.

    Parameters
    ----------
    run : callable
        What is timed: a call as a user writes it, on arrays of a type that suits it.
    read : callable
        Converts what `run` returned to the definitions of the benchmark; not timed.
    """

    run: Callable[[], Any]
    read: Callable[[Any], Answer]


@dataclass(frozen=True, slots=True)
class Peer:
    """A library, or one way to call it.

    Parameters
    ----------
    name : str
        As printed.
    distribution, module : str
        What is installed, and what is imported.
    kinds : mapping of kind to callable
        For each kind of task it can do, a function that prepares the call.
    metric : {'sqeuclidean', 'euclidean'}
        Its local cost.
    note : str
        What it does otherwise than the rest.
    approximate : bool
        Its answer is not the best path's, so that it is not ranked.
    bands, multivariate : bool
        Whether it knows a Sakoe-Chiba band of given cells, and series of frames.
    memory : callable
        About how many bytes a workload takes.
    cells_per_second : float
        A cautious guess.
    single_precision : frozenset of kind
        What it computes in float32, whatever it is given.
    threads : int
        More than one is timed by the clock on the wall.
    slow_import : bool
        Importing it takes tens of seconds, too long for ``--quick``.
    first_distance : str
        A program that ends with the first distance of `x` and `y`, for the cold start.
    """

    name: str
    distribution: str
    module: str
    kinds: Mapping[Kind, Prepare]
    metric: str = "sqeuclidean"
    note: str = ""
    approximate: bool = False
    bands: bool = True
    multivariate: bool = True
    memory: Callable[[Workload], float] = linear_memory
    cells_per_second: float = CELLS_PER_SECOND
    single_precision: frozenset[Kind] = frozenset()
    threads: int = 1
    slow_import: bool = False
    first_distance: str = ""

    def fault(self) -> str:
        """Say why it cannot take part: 'absent', or the error of its import."""
        try:
            importlib.import_module(self.module)
        except ModuleNotFoundError as error:
            top = self.module.split(".")[0]
            return "absent" if error.name == top else f"does not load: {error}"
        except Exception as error:  # A library built for another NumPy raises anything.
            return f"does not load: {type(error).__name__}: {error}".splitlines()[0]
        return ""

    def version(self) -> str:
        """Return the installed version; empty if there is none."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return ""

    def lacks(self, workload: Workload) -> str:
        """Say what it cannot do that a workload asks for; empty if it can."""
        if workload.kind not in self.kinds:
            return f"no {workload.kind}"
        if workload.radius is not None and not self.bands:
            return "no band of given cells"
        if workload.dimensions > 1 and not self.multivariate:
            return "one-dimensional series only"
        return ""
