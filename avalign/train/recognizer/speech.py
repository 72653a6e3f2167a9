"""Train speech recognition on a manifest: CTC over any fusion of sound and lips."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from avalign.data import Manifest
from avalign.errors import ParameterError
from avalign.recognition import (
    ENGLISH,
    TEST_VOICES,
    Alphabet,
    Case,
    Condition,
    RecognizerSettings,
    Skipped,
    SpeechTest,
    Utterance,
    calibrate,
    load_utterances,
    spell_row,
    spell_transcripts,
    training_babble,
    training_noises,
    write_calibration,
)
from avalign.train.recognizer.loop import Result
from avalign.train.recognizer.plans import RecognizerPlan, TrainingCallbacks
from avalign.train.recognizer.run_folder import run_folder
from avalign.train.recognizer.training import (
    Corpus,
    read_parts,
    refuse_leaks,
    train_recognizer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from avalign.data import ManifestRow
    from avalign.recognition import Recognizer
    from avalign.transcript import Transcript

# The voices of the test noise are as loud together as the one that counts.
TEST_SNR_DB = 0.0
# Fraction of the time that loading the clips takes, for the progress bar.
_LOADING = 0.05


def train_speech(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    plan: RecognizerPlan | None = None,
    alphabet: Alphabet = ENGLISH,
    by_sentence: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    callbacks: TrainingCallbacks | None = None,
) -> Result:
    """Train a speech recogniser and write its folder.

    Rows of the split ``train`` that have words are learnt from; those of ``dev`` choose
    the epoch, by the mean of word and character error rate (greedy, without a grammar)
    over these conditions: all streams, all streams in babble at 0 dB, each stream alone.
    On them it is then measured when to believe the model; see `calibrate`.

    Parameters
    ----------
    manifest : path-like
        CSV or Parquet, one row per utterance.
    output : path-like
        Folder for ``model.safetensors``, ``model.json``, ``calibration.json``,
        ``run.json``, ``curves.csv`` and the checkpoint.
    plan : RecognizerPlan, optional
        How to learn.
    alphabet : Alphabet
        What the model writes with.
    by_sentence : bool
        Declare that the split is by sentence: speakers may be in both parts, and results
        hold for speakers that were seen.
    resume : bool
        Go on with the run in the folder, to the same result; without one, begin.
    overwrite : bool
        Replace the run in the folder.
    cache_dir : path-like, optional
        Where extracted clips are cached.
    jobs : int, optional
        Files extracted at once; all cores by default.
    callbacks : TrainingCallbacks, optional
        Called as training goes on.

    Returns
    -------
    Result
        The best model and the curves.

    Raises
    ------
    ParameterError
        If a part of the manifest is empty or without words, speakers are in both parts,
        words need characters that the alphabet lacks, or the checkpoint is of another
        run.
    MediaError
        If a file cannot be read or written.
    NoAnswerError
        If the loss is not finite; the last checkpoint stays.
    MissingDependencyError
        If jiwer is missing, or TensorBoard is wanted and missing.
    """
    plan, callbacks = plan or RecognizerPlan(), callbacks or TrainingCallbacks()
    plan.check()
    for name, stream in plan.streams.items():
        if stream.feature == "characters":
            raise ParameterError(
                f"the stream {name!r} holds the words that are to be recognised",
                "leave it out, or train emotion with it",
            )
    train_rows, dev_rows = (
        _with_words(part) for part in read_parts(manifest, by_sentence=by_sentence)
    )
    refuse_leaks(train_rows, dev_rows)
    spell_transcripts(train_rows, alphabet)  # refused before hours of extraction
    spell_transcripts(dev_rows, alphabet)
    inputs = (manifest, *plan.recordings)
    with run_folder(output, inputs=inputs, overwrite=overwrite, resume=resume) as folder:
        skipped: list[Skipped] = []
        parts: list[list[_Spoken]] = []
        for number, part in enumerate((train_rows, dev_rows)):
            begin, end = (_LOADING * (number + side) / 2 for side in (0, 1))
            pairs, unusable = load_utterances(
                part,
                plan.streams,
                cache_dir=cache_dir,
                jobs=jobs,
                progress=callbacks.part(begin, end).progress,
            )
            usable, too_short = _with_targets(pairs, alphabet)
            unusable += too_short
            parts.append(usable)
            skipped += unusable
            if not parts[-1]:
                raise ParameterError(
                    f"none of the {len(part)} clips of {part.path} in split "
                    f"{part.rows[0].split!r} can be used: {unusable[0].reason}"
                )
        vocabulary = sorted({word for one in parts[0] for word in one.text.split()})
        train, dev = ([_with_numbers(one, vocabulary) for one in part] for part in parts)
        corpus = Corpus(train, dev, skipped, {"by_sentence": by_sentence})
        settings = RecognizerSettings(
            **plan.shape(),
            characters=alphabet.characters,
            vocabulary=tuple(vocabulary),
            word_rows=any(one.words for one in train),
        )
        test = SpeechTest(
            corpus.dev,
            settings,
            _conditions(corpus.train, settings),
            batch_size=plan.loop.batch_size,
            seed=plan.loop.seed,
        )

        def finish(model: Recognizer) -> None:
            cases = [
                Case.of(one.row, one.utterance, one.transcript, settings) for one in parts[1]
            ]
            write_calibration(calibrate(model.eval(), cases, seed=plan.loop.seed), folder)

        return train_recognizer(
            "speech",
            settings,
            corpus,
            test,
            plan,
            folder,
            training_noises(corpus.train, plan.voices, plan.recordings),
            resume=resume,
            finish=finish,
            callbacks=callbacks.part(_LOADING, 1.0),
        )


def _with_words(part: Manifest) -> Manifest:
    rows = tuple(row for row in part.rows if row.transcript is not None or row.text)
    if not rows:
        raise ParameterError(
            f"none of the {len(part)} rows of {part.path} with split={part.rows[0].split} "
            "has words",
            "fill the column 'transcript' or 'text'",
        )
    return Manifest(part.path, rows)


@dataclass(frozen=True, slots=True)
class _Spoken:
    """An utterance, where it is from, and what is said in it."""

    row: ManifestRow
    utterance: Utterance
    transcript: Transcript

    @property
    def text(self) -> str:
        return self.transcript.text


def _with_targets(
    pairs: list[tuple[ManifestRow, Utterance]], alphabet: Alphabet
) -> tuple[list[_Spoken], list[Skipped]]:
    """Give utterances their words; those too short for them can never be learnt."""
    usable, too_short = [], []
    for row, utterance in pairs:
        transcript = spell_row(row, utterance.name, alphabet)
        text = transcript.text
        # CTC needs a blank between equal characters.
        needed = len(text) + sum(one == other for one, other in pairwise(text))
        if utterance.rows < needed:
            reason = f"{utterance.rows} rows are too few for {len(text)} characters"
            too_short.append(Skipped(utterance.name, reason))
            continue
        targeted = replace(utterance, text=text, tokens=alphabet.encode(text))
        usable.append(_Spoken(row, targeted, transcript))
    return usable, too_short


def _with_numbers(spoken: _Spoken, vocabulary: Sequence[str]) -> Utterance:
    """Give an utterance the times of its words, by number; unknown words count as silence."""
    if not (spoken.transcript.words and spoken.transcript.has_times):
        return spoken.utterance
    number = {word: index for index, word in enumerate(vocabulary, start=1)}
    words = tuple(
        (word.start_s, word.end_s, number.get(word.text, 0))
        for word in spoken.transcript.words
        if word.start_s is not None and word.end_s is not None
    )
    return replace(spoken.utterance, words=words)


def _conditions(corpus: list[Utterance], settings: RecognizerSettings) -> tuple[Condition, ...]:
    conditions = [Condition("all")]
    babble = training_babble(corpus, TEST_VOICES)
    if babble is not None:
        conditions.append(Condition("all_0dB", (), babble, TEST_SNR_DB))
    if len(settings.streams) > 1:
        conditions += [Condition(name, (name,)) for name in sorted(settings.streams)]
    return tuple(conditions)
