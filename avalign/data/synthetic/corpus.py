"""Write a folder of synthetic clips with its manifest, labelled as synthetic."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from avalign.data.manifest import Manifest, read_manifest, write_manifest
from avalign.data.rows import ManifestRow
from avalign.data.splits import sentence_split, speaker_split
from avalign.data.synthetic.clip import Disturbance, SyntheticClip, render_clip
from avalign.data.synthetic.emotions import EMOTIONS
from avalign.data.synthetic.files import SUFFIXES, write_clip
from avalign.data.synthetic.sentences import draw_sentences
from avalign.data.synthetic.speakers import Speaker, draw_speakers
from avalign.data.synthetic.speech import Spoken, Voice, speak
from avalign.errors import AvalignError, ParameterError
from avalign.files import atomic_folder
from avalign.processes import cores

DATASET = "synthetic"
MANIFEST, NOTE = "manifest.csv", "README.md"
NOTE_TEXT = """# Synthetic clips

Nobody said this: espeak-ng spoke it, and the lips were computed from the times of its phones.
Made by `avalign data synth`, for tests and controlled experiments. What is measured on these
clips says nothing about people.
"""
LICENCE = "synthetic, no rights reserved"
# How strongly an emotion shows.
STRENGTH = (0.6, 1.0)
# By the number of speakers, or of the sentences of a single one.
PART_FRACTIONS: tuple[dict[str, float], ...] = (
    {},
    {},
    {"train": 0.5, "dev": 0.5},
    {"train": 0.7, "dev": 0.15, "test": 0.15},
)


@dataclass(frozen=True, slots=True)
class CorpusPlan:
    """What to make.

    Parameters
    ----------
    sentences : int
        Different sentences of each speaker.
    speakers : int
        How many speak.
    emotions : tuple of str
        Each sentence is said in each of them; none for neutral speech without labels.
    lag_s : float
        The lag of each clip is drawn evenly from minus this to this.
    disturbance : Disturbance
        What else is done to each clip; its own lag is added to the one that is drawn.
    seed : int
        Same plan, same files, for one version of espeak-ng.

    Raises
    ------
    ParameterError
        If a number or an emotion cannot be used.
    """

    sentences: int = 10
    speakers: int = 4
    emotions: tuple[str, ...] = ()
    lag_s: float = 0.0
    disturbance: Disturbance = field(default_factory=Disturbance)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sentences < 1 or not 1 <= self.speakers <= 1000:
            raise ParameterError(
                f"{self.sentences} sentences by {self.speakers} speakers make no corpus",
                "choose at least one sentence, and 1 to 1000 speakers",
            )
        for emotion in self.emotions:
            if emotion not in EMOTIONS or self.emotions.count(emotion) > 1:
                raise ParameterError(
                    f"the emotion {emotion!r} is unknown or named twice",
                    f"choose among {', '.join(EMOTIONS)}",
                )
        if not 0.0 <= self.lag_s <= 1.0:
            raise ParameterError(
                f"the lag is {1000 * self.lag_s:g} ms", "choose from 0 to 1000 ms"
            )
        if self.seed < 0:
            raise ParameterError(f"the seed is {self.seed}", "choose 0 or more")


def write_corpus(
    folder: str | os.PathLike[str],
    plan: CorpusPlan | None = None,
    *,
    jobs: int | None = None,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
    speak: Callable[[str, Voice], Spoken] = speak,
) -> Manifest:
    """Make a corpus: sound, streams, words, and what is true of each clip.

    Parameters
    ----------
    folder : path-like
        Where to write it; it appears whole or not at all.
    plan : CorpusPlan, optional
        What to make.
    jobs : int, optional
        Clips made at once; by default as many as there are cores.
    overwrite : bool
        Replace a synthetic corpus that is there; nothing else is ever replaced.
    progress : callable, optional
        Called with the fraction done, 0 to 1.
    speak : callable
        What says a sentence; by default espeak-ng.

    Returns
    -------
    Manifest
        One row per clip. Its split is by speaker where there are two or more; the sentences
        of a single speaker are split, and declared to be.

    Raises
    ------
    MissingDependencyError
        If espeak-ng is not installed.
    MediaError
        If the folder exists, or cannot be written.
    ParameterError
        If the plan cannot be carried out.
    """
    plan, target = plan or CorpusPlan(), Path(os.path.abspath(folder))
    if jobs is not None and jobs < 1:
        raise ParameterError(f"jobs is {jobs}", "name at least one, or leave it out")
    report_progress = progress or (lambda fraction: None)
    takes = _takes(plan)
    with atomic_folder(
        target, overwrite, parents=True, replaceable=_is_ours, kind="a synthetic corpus"
    ) as temporary:
        rows: list[ManifestRow] = []
        pool = ThreadPoolExecutor(jobs or cores())
        try:
            for row in pool.map(lambda take: _make(take, plan, temporary, speak), takes):
                rows.append(row)
                report_progress(len(rows) / len(takes))
        finally:
            pool.shutdown(cancel_futures=True)
        manifest = _split(Manifest(temporary / MANIFEST, tuple(rows)), plan)
        write_manifest(manifest, temporary / MANIFEST)
        (temporary / NOTE).write_text(NOTE_TEXT, encoding="utf-8")
    return read_manifest(target / MANIFEST)


@dataclass(frozen=True, slots=True)
class _Take:
    """One clip to be made."""

    speaker: Speaker
    name: str
    text: str
    emotion: str
    seed: list[int]


def _takes(plan: CorpusPlan) -> list[_Take]:
    takes = []
    for number, speaker in enumerate(draw_speakers(plan.speakers, plan.seed)):
        sentences = draw_sentences(plan.sentences, [plan.seed, number])
        for index, (name, text) in enumerate(sentences.items()):
            for emotion in plan.emotions or ("",):
                # A clip keeps its numbers when other emotions are asked for as well.
                code = list(EMOTIONS).index(emotion or "neutral")
                full = f"{name}_{emotion}" if emotion else name
                seed = [plan.seed, number, index, code]
                takes.append(_Take(speaker, full, text, emotion, seed))
    return takes


def _make(
    take: _Take, plan: CorpusPlan, folder: Path, speak: Callable[[str, Voice], Spoken]
) -> ManifestRow:
    clip, voice, strength, lag_s = _render(take, plan, speak)
    stem = folder / take.speaker.name / take.name
    facts = {
        "text": take.text,
        "speaker": take.speaker.name,
        "voice": voice.name,
        "emotion": take.emotion or None,
        "strength": strength if take.emotion else None,
        "audio_lag_ms": lag_s * 1000,
    }
    written = write_clip(clip, stem, facts)
    moved = bool(lag_s or plan.disturbance.warp_s)
    return ManifestRow(
        written["streams"],
        role="out_of_sync" if moved else "in_sync",
        dataset=DATASET,
        speaker=take.speaker.name,
        language="en",
        label=take.emotion,
        text=take.text,
        transcript=written["words"],
        audio=written["audio"],
        licence=LICENCE,
        duration_s=clip.source.streams.duration_s,
        extra={
            "audio_lag_ms": f"{lag_s * 1000:.1f}",
            "warp_ms": f"{plan.disturbance.warp_s * 1000:.1f}",
        },
    )


def _render(
    take: _Take, plan: CorpusPlan, speak: Callable[[str, Voice], Spoken]
) -> tuple[SyntheticClip, Voice, float, float]:
    rng = np.random.default_rng([*take.seed, 1])
    strength = float(rng.uniform(*STRENGTH))
    lag_s = plan.disturbance.audio_lag_s + float(rng.uniform(-plan.lag_s, plan.lag_s))
    emotion = take.emotion or "neutral"
    voice = EMOTIONS[emotion].voice(take.speaker.voice, strength)
    clip = render_clip(
        speak(take.text, voice),
        take.speaker,
        name=f"{take.speaker.name}/{take.name}",
        seed=take.seed,
        emotion=emotion,
        strength=strength,
        disturbance=replace(plan.disturbance, audio_lag_s=lag_s),
    )
    return clip, voice, strength, lag_s


def _split(manifest: Manifest, plan: CorpusPlan) -> Manifest:
    fractions = PART_FRACTIONS[min(plan.speakers, 3)]
    if fractions:
        return speaker_split(manifest, fractions, seed=plan.seed)
    fractions = PART_FRACTIONS[min(plan.sentences, 3)]
    return sentence_split(manifest, fractions, seed=plan.seed) if fractions else manifest


def _is_ours(target: Path) -> bool:
    """Tell whether a folder holds a synthetic corpus, and nothing besides."""
    files = [path for path in target.rglob("*") if not path.is_dir()]
    known = {target / MANIFEST, target / NOTE}
    with suppress(AvalignError):
        rows = read_manifest(target / MANIFEST).rows
        return all(row.dataset == DATASET for row in rows) and all(
            path in known or path.name.endswith(SUFFIXES) for path in files
        )
    return False
