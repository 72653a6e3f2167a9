"""``python -m benchmarks fusion-speed``: what one step of training costs in each family.

A step is forward and backward on random streams: 32 clips of 250 rows (five seconds), two
streams of 64 columns, 64 columns out. Memory is counted by the tensors that are alive, so that
neither an allocator nor what ran before has a say; on a GPU the allocator's own peak is taken.
How time grows is measured from 250 to 1000 rows (20 seconds), 4 clips at once.
Time on a CPU is processor time of one thread, so that a busy machine does not count.
"""

from __future__ import annotations

import platform
import statistics
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch.utils._python_dispatch import TorchDispatchMode

from avalign.errors import ParameterError
from avalign.fusion import Fusion, build_fusion, list_fusions
from benchmarks.results import write_rows

ITEMS, ROWS, COLUMNS = 32, 250, 64
# How time grows is measured on few clips that get long: on short ones, what is linear hides
# what is not.
SCALING_ITEMS, SCALING_ROWS = 4, (250, 1000)
# Beyond a square of the rows no family may go; some for noise.
WORST_EXPONENT = 2.2
WARM_UP, STEPS = 1, 3


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step of one family costs.

    Parameters
    ----------
    family : str
        Which one.
    device : str
        Where it ran.
    parameters : int
        Numbers that are trained.
    step_ms : float
        Median time of forward and backward.
    peak_mib : float
        Most memory that tensors took beyond parameters and streams.
    exponent : float
        How time grows with rows, see `growth_exponent`.
    """

    family: str
    device: str
    parameters: int
    step_ms: float
    peak_mib: float
    exponent: float


def run_fusion_speed(
    *, out: Path, device: str = "auto", families: tuple[str, ...] = ()
) -> list[Cost]:
    """Measure families, print a table, write ``fusion-speed-DEVICE.csv``.

    Parameters
    ----------
    out : Path
        Folder of the file.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: CUDA where there is one.
    families : tuple of str
        Which ones; all by default.

    Returns
    -------
    list of Cost
        One for each family.

    Raises
    ------
    ParameterError
        If there is no such device or family.
    """
    has_cuda = torch.cuda.is_available()
    chosen = ("cuda" if has_cuda else "cpu") if device == "auto" else device
    if chosen not in ("cpu", "cuda") or (chosen == "cuda" and not has_cuda):
        raise ParameterError(f"there is no device {device!r} here", "try --device cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        console = Console(stderr=True)
        costs = []
        for name in families or list_fusions():
            console.print(f"{name} ...", highlight=False)
            costs.append(measure_cost(name, torch.device(chosen)))
    finally:
        torch.set_num_threads(before)
    _print(costs, _machine(chosen))
    write_rows([asdict(cost) for cost in costs], out / f"fusion-speed-{chosen}.csv")
    return costs


def measure_cost(
    name: str,
    device: torch.device,
    *,
    items: int = ITEMS,
    rows: int = ROWS,
    columns: int = COLUMNS,
    scaling_items: int = SCALING_ITEMS,
    scaling_rows: tuple[int, ...] = SCALING_ROWS,
    steps: int = STEPS,
) -> Cost:
    """Measure one family.

    Parameters
    ----------
    name : str
        The family.
    device : torch.device
        Where to run it.
    items, rows, columns, steps : int
        Clips of a batch, their rows, columns of streams and output, steps that are timed.
    scaling_items : int
        Clips of the batches by which the exponent is measured.
    scaling_rows : tuple of int
        Their rows, two lengths or more.

    Returns
    -------
    Cost
        Its cost.
    """
    torch.manual_seed(0)
    dims = {"audio": columns, "lips": columns}
    fusion = build_fusion(name, dims=dims, out_dim=columns).to(device).train()
    step = _step_of(fusion, items, rows, device)
    longer_ms = [
        _time_ms(_step_of(fusion, scaling_items, length, device), device, steps)
        for length in scaling_rows
    ]
    return Cost(
        name,
        device.type,
        sum(weights.numel() for weights in fusion.parameters()),
        _time_ms(step, device, steps),
        _peak_bytes(step, device) / 2**20,
        growth_exponent(scaling_rows, longer_ms),
    )


def growth_exponent(rows: Sequence[int], milliseconds: Sequence[float]) -> float:
    """Tell how time grows with rows, as a power of their number.

    Parameters
    ----------
    rows : sequence of int
        Lengths, two or more.
    milliseconds : sequence of float
        Time at each.

    Returns
    -------
    float
        Slope of the logarithm of time over that of rows: 1 is linear, 2 a square.
    """
    return float(np.polyfit(np.log(rows), np.log(milliseconds), 1)[0])


def _step_of(fusion: Fusion, items: int, rows: int, device: torch.device) -> Callable[[], None]:
    streams = {
        name: torch.randn(items, rows, width, device=device)
        for name, width in fusion.dims.items()
    }
    # Clips of different lengths, as they come.
    lengths = torch.linspace(rows / 2, rows, items, device=device)
    mask = torch.arange(rows, device=device) < lengths[:, None]
    masks = dict.fromkeys(streams, mask)

    def step() -> None:
        fusion.zero_grad(set_to_none=True)
        found = fusion(streams, masks)
        (found.sequence.square().mean() + found.pooled.square().mean()).backward()

    return step


def _time_ms(step: Callable[[], None], device: torch.device, steps: int) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    taken = []
    for turn in range(WARM_UP + steps):
        _wait(device)
        begin = clock()
        step()
        _wait(device)
        if turn >= WARM_UP:
            taken.append(clock() - begin)
    return 1e3 * statistics.median(taken)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _peak_bytes(step: Callable[[], None], device: torch.device) -> int:
    if device.type == "cuda":
        step()
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        return torch.cuda.max_memory_allocated(device) - before
    with _counting() as count:
        step()
    return count.peak


class _Count(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that come and go."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.alive: dict[int, int] = {}
        self.total = self.peak = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        known = {
            one.untyped_storage().data_ptr()
            for one in torch.utils._pytree.tree_leaves((args, kwargs))
            if isinstance(one, torch.Tensor)
        }
        for one in torch.utils._pytree.tree_leaves(found):
            # A view, or a result in place, takes no memory of its own.
            if isinstance(one, torch.Tensor):
                storage = one.untyped_storage()
                if storage.data_ptr() not in known and storage.data_ptr() not in self.alive:
                    self.alive[storage.data_ptr()] = storage.nbytes()
                    self.total += storage.nbytes()
                    self.peak = max(self.peak, self.total)
                    weakref.finalize(storage, self._release, storage.data_ptr())
        return found

    def _release(self, address: int) -> None:
        self.total -= self.alive.pop(address, 0)


@contextmanager
def _counting() -> Iterator[_Count]:
    count = _Count()
    with count:
        yield count


def _machine(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"one core ({platform.machine()})"


def _print(costs: list[Cost], machine: str) -> None:
    table = Table(
        box=SIMPLE_HEAD,
        title=f"A step at B={ITEMS}, T={ROWS}, D={COLUMNS} on {machine}, "
        f"torch {torch.__version__}",
    )
    for heading in ("family", "parameters", "ms", "peak MiB", "exponent in T", ""):
        table.add_column(heading, justify="left" if heading in ("family", "") else "right")
    for cost in costs:
        table.add_row(
            cost.family,
            f"{cost.parameters:,}",
            f"{cost.step_ms:.1f}",
            f"{cost.peak_mib:.0f}",
            f"{cost.exponent:.2f}",
            "" if cost.exponent <= WORST_EXPONENT else "MISSED",
        )
    Console().print(table)
