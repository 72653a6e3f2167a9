"""What training for speech and for emotion share: from utterances to a folder with a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from avalign.data import BY_SENTENCE, Manifest, check_split, read_manifest
from avalign.errors import ParameterError
from avalign.files import atomic_output
from avalign.recognition import BatchSource, Recognizer, aligned_sequence
from avalign.train.recognizer.distributed import processes
from avalign.train.recognizer.loop import RUN_NAME, Result, train
from avalign.train.recognizer.objective import Objective
from avalign.train.recognizer.plans import TrainingCallbacks

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from avalign.recognition import Noise, RecognizerSettings, Skipped, Utterance
    from avalign.train.recognizer.plans import RecognizerPlan


@dataclass(frozen=True, slots=True)
class Corpus:
    """What is learnt from and tested on.

    Parameters
    ----------
    train, dev : list of Utterance
        With their targets.
    skipped : list of Skipped
        Files that could not be used.
    facts : mapping
        What else ``run.json`` is to say of the data.
    """

    train: list[Utterance]
    dev: list[Utterance]
    skipped: list[Skipped]
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_parts(
    path: str | os.PathLike[str], *, by_sentence: bool = False
) -> tuple[Manifest, Manifest]:
    """Read the parts ``train`` and ``dev`` of a manifest, and refuse leaks."""
    manifest = read_manifest(path)
    if by_sentence:
        declared = tuple(replace(row, split_by=BY_SENTENCE) for row in manifest.rows)
        manifest = Manifest(manifest.path, declared)
    parts = manifest.select(split="train"), manifest.select(split="dev")
    for name, part in zip(("train", "dev"), parts, strict=True):
        if not part.rows:
            raise ParameterError(
                f"{manifest.path} has no rows with split={name} among its {len(manifest)}",
                "fill the column 'split', or make one with avalign data split",
            )
    return parts


def refuse_leaks(train: Manifest, dev: Manifest) -> None:
    """Refuse rows that share speakers without a declared split by sentence."""
    check_split(Manifest(train.path, (*train.rows, *dev.rows)))


def train_recognizer(
    task: str,
    settings: RecognizerSettings,
    corpus: Corpus,
    test: Callable[[Recognizer], Mapping[str, float]],
    plan: RecognizerPlan,
    folder: Path,
    noises: Sequence[Noise],
    *,
    resume: bool = False,
    finish: Callable[[Recognizer], None] | None = None,
    callbacks: TrainingCallbacks | None = None,
) -> Result:
    """Train a recogniser and write its folder; `finish` gets the best model once written."""
    callbacks = callbacks or TrainingCallbacks()
    run = {
        "task": task,
        "settings": json.loads(settings.to_json()),
        "plan": _plan_facts(plan),
        "data": {"digest": _digest(corpus), **_counts(corpus)},
    }
    torch.manual_seed(plan.loop.seed)
    model = Recognizer(settings)
    model.fit_standardisation(_clean_rows(corpus.train, settings))
    with processes(plan.device) as team:
        batches = BatchSource(
            corpus.train,
            settings,
            plan.augmentation,
            noises,
            batch_size=plan.loop.batch_size,
            seed=plan.loop.seed,
            epochs=plan.loop.epochs,
            device=str(team.device) if team.device.type == "cuda" else None,
        )
        objective = Objective(model, plan.weights).to(team.device)
        result = train(
            objective,
            batches,
            test,
            plan.loop,
            folder,
            team,
            run=run,
            resume=resume,
            tensorboard=plan.tensorboard,
            progress=callbacks.progress,
            report=callbacks.report,
        )
        if team.writes:
            _write_run(folder, run, corpus, result, str(team.device))
            if finish is not None:
                finish(result.model)
    return result


def _clean_rows(
    utterances: Sequence[Utterance], settings: RecognizerSettings
) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    for utterance in utterances:
        sequence = aligned_sequence(utterance, settings.streams, settings.rate_hz)
        yield {
            name: (torch.from_numpy(rows), torch.from_numpy(sequence.masks[name]))
            for name, rows in sequence.streams.items()
        }


def _plan_facts(plan: RecognizerPlan) -> dict[str, Any]:
    """Everything that decides what comes out, as JSON can hold it."""
    facts = asdict(replace(plan, recordings=()))
    facts["recordings"] = [path.name for path in plan.recordings]
    for name in ("device", "tensorboard", "streams", "fusion", "fusion_options"):
        del facts[name]
    for name in ("width", "dropout", "statistics"):
        del facts[name]
    return facts


def _digest(corpus: Corpus) -> str:
    digest = hashlib.sha256()
    for part in (corpus.train, corpus.dev):
        for one in part:
            digest.update(repr((one.name, one.text, one.label, one.values.tolist())).encode())
            if one.audio is not None:
                digest.update(one.audio.samples.tobytes())
            for name in sorted(one.streams):
                digest.update(one.streams[name].values.tobytes())
        digest.update(b"\0")
    return digest.hexdigest()[:32]


def _counts(corpus: Corpus) -> dict[str, Any]:
    return {
        "train": len(corpus.train),
        "dev": len(corpus.dev),
        "train_speakers": len({one.speaker for one in corpus.train}),
        "dev_speakers": len({one.speaker for one in corpus.dev}),
        **corpus.facts,
    }


def _write_run(
    folder: Path, run: Mapping[str, Any], corpus: Corpus, result: Result, device: str
) -> None:
    from avalign import __version__

    facts = {
        **run,
        "skipped": [asdict(one) for one in corpus.skipped],
        "best_epoch": result.best_epoch + 1,
        "best_score": result.best_score,
        "curves": result.curves,
        "parameters": sum(parameter.numel() for parameter in result.model.parameters()),
        "device": device,
        "versions": {"avalign": __version__, "torch": torch.__version__},
    }
    with atomic_output(folder / RUN_NAME, overwrite=True) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=False), encoding="utf-8")
