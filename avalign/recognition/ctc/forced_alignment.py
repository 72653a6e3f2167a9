"""Find when each word of a known text is said, from what a CTC model emits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from avalign.errors import NoAnswerError, ParameterError, import_guard
from avalign.recognition.ctc.alphabet import BLANK, SEPARATOR
from avalign.recognition.ctc.emissions import check_emissions, tokens_of_path
from avalign.recognition.ctc.graph import GraphBuilder, StateGraph, best_path
from avalign.transcript import Transcript, Word

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from avalign.recognition.ctc.alphabet import Alphabet

Engine: TypeAlias = Literal["numba", "torchaudio"]
Unit: TypeAlias = Literal["words", "characters"]


def align_transcript(
    log_probs: ArrayLike,
    times_s: ArrayLike,
    transcript: Transcript | str,
    alphabet: Alphabet,
    *,
    unit: Unit = "words",
    engine: Engine = "numba",
) -> Transcript:
    """Give every word of a transcript its time.

    Parameters
    ----------
    log_probs : array-like of shape (T, C)
        Log-probabilities of a CTC model, the blank in column 0.
    times_s : array-like of shape (T,)
        Presentation time of each row.
    transcript : Transcript or str
        What is said, all of it; times it may have are not looked at.
    alphabet : Alphabet
        The alphabet of the model. Words are spelt in it as `Alphabet.spell` does, and come
        back as they were written. What has no sound, such as a dash, is left out.
    unit : {"words", "characters"}
        What gets a time: each word, or each of its characters as it is spelt.
    engine : {"numba", "torchaudio"}
        Who computes; both find the same path.

    Returns
    -------
    Transcript
        The words with their times. A model that emits spikes puts words between their first
        and their last spike; `WordTiming` makes up for that.

    Raises
    ------
    ParameterError
        If an argument cannot be used, or the alphabet lacks a character of the text.
    NoAnswerError
        If there is no text, or it cannot be said in so few rows.
    MissingDependencyError
        If torchaudio is asked for and does not load.

    References
    ----------
    .. [1] A. Graves et al., "Connectionist temporal classification: labelling unsegmented
       sequence data with recurrent neural networks", ICML 2006.
    .. [2] L. Kürzinger et al., "CTC-segmentation of large corpora for German end-to-end
       speech recognition", SPECOM 2020.
    """
    if unit not in ("words", "characters"):
        raise ParameterError(f"unit is {unit!r}", "use 'words' or 'characters'")
    emitted = check_emissions(log_probs, times_s, alphabet.size)
    if isinstance(transcript, str):
        transcript = Transcript(tuple(map(Word, transcript.split())), "text")
    spelt = [(word.text, alphabet.spell(word.text)) for word in transcript.words]
    spelt = [(text, spelling) for text, spelling in spelt if spelling]
    if not spelt:
        raise NoAnswerError("the transcript holds no word to align", "name a text with words")
    joint = "" if alphabet.separator is None else SEPARATOR
    labels = alphabet.encode(joint.join(spelling for _, spelling in spelt))
    path = aligned_path(emitted.log_probs, labels, engine=engine)
    spoken = [token for token in tokens_of_path(path) if token.label != alphabet.separator]
    words: list[Word] = []
    for text, spelling in spelt:
        tokens, spoken = spoken[: len(spelling)], spoken[len(spelling) :]
        named = zip(spelling, ([token] for token in tokens), strict=True)
        for name, run in named if unit == "characters" else [(text, tokens)]:
            words.append(emitted.word(name, path, run[0].first, run[-1].last))
    return Transcript(tuple(words), transcript.source)


def aligned_path(
    log_probs: NDArray[np.float64], labels: NDArray[np.int64], *, engine: Engine = "numba"
) -> NDArray[np.int64]:
    """Find the most probable path int64 [T] that spells labels int64 [L] (no blanks)."""
    if engine not in ("numba", "torchaudio"):
        raise ParameterError(f"engine is {engine!r}", "use 'numba' or 'torchaudio'")
    n_needed = len(labels) + int((np.diff(labels) == 0).sum())
    if len(log_probs) < n_needed:
        raise NoAnswerError(
            f"the transcript is too long: it needs {n_needed} rows at least, and the recording "
            f"has {len(log_probs)}",
            "check that the transcript belongs to the recording",
        )
    if engine == "torchaudio":
        return _torchaudio_path(log_probs, labels)
    graph = _chain(labels)
    states, log_prob = best_path(graph, log_probs)
    if np.isneginf(log_prob):
        raise NoAnswerError(
            "the model gives the transcript a probability of zero",
            "check that the transcript belongs to the recording",
        )
    return graph.labels[states]


def _chain(labels: NDArray[np.int64]) -> StateGraph:
    """Build the states of one text: a blank, its first character, a blank, and so on."""
    builder = GraphBuilder()
    blank = builder.state(BLANK)
    ends = [blank]
    first = [blank]
    for label in labels.tolist():
        character = builder.state(label)
        builder.connect(ends, [character])
        blank = builder.state(BLANK)
        builder.connect([character], [blank])
        ends = [character, blank]
        if len(first) == 1:
            first.append(character)
    return builder.build(first, ends)


def _torchaudio_path(
    log_probs: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.int64]:
    with import_guard("torchaudio does not load", "use engine='numba', which finds the same"):
        import torch
        from torchaudio.functional import forced_align
    path, _ = forced_align(
        torch.from_numpy(log_probs)[None], torch.from_numpy(labels)[None], blank=BLANK
    )
    return np.asarray(path[0].numpy(), np.int64)


@dataclass(frozen=True, slots=True)
class WordTiming:
    """How far words reach beyond the spikes of one model.

    CTC models emit each character in a row or two, somewhere in its sound. How much earlier
    words start, and how much later they end, is much the same within one model, and is
    learned from a few sentences by `fit_word_timing`.

    Parameters
    ----------
    start_shift_s : float
        What is added to each start; mostly negative.
    end_shift_s : float
        What is added to each end; mostly positive.
    """

    start_shift_s: float = 0.0
    end_shift_s: float = 0.0

    def apply(self, transcript: Transcript) -> Transcript:
        """Move the times of all words; words that would overlap meet halfway.

        Parameters
        ----------
        transcript : Transcript
            Words with the times of spikes.

        Returns
        -------
        Transcript
            The same words with times of their sounds.

        Raises
        ------
        ParameterError
            If a word has no time.
        """
        starts_s, ends_s = _times(transcript)
        starts_s += self.start_shift_s
        ends_s += self.end_shift_s
        overlap = ends_s[:-1] > starts_s[1:]
        middle_s = (ends_s[:-1] + starts_s[1:]) / 2
        ends_s[:-1] = np.where(overlap, middle_s, ends_s[:-1])
        starts_s[1:] = np.where(overlap, middle_s, starts_s[1:])
        starts_s = np.maximum.accumulate(starts_s)
        ends_s = np.maximum(starts_s, ends_s)
        words = (
            replace(word, start_s=start_s, end_s=end_s)
            for word, start_s, end_s in zip(
                transcript.words, starts_s.tolist(), ends_s.tolist(), strict=True
            )
        )
        return Transcript(tuple(words), transcript.source)


def fit_word_timing(aligned: Sequence[Transcript], truth: Sequence[Transcript]) -> WordTiming:
    """Learn how far words reach beyond a model's spikes.

    Parameters
    ----------
    aligned : sequence of Transcript
        What `align_transcript` found.
    truth : sequence of Transcript
        The same words with their true times.

    Returns
    -------
    WordTiming
        The median distance of the starts, and of the ends.

    Raises
    ------
    ParameterError
        If there are no words, they differ, or one has no time.
    """
    for found, true in zip(aligned, truth, strict=True):
        if len(found) != len(true):
            raise ParameterError(
                f"{found.source or 'a text'} has {len(found)} words, its truth {len(true)}",
                "align the words of the truth",
            )
    if not sum(map(len, aligned)):
        raise ParameterError("there are no words to learn from", "pass aligned transcripts")
    found_s = np.concatenate([_times(transcript) for transcript in aligned], axis=1)
    true_s = np.concatenate([_times(transcript) for transcript in truth], axis=1)
    start_shift_s, end_shift_s = np.median(true_s - found_s, axis=1).tolist()
    return WordTiming(start_shift_s, end_shift_s)


def _times(transcript: Transcript) -> NDArray[np.float64]:
    """Return the starts and the ends of all words, (2, W)."""
    for word in transcript.words:
        if word.start_s is None:
            raise ParameterError(f"the word {word.text!r} has no time", "align it first")
    times = [(word.start_s, word.end_s) for word in transcript.words]
    return np.array(times, np.float64).reshape(-1, 2).T.copy()
