"""Estimators that are torch networks: the loop that trains them, and their arrays."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from avalign.errors import ParameterError
from avalign.space.learning.estimator import SpaceEstimator
from avalign.space.learning.parameters import choice, count, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips, Shape

# Rows that a network maps at once in inference.
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Objective:
    """A loss over `units` rows, windows or clips, as a function of some of their indices."""

    units: int
    loss: Callable[[Tensor], Tensor]


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Make torch's random numbers repeatable in a block, and restore its state after it."""
    with torch.random.fork_rng(
        devices=[torch.cuda.current_device()] if device == "cuda" else []
    ):
        torch.manual_seed(seed)
        yield


@torch.enable_grad()
def train(
    network: nn.Module,
    objective: Objective,
    *,
    steps: int,
    batch: int | None,
    learning_rate: float,
    weight_decay: float = 0.0,
) -> list[float]:
    """Adjust a network by AdamW, its learning rate falling to 0 along a half cosine.

    Units of a batch are drawn without repetition until all have been seen (None: all at
    once). Gives the loss of each step; ParameterError if it stops being finite.
    """
    device = next(network.parameters()).device
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=learning_rate, weight_decay=weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    network.train()
    losses = []
    for _, units in zip(range(steps), _batches(objective.units, batch), strict=False):
        optimizer.zero_grad()
        loss = objective.loss(units.to(device))
        losses.append(float(loss.detach()))
        if not np.isfinite(losses[-1]):
            raise ParameterError(
                f"training went astray: the loss of step {len(losses)} is {losses[-1]}",
                f"lower learning_rate, which is {learning_rate:g}",
            )
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    network.eval()
    return losses


def _batches(units: int, batch: int | None) -> Iterator[Tensor]:
    """Draw batches without end."""
    if batch is None or batch >= units:
        while True:
            yield torch.arange(units)
    while True:
        order = torch.randperm(units)
        # What is left over at the end would make a batch of another size.
        for start in range(0, units - batch + 1, batch):
            yield order[start : start + batch]


def cut_windows(clips: Clips, length: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Cut clips into windows that overlap by half: index [W, length], inside [W, length].

    The last window of a clip ends with it. Where a clip is shorter than a window, `inside` is
    False beyond its end, and `index` repeats its last row.
    """
    starts, ends = [], []
    for clip in clips:
        last = max(clip.start, clip.stop - length)
        for start in [*range(clip.start, last, max(1, length // 2)), last]:
            starts.append(start)
            ends.append(clip.stop)
    index = np.array(starts)[:, None] + np.arange(length)
    limit = np.array(ends)[:, None]
    return np.minimum(index, limit - 1), index < limit


@dataclass(eq=False, kw_only=True)
class TorchEstimator(SpaceEstimator):
    """What estimators that are torch networks have in common.

    Parameters
    ----------
    steps : int
        Batches to train for.
    batch : int or None
        Rows, windows or clips of a batch; None: all.
    learning_rate : float
        Of the first step; it falls to 0 along a half cosine.
    weight_decay : float
        Of AdamW.
    seed : int
        Same seed, same network.
    device : str
        ``"cpu"`` or ``"cuda"``: where it is trained and run.

    Attributes
    ----------
    network_ : nn.Module
        The trained network, in evaluation mode.
    losses_ : list of float
        Loss of each step of training; absent after `load`.
    """

    steps: int = count(500)
    batch: int | None = count(256, low=2, optional=True)
    learning_rate: float = number(3e-3, above=True)
    weight_decay: float = number(1e-3)
    seed: int = count(0, low=0, high=2**31 - 1)
    device: str = choice("cpu", "cuda")
    network_: nn.Module = field(init=False, repr=False)
    losses_: list[float] = field(init=False, repr=False)

    @abstractmethod
    def _build(self, columns: Mapping[str, int]) -> nn.Module:
        """Make the network, untrained."""

    @abstractmethod
    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        """Adapt the network to the scale of the streams, and say what to make small."""

    def _fit(self, audio: Rows, lips: Rows, clips: Clips) -> None:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ParameterError("device is 'cuda', but there is none", 'choose "cpu"')
        with seeded(self.seed, self.device):
            network = self._build(self.columns_).to(self.device)
            streams = {"audio": self._tensor(audio), "lips": self._tensor(lips)}
            objective = self._objective(network, streams, clips)
            self.losses_ = train(
                network,
                objective,
                steps=self.steps,
                batch=self.batch,
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
            )
        self.network_ = network

    def arrays(self) -> dict[str, NDArray[Any]]:  # noqa: D102 (as in `SpaceEstimator`)
        return {name: each.cpu().numpy() for name, each in self.network_.state_dict().items()}

    def expected_arrays(self) -> dict[str, Shape]:  # noqa: D102 (as in `SpaceEstimator`)
        # On the meta device tensors have shapes and no memory, whatever a file asks for.
        with torch.device("meta"):
            state = self._build(self.columns_).state_dict()
        return {name: (np.float32, tuple(each.shape)) for name, each in state.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: D102 (as there)
        if self.device == "cuda" and not torch.cuda.is_available():
            # What was trained there runs anywhere.
            self.device = "cpu"
        with torch.device("meta"):
            network = self._build(self.columns_)
        state = {name: torch.tensor(array) for name, array in arrays.items()}
        network.load_state_dict(state, assign=True)
        self.network_ = network.to(self.device).eval()

    def _tensor(self, rows: Rows) -> Tensor:
        return torch.as_tensor(np.asarray(rows, np.float32), device=self.device)

    @torch.no_grad()
    def _map(self, function: Callable[..., Tensor], *sides: Rows) -> NDArray[np.float32]:
        """Apply a function of rows that does not look at their neighbours, few at a time."""
        parts = [
            function(*(self._tensor(side[start : start + _ROWS_AT_ONCE]) for side in sides))
            for start in range(0, len(sides[0]), _ROWS_AT_ONCE)
        ]
        result: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
        return result
