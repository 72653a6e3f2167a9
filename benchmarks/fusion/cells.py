"""One family with one seed: trained on encoded rows, tested in every scene, kept as a file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avalign.fusion import FusionOutput, ModalityDropout, build_fusion
from avalign.media import atomic_output
from avalign.tasks.alphabet import Alphabet
from avalign.tasks.decoding import greedy_decode
from avalign.tasks.grammar import grammar_decode
from avalign.tasks.heads import Answers
from avalign.tasks.metrics import speech_errors
from avalign.tasks.reading import model_grammar
from avalign.tasks.settings import RecognizerSettings
from avalign.tasks.word_rows import WordRows
from avalign.train.objective import task_losses
from benchmarks.fusion.encoded import STREAMS, EncodedScene, TrainingRows
from benchmarks.fusion.plan import BASELINES, PRIMARY, Plan, Scene

__all__ = ["Cell", "FusedReader", "cell_path", "is_done", "run_cell"]

OUT_DIM = 128
_WARM_UP, _WEIGHT_DECAY, _LARGEST_GRADIENT = 0.15, 0.02, 5.0
_TEST_BATCH = 50


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
    return found["training"] == _training_facts(cell.plan) and found["scenes"].keys() >= {
        scene.key for scene in cell.scenes
    }


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
    model, losses = _train(cell)
    trained_s = time.process_time() - processor_s
    scenes = _test(cell, model)
    taken_s = time.process_time() - processor_s
    facts = {
        "family": cell.name,
        "seed": cell.seed,
        "training": _training_facts(cell.plan),
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


def _training_facts(plan: Plan) -> dict[str, Any]:
    return {
        "steps": plan.steps,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "missing_share": plan.missing_share,
    }


def _train(cell: Cell) -> tuple[FusedReader, list[float]]:
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


@torch.no_grad()
def _test(cell: Cell, model: FusedReader) -> dict[str, Any]:
    """Count word errors clip by clip in each scene, and weigh the sound."""
    reader = _Reader(cell.settings)
    found: dict[str, Any] = {}
    scenes = sorted(cell.scenes, key=lambda scene: scene.rows_key)
    loaded, rows_key = None, ""
    for scene in scenes:
        if loaded is None or scene.rows_key != rows_key:
            loaded, rows_key = EncodedScene.load(cell.folder, scene), scene.rows_key
        errors: dict[str, list[int]] = {}
        weights: list[float] = []
        for first in range(0, len(cell.texts), _TEST_BATCH):
            part = slice(first, first + _TEST_BATCH)
            texts, shares = _answer(cell, model, reader, loaded, scene, part)
            weights += shares
            for way, answers in texts.items():
                counted = map(_word_errors, cell.texts[part], answers)
                errors.setdefault(way, []).extend(counted)
        found[scene.key] = {"errors": errors, "audio_weight": weights}
    return found


def _answer(
    cell: Cell,
    model: FusedReader,
    reader: _Reader,
    loaded: EncodedScene,
    scene: Scene,
    part: slice,
) -> tuple[dict[str, list[str]], list[float]]:
    device = cell.plan.device
    masks = {name: loaded.masks[name][part].to(device) for name in cell.streams}
    given = {name: name in scene.streams for name in cell.streams}
    present = {
        name: torch.full((len(mask),), given[name], device=device)
        for name, mask in masks.items()
    }
    # A clip of which nothing is left is answered by silence.
    any_left = torch.stack(
        [mask.any(dim=1) & present[name] for name, mask in masks.items()]
    ).any(dim=0)
    texts: dict[str, list[str]] = {way: [""] * len(any_left) for way in reader.ways}
    left = any_left.nonzero()[:, 0]
    if not len(left):
        return texts, []
    rows = {name: loaded.rows[name][part].to(device)[left] for name in cell.streams}
    answers, fused = model(
        rows,
        {name: mask[left] for name, mask in masks.items()},
        {name: there[left] for name, there in present.items()},
    )
    assert answers.log_probs is not None
    speech = answers.log_probs.double().cpu().numpy()
    words = None
    if answers.words is not None:
        words = answers.words.double().log_softmax(dim=-1).cpu().numpy()
    for item, place in enumerate(left.tolist()):
        length = int(loaded.lengths[part][place])
        read = reader.read(
            speech[item, :length], None if words is None else words[item, :length]
        )
        for way, text in read.items():
            texts[way][place] = text
    return texts, _audio_shares(fused)


def _audio_shares(fused: FusionOutput) -> list[float]:
    """Mean weight of the sound in each clip, where the family has such weights."""
    weight = fused.weights.get("audio")
    if weight is None:
        return []
    if weight.ndim == 2:
        weight = (weight * fused.mask).sum(dim=1) / fused.mask.sum(dim=1).clamp(min=1)
    return [round(share, 5) for share in weight.tolist()]


class _Reader:
    """Reads rows greedily and, where the model's words are those of a grammar, by it."""

    def __init__(self, settings: RecognizerSettings) -> None:
        self.settings = settings
        self.alphabet = Alphabet(settings.characters)
        self.grammar = model_grammar(settings)
        if self.grammar is not None and not {*self.grammar.vocabulary} <= {
            *settings.vocabulary
        }:
            self.grammar = None
        self.ways = ("greedy",) if self.grammar is None else ("greedy", "grammar")

    def read(
        self, speech: np.ndarray[Any, Any], words: np.ndarray[Any, Any] | None
    ) -> dict[str, str]:
        times_s = np.arange(len(speech)) / self.settings.rate_hz
        found = {"greedy": greedy_decode(speech, times_s, self.alphabet).transcript.text}
        if self.grammar is not None:
            told = None if words is None else WordRows(words, self.settings.vocabulary)
            sentence = grammar_decode(
                speech,
                times_s,
                self.alphabet,
                self.grammar,
                word_rows=told,
                with_confidence=False,
            )
            found["grammar"] = sentence.transcript.text
        return found


def _word_errors(truth: str, found: str) -> int:
    errors = speech_errors([truth], [found])
    return errors.substitutions + errors.deletions + errors.insertions


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
