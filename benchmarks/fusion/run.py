"""``python -m benchmarks fusion``: every family, in and out of sync, in quiet and in noise."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from avalign.data import read_manifest
from avalign.errors import ParameterError
from avalign.files import atomic_output
from avalign.fusion import find_family, list_fusions
from avalign.processes import for_each
from avalign.recognition import WEIGHTS_NAME, Recognizer, load_model
from avalign.reports import model_name
from avalign.train.recognizer import (
    LoopPlan,
    RecognizerPlan,
    TrainingCallbacks,
    choose_device,
    train_speech,
)
from benchmarks.fusion.aligners import align_scenes, alignment_errors
from benchmarks.fusion.cells import Cell, cell_path, is_done, summary_line
from benchmarks.fusion.encoded import check_streams, encode_scenes, encode_training
from benchmarks.fusion.experiment import run_cell
from benchmarks.fusion.material import Material, load_material
from benchmarks.fusion.plan import BASELINES, Plan
from benchmarks.fusion.report import write_report

__all__ = ["measure", "run_fusion"]

RUN_NAME = "run.json"
QUICK_STEPS, FULL_STEPS = 300, 900
QUICK_SEEDS, FULL_SEEDS = 3, 5
# Narrower than the default: every family reads these rows, with every seed.
_ENCODER_WIDTH = 128
CORPUS_NAMES = {"grid": "GRID", "synthetic": "computed voices and faces (synthetic)"}

console = Console(stderr=True, highlight=False, soft_wrap=True)


def run_fusion(options: argparse.Namespace) -> Path:
    """Run the ablation as the command line asks; what is done already is not done again.

    Parameters
    ----------
    options : Namespace
        As of `benchmarks.fusion.options.add_fusion_options`.

    Returns
    -------
    Path
        The results, ``results.json`` in the output folder.

    Raises
    ------
    AvalignError
        If the data, the encoders or an option cannot be used.
    """
    plan = _plan(options)
    started = time.time()
    encoders = options.encoders or _train_encoders(options)
    model = load_model(encoders)
    check_streams(model)
    console.print("reading clips ...")
    material = load_material(
        model,
        options.data,
        cache=options.cache,
        jobs=options.jobs,
        seed=plan.seed,
        most_train=options.train_clips,
        most_test=options.clips,
    )
    facts = {
        "corpus": _corpus(options.data),
        "encoders": _digest(encoders / WEIGHTS_NAME),
        "space": model_name(),
        "versions": plan.versions,
        "seed": plan.seed,
    }
    deadline = None
    if options.budget_minutes is not None:
        deadline = started + 60 * options.budget_minutes
    return measure(model, material, plan, options.out, facts, options.jobs, deadline)


def measure(
    model: Recognizer,
    material: Material,
    plan: Plan,
    folder: Path,
    facts: dict[str, Any],
    jobs: int = 1,
    deadline: float | None = None,
) -> Path:
    """Align, encode, train, test, and write results and report.

    Parameters
    ----------
    model : Recognizer
        Whose encoders are used, frozen.
    material : Material
        The clips.
    plan : Plan
        What to measure.
    folder : Path
        Where to; a run of the same facts and clips goes on.
    facts : dict
        What else decides the results.
    jobs : int
        Processes.
    deadline : float, optional
        By the clock of `time.time`: cells that would not be done by then are left out,
        and the results say so.

    Returns
    -------
    Path
        ``results.json``.

    Raises
    ------
    ParameterError
        If the folder holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    facts = facts | {
        "train_clips": len(material.train),
        "test_clips": len(material.test),
        "clips": _names_digest(material),
        "torch": torch.__version__,
    }
    _claim(folder, facts)
    scenes = plan.scenes
    clips = material.test
    alignments = align_scenes(
        clips, scenes, folder / "alignments.json", jobs=jobs, progress=_teller("aligned clips")
    )
    encode_scenes(model, clips, scenes, alignments, folder, _teller("encoded scenes"))
    encode_training(model, material, plan, folder, _teller("encoded training batches"))
    texts = tuple(clip.utterance.text for clip in clips)
    cells = [
        Cell(name, seed, plan, model.settings, texts, folder, deadline)
        for name, seed in plan.models
    ]
    _run_cells([cell for cell in cells if not is_done(cell)], len(cells), jobs)
    left_out = [f"{cell.name}-{cell.seed}" for cell in cells if not is_done(cell)]
    if left_out:
        console.print(f"left out for want of time: {', '.join(left_out)}")
    texts_by_clip = [(clip.utterance.name, clip.utterance.text) for clip in clips]
    errors = alignment_errors(clips, alignments, scenes)
    return write_report(folder, plan, facts, texts_by_clip, errors, left_out)


def _run_cells(cells: list[Cell], n_all: int, jobs: int) -> None:
    begin, done = time.time(), 0
    for number, taken_s in for_each(run_cell, cells, jobs=jobs, caller="run_fusion"):
        cell = cells[number]
        if isinstance(taken_s, Exception):
            raise taken_s
        if taken_s is None:
            continue
        done += 1
        left_min = (time.time() - begin) / done * (len(cells) - done) / 60
        n_words = sum(len(text.split()) for text in cell.texts)
        told = summary_line(cell_path(cell.folder, cell.name, cell.seed), n_words)
        finished = n_all - len(cells) + done
        console.print(
            f"[{finished}/{n_all}] {cell.name}, seed {cell.seed}: {told}; "
            f"about {left_min:.0f} min left",
            markup=False,
        )


def _plan(options: argparse.Namespace) -> Plan:
    families = tuple(options.families.split(",")) if options.families else list_fusions()
    for name in families:
        if name not in BASELINES:
            find_family(name)
    quick = options.quick
    return Plan(
        families=tuple(name for name in families if name not in BASELINES),
        seeds=options.seeds or (QUICK_SEEDS if quick else FULL_SEEDS),
        steps=options.steps or (QUICK_STEPS if quick else FULL_STEPS),
        versions=options.versions,
        quick=quick,
        seed=options.seed,
        device=str(choose_device(options.device)),
    )


def _train_encoders(options: argparse.Namespace) -> Path:
    """Train a recogniser whose encoders are used; one that is there goes on."""
    folder: Path = options.out / "encoders"
    if (folder / "run.json").exists():
        return folder
    console.print(f"training encoders for {options.encoder_epochs} epochs ...")
    tell = _teller("% of the encoders' training")
    plan = replace(
        RecognizerPlan(),
        width=_ENCODER_WIDTH,
        loop=LoopPlan(epochs=options.encoder_epochs),
        device=options.device,
    )
    train_speech(
        options.data,
        folder,
        plan=plan,
        by_sentence=True,
        resume=(folder / "checkpoint.safetensors").exists(),
        overwrite=True,
        cache_dir=options.cache,
        jobs=options.jobs,
        callbacks=TrainingCallbacks(progress=lambda fraction: tell(int(100 * fraction), 100)),
    )
    return folder


def _claim(folder: Path, facts: dict[str, Any]) -> None:
    """Write down what decides the rows in a folder, or refuse one that holds others."""
    path = folder / RUN_NAME
    if path.exists():
        found = json.loads(path.read_text("utf-8"))
        for name, value in facts.items():
            # A fact that older runs did not write down decides nothing.
            if name != "torch" and found.get(name, value) != value:
                raise ParameterError(
                    f"{folder} holds a run with {name}={found.get(name)!r}, not {value!r}",
                    "name another folder with --output",
                )
        return
    with atomic_output(path, True) as temporary:
        temporary.write_text(json.dumps(facts, indent=1), encoding="utf-8")


def _corpus(data: Path) -> str:
    """Name what is learnt from: the data sets, and how many speak."""
    rows = read_manifest(data).select(split="train").rows
    names = sorted({row.dataset for row in rows if row.dataset}) or [data.name]
    n_speakers = len({row.speaker for row in rows})
    told = " and ".join(CORPUS_NAMES.get(name, name) for name in names)
    return f"{told}, {n_speakers} speaker{'s' * (n_speakers != 1)}"


def _teller(what: str, every_s: float = 20.0) -> Any:
    """Tell of progress now and then, with how long the rest will take."""
    # The first of them also loads and compiles: the estimate leaves it out.
    first, begin, last = 0, 0.0, time.time()

    def tell(done: int, total: int) -> None:
        nonlocal first, begin, last
        now = time.time()
        if not first:
            first, begin = done, now
        if done >= total or now - last > every_s:
            last = now
            rest = ""
            if first < done < total:
                left_s = (now - begin) / (done - first) * (total - done)
                rest = f", about {left_s / 60:.0f} min left"
            console.print(f"{what}: {done} of {total}{rest}")

    return tell


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def _names_digest(material: Material) -> str:
    names = [one.name for one in material.train]
    names += ["", *(clip.utterance.name for clip in material.test)]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
