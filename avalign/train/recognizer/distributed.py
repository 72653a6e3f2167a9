"""One process or many: what `torchrun` started, and what the processes agree on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn

from avalign.errors import ParameterError
from avalign.processes import end_with_parent

# How long the slowest process may take to read its clips, and the first one to test.
_LONGEST_WAIT = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that train one model."""

    rank: int  # of this one, from 0; the first writes files
    count: int
    device: torch.device  # where this one computes

    @property
    def writes(self) -> bool:
        """Whether this process writes files and tells of progress."""
        return self.rank == 0

    def wrap(self, objective: nn.Module) -> nn.Module:
        """Let gradients be averaged over the processes."""
        if self.count == 1:
            return objective
        # Heads of streams that a whole batch lacks take no part in its loss.
        return nn.parallel.DistributedDataParallel(objective, find_unused_parameters=True)

    def total(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Add numbers up over all processes, under the same names everywhere."""
        if self.count == 1:
            return dict(numbers)
        sums = torch.tensor(
            [numbers[name] for name in sorted(numbers)],
            dtype=torch.float64,
            device=self.device,
        )
        distributed.all_reduce(sums)
        return dict(zip(sorted(numbers), sums.tolist(), strict=True))

    def wait(self) -> None:
        """Wait until every process is here, such as for files that the first one writes."""
        if self.count > 1:
            distributed.barrier()

    def from_first(self, numbers: Mapping[str, float] | None) -> dict[str, float]:
        """Give every process the numbers of the first one."""
        found = [dict(numbers) if numbers is not None else {}]
        if self.count > 1:
            distributed.broadcast_object_list(found, src=0, device=self.device)
        return found[0]


def is_first_process() -> bool:
    """Tell whether this process writes files, of those that ``torchrun`` started."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that ``torchrun`` started, or train alone.

    Parameters
    ----------
    device : str
        ``"auto"`` for a GPU where there is one, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Yields
    ------
    Processes
        This process's place among them.

    Raises
    ------
    ParameterError
        If there is no such device, or the other processes do not come.
    """
    rank = int(os.environ.get("RANK", "0"))
    count = int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", str(rank)))
    chosen = choose_device(device, local_rank if count > 1 else 0)
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    if "TORCHELASTIC_RUN_ID" in os.environ:
        # A torchrun that is killed cannot end the processes that it started.
        end_with_parent()
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    ours = not distributed.is_initialized()
    if ours:
        _join("nccl" if chosen.type == "cuda" else "gloo", count)
    try:
        yield Processes(rank, count, chosen)
    finally:
        if ours:
            distributed.destroy_process_group()


def _join(backend: str, count: int) -> None:
    """Wait until all processes are there."""
    try:
        with _ended_at_once():
            distributed.init_process_group(backend, timeout=_LONGEST_WAIT)
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ParameterError(
            f"the {count} processes do not find each other: {reason}",
            "start all of them; on one machine with torchrun --standalone",
        ) from error


@contextmanager
def _ended_at_once() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the process while it waits outside Python.

    A handler written in Python would be called after the wait only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {
        number: signal.getsignal(number)
        for number in numbers
        # One that is ignored stays so; None is a handler not written in Python.
        if signal.getsignal(number) not in (signal.SIG_IGN, None)
    }
    try:
        for number in handlers:
            signal.signal(number, signal.SIG_DFL)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def choose_device(name: str, number: int = 0) -> torch.device:
    """Find a device by its name.

    Parameters
    ----------
    name : str
        As for `processes`.
    number : int
        Which GPU, where the name does not say.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    ParameterError
        If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ParameterError(
            f"{name!r} is no device", "choose auto, cpu, cuda or cuda:N"
        ) from None
    if device.type not in ("cpu", "cuda"):
        raise ParameterError(f"training on {name!r} is not supported", "choose cpu or cuda")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ParameterError("there is no CUDA device here", "choose cpu")
        device = device if device.index is not None else torch.device("cuda", number)
        if (device.index or 0) >= torch.cuda.device_count():
            raise ParameterError(
                f"{device} is not one of the {torch.cuda.device_count()} CUDA devices",
                "choose another",
            )
    return device
