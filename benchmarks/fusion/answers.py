"""A trained cell in every scene: word errors clip by clip, and what the sound weighs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from avalign.recognition import (
    Alphabet,
    WordFrames,
    grammar_decode,
    greedy_decode,
    model_grammar,
)
from avalign.recognition.metrics import speech_errors
from benchmarks.fusion.encoded import EncodedScene

if TYPE_CHECKING:
    from avalign.fusion import FusionOutput
    from avalign.recognition import RecognizerSettings
    from benchmarks.fusion.cells import Cell
    from benchmarks.fusion.fused_reader import FusedReader
    from benchmarks.fusion.plan import Scene

__all__ = ["answer_scenes"]

_TEST_BATCH = 50


@torch.no_grad()
def answer_scenes(cell: Cell, model: FusedReader) -> dict[str, Any]:
    """Count word errors clip by clip in each scene, and weigh the sound.

    Parameters
    ----------
    cell : Cell
        Whose scenes.
    model : FusedReader
        Trained for them.

    Returns
    -------
    dict
        By scene: ``errors`` by way of decoding, and ``audio_weight`` of each clip.
    """
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
            texts, fractions = _answer(cell, model, reader, loaded, scene, part)
            weights += fractions
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
    return texts, _audio_fractions(fused)


def _audio_fractions(fused: FusionOutput) -> list[float]:
    """Mean weight of the sound in each clip, where the family has such weights."""
    weight = fused.weights.get("audio")
    if weight is None:
        return []
    if weight.ndim == 2:
        weight = (weight * fused.mask).sum(dim=1) / fused.mask.sum(dim=1).clamp(min=1)
    return [round(fraction, 5) for fraction in weight.tolist()]


# Heads of few steps tell words far better than characters.
WORD_WEIGHT = 0.5


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
            told = None if words is None else WordFrames(words, self.settings.vocabulary)
            sentence = grammar_decode(
                speech,
                times_s,
                self.alphabet,
                self.grammar,
                word_frames=told,
                word_weight=WORD_WEIGHT,
                with_confidence=False,
            )
            found["grammar"] = sentence.transcript.text
        return found


def _word_errors(truth: str, found: str) -> int:
    errors = speech_errors([truth], [found])
    return errors.substitutions + errors.deletions + errors.insertions
