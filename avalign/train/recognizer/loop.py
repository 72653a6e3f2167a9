"""The training loop of every recogniser: plain, resumable, on one process or many."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from avalign.errors import NoAnswerError, ParameterError
from avalign.recognition import load_model, save_model
from avalign.train.recognizer.checkpoints import Progress, load_checkpoint, save_checkpoint
from avalign.train.recognizer.curves import CURVES_NAME, EventWriter, write_curves
from avalign.train.recognizer.plans import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from avalign.recognition import Batch, Recognizer
    from avalign.train.recognizer.distributed import Processes
    from avalign.train.recognizer.objective import Objective
    from avalign.train.recognizer.plans import LoopPlan

CHECKPOINT_NAME = "checkpoint.safetensors"
RUN_NAME = "run.json"


class Batches(Protocol):
    """Where training batches come from; see `BatchSource`."""

    def __len__(self) -> int:
        """Batches in an epoch."""
        ...

    def batch(self, epoch: int, number: int, *, rank: int = 0, processes: int = 1) -> Batch:
        """Make one batch, or a process's part of it."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """The model of the best epoch, and the curves of the run."""

    model: Recognizer
    best_epoch: int  # from 0
    best_score: float  # on dev; lower is better
    curves: list[dict[str, float]]  # one row per epoch, as in the CSV file


def train(
    objective: Objective,
    batches: Batches,
    test: Callable[[Recognizer], Mapping[str, float]],
    plan: LoopPlan,
    folder: Path,
    processes: Processes,
    *,
    run: Mapping[str, Any],
    resume: bool = False,
    tensorboard: bool = False,
    progress: Callable[[float], None] | None = None,
    report: Callable[[Mapping[str, float]], None] | None = None,
) -> Result:
    """Train until the ``"score"`` of `test` on dev no longer falls.

    `run` tells settings and data: a checkpoint of another run is refused. Raises NoAnswerError
    where loss or gradient are not finite; the last checkpoint stays.
    """
    return _Trainer(
        objective, batches, test, plan, folder, processes, run, tensorboard, progress, report
    ).train(resume)


class _Trainer:
    """One run."""

    def __init__(
        self,
        objective: Objective,
        batches: Batches,
        test: Callable[[Recognizer], Mapping[str, float]],
        plan: LoopPlan,
        folder: Path,
        processes: Processes,
        run: Mapping[str, Any],
        tensorboard: bool,
        progress: Callable[[float], None] | None,
        report: Callable[[Mapping[str, float]], None] | None,
    ) -> None:
        self.model, self.batches, self.test = objective.model, batches, test
        self.plan, self.folder, self.processes, self.run = plan, folder, processes, run
        self.report_progress, self.report = (
            progress or (lambda _: None),
            report or (lambda _: None),
        )
        self.steps = plan.epochs * len(batches)
        self.optimizer = torch.optim.AdamW(
            objective.parameters(),
            lr=plan.learning_rate,
            betas=plan.betas,
            weight_decay=plan.weight_decay,
        )
        self.scaler = torch.amp.GradScaler(
            processes.device.type, enabled=plan.precision == "float16"
        )
        self.objective = processes.wrap(objective)
        self.state = Progress()
        self.events = EventWriter(folder, tensorboard and processes.writes)

    def train(self, resume: bool) -> Result:
        if resume and (self.folder / CHECKPOINT_NAME).exists():
            self.state, scaler = load_checkpoint(
                self.folder / CHECKPOINT_NAME, self.model, self.optimizer, self.run
            )
            self.scaler.load_state_dict(scaler)
        with self.events:
            while not self.state.finished:
                self.epoch()
        self.processes.wait()
        best = load_model(self.folder, device=self.processes.device)
        self.processes.wait()  # from here on the files may be moved
        return Result(best, self.state.best_epoch, self.state.best_score, self.state.curves)

    def epoch(self) -> None:
        """Learn from the rest of an epoch, then test."""
        state, started_s = self.state, time.perf_counter()
        self.objective.train()
        for number, batch in self.prefetched(state.epoch, state.batch):
            self.step(batch)
            state.step, state.batch = state.step + 1, number + 1
            self.report_progress(state.step / self.steps)
            if state.step % self.plan.checkpoint_every == 0:
                self.save_state()
        row = {"epoch": float(state.epoch + 1), "learning_rate": self.rate()}
        row |= {f"train_{part}": total / state.batch for part, total in state.sums.items()}
        if (state.epoch + 1) % self.plan.test_every == 0 or self.is_last():
            row |= self.tested()
        state.curves.append(row)
        state.epoch, state.batch, state.sums = state.epoch + 1, 0, {}
        waited = state.epoch - 1 - state.best_epoch
        state.finished = state.epoch >= self.plan.epochs or waited >= self.plan.patience
        if self.processes.writes:
            write_curves(self.folder / CURVES_NAME, state.curves)
            self.events.write(row)
        self.save_state()
        # Seconds differ from run to run, so they are told and not kept.
        self.report({**row, "seconds": time.perf_counter() - started_s})

    def step(self, batch: Batch) -> None:
        """Learn from one batch."""
        state, count = self.state, self.processes.count
        # Chance depends on the step, not on what was drawn before it.
        torch.manual_seed(
            (self.plan.seed * 1_000_003 + state.step) * 1009 + self.processes.rank
        )
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.zero_grad()
        try:
            with self.autocast():
                parts = self.objective(batch.to(self.processes.device))
        except ParameterError as error:
            # The features were checked, so it is the weights that no longer work.
            raise self.stopped(error.message, batch) from error
        totals = self.processes.total({name: part.item() for name, part in parts.items()})
        self.require_finite(totals["loss"], "the loss", batch)
        # Gradients are averaged over processes, but losses of their parts of a batch add up.
        self.scaler.scale(parts["loss"] * count).backward()
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.plan.largest_gradient
        )
        if not self.scaler.is_enabled():  # which meets infinity by itself
            self.require_finite(norm.item(), "the gradient", batch)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        for name, value in totals.items():
            state.sums[name] = state.sums.get(name, 0.0) + value

    def tested(self) -> dict[str, float]:
        """Test on dev, and keep the model if it is the best so far."""
        numbers = None
        if self.processes.writes:
            self.model.eval()
            with torch.no_grad(), self.autocast():
                numbers = dict(self.test(self.model))
            if not math.isfinite(numbers["score"]):
                numbers["score"] = math.inf
        numbers = self.processes.from_first(numbers)
        if numbers["score"] < self.state.best_score or self.state.best_epoch < 0:
            self.state.best_score = numbers["score"]
            self.state.best_epoch = self.state.epoch
            if self.processes.writes:
                save_model(self.model, self.folder, overwrite=True)
        return {f"dev_{name}": value for name, value in numbers.items()}

    def prefetched(self, epoch: int, first: int) -> Iterator[tuple[int, Batch]]:
        """Make each batch while the one before it is learnt from."""
        from concurrent.futures import ThreadPoolExecutor

        rank, count = self.processes.rank, self.processes.count
        with ThreadPoolExecutor(max_workers=1) as pool:

            def make(number: int) -> Batch:
                return self.batches.batch(epoch, number, rank=rank, processes=count)

            coming = pool.submit(make, first) if first < len(self.batches) else None
            for number in range(first, len(self.batches)):
                assert coming is not None
                batch = coming.result()
                if number + 1 < len(self.batches):
                    coming = pool.submit(make, number + 1)
                yield number, batch

    def rate(self) -> float:
        return self.plan.rate(self.state.step, self.steps)

    def is_last(self) -> bool:
        return self.state.epoch + 1 >= self.plan.epochs

    def autocast(self) -> AbstractContextManager[Any]:
        dtype = PRECISIONS[self.plan.precision]
        if dtype is None:
            return nullcontext()
        return torch.autocast(self.processes.device.type, dtype=dtype)

    def save_state(self) -> None:
        """Write a checkpoint."""
        if self.processes.writes:
            save_checkpoint(
                self.folder / CHECKPOINT_NAME,
                self.model,
                self.optimizer,
                self.scaler.state_dict(),
                self.state,
                self.run,
            )

    def require_finite(self, value: float, what: str, batch: Batch) -> None:
        if not math.isfinite(value):
            raise self.stopped(f"{what} is {value}", batch)

    def stopped(self, why: str, batch: Batch) -> NoAnswerError:
        """Say where a run cannot go on, and what is left of it."""
        checkpoint = self.folder / CHECKPOINT_NAME
        left = (
            f"{checkpoint} holds the last good state"
            if checkpoint.exists()
            else "nothing was kept yet"
        )
        names = ", ".join(batch.names[:3]) + (", ..." if len(batch.names) > 3 else "")
        return NoAnswerError(
            f"training stopped in epoch {self.state.epoch + 1}, step {self.state.step + 1} "
            f"({names}): {why}; {left}",
            "lower the learning rate, or look at these clips",
        )
