"""One family with one seed: what is to be trained and tested, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avalign.recognition import RecognizerSettings
from benchmarks.fusion.encoded import STREAMS
from benchmarks.fusion.plan import BASELINES, PRIMARY, Plan, Scene

__all__ = ["Cell", "cell_path", "is_done", "read_cells", "summary_line", "training_facts"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What is to be trained and tested.

    Parameters
    ----------
    name : str
        A family, or one of `BASELINES`.
    seed : int
        Of weights and batches.
    plan : Plan
        How.
    settings : RecognizerSettings
        Of the model whose encoders were used: alphabet, vocabulary, stride.
    texts : tuple of str
        What is said in the test clips.
    folder : Path
        Where encoded rows are, and cells are kept.
    deadline : float or None
        By the clock of `time.time`; a cell that would not be done by then is not begun.
    """

    name: str
    seed: int
    plan: Plan
    settings: RecognizerSettings
    texts: tuple[str, ...]
    folder: Path
    deadline: float | None = None

    @property
    def streams(self) -> tuple[str, ...]:
        """What the model reads."""
        return BASELINES.get(self.name, STREAMS)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """What it is tested in; a single stream cannot be misaligned."""
        if self.name not in BASELINES:
            return self.plan.scenes
        return tuple(
            scene
            for scene in self.plan.scenes
            if scene.misalignment == "in_sync"
            and scene.aligner == "none"
            and set(self.streams) <= set(scene.streams)
        )


def cell_path(folder: Path, name: str, seed: int) -> Path:
    """Name the file of a cell.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    name : str
        The family.
    seed : int
        The seed.

    Returns
    -------
    Path
        The file.
    """
    return folder / "cells" / f"{name}-{seed}.json"


def is_done(cell: Cell) -> bool:
    """Tell whether a cell was trained as planned, and tested in all of its scenes.

    Parameters
    ----------
    cell : Cell
        The cell.

    Returns
    -------
    bool
        Whether nothing is left to do.
    """
    path = cell_path(cell.folder, cell.name, cell.seed)
    if not path.exists():
        return False
    found = json.loads(path.read_text("utf-8"))
    return found["training"] == training_facts(cell.plan) and found["scenes"].keys() >= {
        scene.key for scene in cell.scenes
    }


def training_facts(plan: Plan) -> dict[str, Any]:
    """Say what of a plan a trained model depends on.

    Parameters
    ----------
    plan : Plan
        The plan.

    Returns
    -------
    dict
        What the file of a cell keeps.
    """
    return {
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "missing_share": plan.missing_share,
    }


def summary_line(path: Path, n_words: int) -> str:
    """Tell in a line how a cell did where families are ranked.

    Parameters
    ----------
    path : Path
        Its file.
    n_words : int
        Words in all test clips.

    Returns
    -------
    str
        Word error rates and time.
    """
    found = json.loads(path.read_text("utf-8"))
    scene = found["scenes"].get(PRIMARY.key)
    told = ""
    if scene is not None:
        told = ", ".join(
            f"WER {100 * sum(errors) / n_words:.1f} % {way}"
            for way, errors in scene["errors"].items()
        )
    seconds = found["training_cpu_s"] + found["testing_cpu_s"]
    return f"{told} at 0 dB; {seconds:.0f} CPU s" if told else f"{seconds:.0f} CPU s"


def read_cells(folder: Path, names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Read the cells that are there.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    names : sequence of str
        Families and baselines.

    Returns
    -------
    dict of str to list of dict
        Cells by family, in the order of their seeds; families without any are left out.
    """
    found = {}
    for name in names:
        seeds = sorted(
            int(path.stem.removeprefix(f"{name}-"))
            for path in (folder / "cells").glob(f"{name}-*.json")
        )
        cells = [json.loads(cell_path(folder, name, seed).read_text("utf-8")) for seed in seeds]
        if cells:
            found[name] = cells
    return found
