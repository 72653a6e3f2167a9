"""A fusion family under one linear layer, and how it is trained on encoded rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from avalign.fusion import FusionOutput, ModalityDropout, build_fusion
from avalign.recognition import Answers
from avalign.train.recognizer import task_losses
from benchmarks.fusion.encoded import TrainingRows
from benchmarks.fusion.plan import BASELINES

if TYPE_CHECKING:
    from avalign.recognition import RecognizerSettings
    from benchmarks.fusion.cells import Cell

__all__ = ["FusedReader", "train_reader"]

OUT_DIM = 128
_WARM_UP, _WEIGHT_DECAY, _LARGEST_GRADIENT = 0.15, 0.02, 5.0


class FusedReader(nn.Module):
    """A fusion and one linear layer, so that all that joins streams is the fusion.

    Parameters
    ----------
    name : str
        A family, or one of `BASELINES`, which read one stream by early fusion.
    streams : tuple of str
        What it reads.
    settings : RecognizerSettings
        Of the encoders.
    """

    def __init__(
        self, name: str, streams: tuple[str, ...], settings: RecognizerSettings
    ) -> None:
        super().__init__()
        family = "early" if name in BASELINES else name
        dims = dict.fromkeys(streams, 2 * settings.width)
        self.stride = settings.stride
        self.fusion = build_fusion(family, dims, OUT_DIM)
        self.speech = nn.Linear(OUT_DIM, self.stride * (1 + len(settings.characters)))
        words = 1 + len(settings.vocabulary)
        self.words = nn.Linear(OUT_DIM, self.stride * words) if settings.vocabulary else None

    def forward(
        self,
        rows: dict[str, Tensor],
        masks: dict[str, Tensor],
        present: dict[str, Tensor] | None = None,
    ) -> tuple[Answers, FusionOutput]:
        """Read encoded rows; answers are on the fine clock."""
        names = self.fusion.names
        fused = self.fusion(
            {name: rows[name] for name in names}, {name: masks[name] for name in names}, present
        )
        speech = self._fine(self.speech(fused.sequence)).log_softmax(dim=-1)
        words = None if self.words is None else self._fine(self.words(fused.sequence))
        return Answers(speech, words, None, None), fused

    def _fine(self, rows: Tensor) -> Tensor:
        return rows.reshape(len(rows), rows.shape[1] * self.stride, -1)


def train_reader(cell: Cell) -> tuple[FusedReader, list[float]]:
    """Train the model of a cell.

    Parameters
    ----------
    cell : Cell
        What is to be trained, and where its encoded rows are.

    Returns
    -------
    model : FusedReader
        Ready to be tested.
    losses : list of float
        The loss at every 20th step.
    """
    plan, device = cell.plan, cell.plan.device
    torch.manual_seed(cell.seed)
    random = np.random.default_rng(cell.seed)
    data = TrainingRows.load(cell.folder)
    model = FusedReader(cell.name, cell.streams, cell.settings).to(device).train()
    hide = ModalityDropout(plan.missing_share if len(cell.streams) > 1 else 0.0)
    optimiser = torch.optim.AdamW(
        model.parameters(), plan.learning_rate, weight_decay=_WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, plan.learning_rate, total_steps=plan.steps, pct_start=_WARM_UP
    )
    # An item without any row that the model reads cannot be learnt from.
    readable = np.any(
        [data.arrays[f"{name}_mask"].any(axis=1) for name in cell.streams], axis=0
    )
    items = np.flatnonzero(readable)
    order = np.empty(0, np.intp)
    curve = []
    for step in range(plan.steps):
        if len(order) < plan.batch_size:
            order = np.concatenate([order, random.permutation(items)])
        chosen, order = np.split(order, [min(plan.batch_size, len(order))])
        batch = data.batch(np.sort(chosen), cell.settings.stride).to(device)
        masks = hide({name: batch.inputs.masks[name] for name in cell.streams})
        answers, fused = model(batch.inputs.streams, masks)
        parts = [*task_losses(answers, batch.inputs.lengths, batch).values()]
        loss = torch.stack([*parts, *fused.aux_losses.values()]).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        optimiser.step()
        schedule.step()
        if step % 20 == 0 or step == plan.steps - 1:
            curve.append(round(float(loss.detach()), 4))
    return model.eval(), curve
