"""A cell from beginning to end: trained, tested, and kept as a file."""

from __future__ import annotations

import json
import time

import torch

from avalign.files import atomic_output
from benchmarks.fusion.answers import answer_scenes
from benchmarks.fusion.cells import Cell, cell_path, training_facts
from benchmarks.fusion.fused_reader import train_reader

__all__ = ["run_cell"]

# How long the last cell of this process took; the next one will take about as long.
_last_s = 0.0


def run_cell(cell: Cell) -> float | None:
    """Train, test, and write the file.

    Parameters
    ----------
    cell : Cell
        The cell.

    Returns
    -------
    float or None
        Seconds it took; None if it was not begun because of the deadline.
    """
    global _last_s
    begin = time.time()
    if cell.deadline is not None and begin + _last_s > cell.deadline:
        return None
    torch.set_num_threads(1)
    processor_s = time.process_time()
    model, losses = train_reader(cell)
    trained_s = time.process_time() - processor_s
    scenes = answer_scenes(cell, model)
    taken_s = time.process_time() - processor_s
    facts = {
        "family": cell.name,
        "seed": cell.seed,
        "training": training_facts(cell.plan),
        "parameters": sum(p.numel() for p in model.fusion.parameters()),
        "training_cpu_s": round(trained_s, 2),
        "testing_cpu_s": round(taken_s - trained_s, 2),
        "device": cell.plan.device,
        "loss": losses,
        "scenes": scenes,
    }
    path = cell_path(cell.folder, cell.name, cell.seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_output(path, True) as temporary:
        temporary.write_text(json.dumps(facts), encoding="utf-8")
    _last_s = time.time() - begin
    return _last_s
