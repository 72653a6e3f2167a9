"""A run of training in the tiny world, also as a process of its own that may be killed.

``python training.py FOLDER [KILL_AFTER [-y]]`` trains, and dies by SIGKILL after so many steps;
started by torchrun's environment variables it trains as one process of several.
"""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from recognition import LABELS, STREAMS, settings, utterance

from avalign.recognition.evaluation.conditions import Condition
from avalign.recognition.evaluation.dev_tests import EmotionTest, SpeechTest
from avalign.recognition.material.augmentation import CLEAN, UtteranceAugmentation
from avalign.recognition.material.voices import training_noises
from avalign.train.recognizer.plans import LoopPlan, RecognizerPlan, TrainingCallbacks
from avalign.train.recognizer.run_folder import run_folder
from avalign.train.recognizer.training import Corpus, train_recognizer

LOOP = LoopPlan(
    epochs=2,
    batch_size=4,
    learning_rate=5e-3,
    patience=9,
    test_every=1,
    checkpoint_every=2,
    seed=3,
)


def corpus(train=11, dev=3, **options):
    return Corpus(
        [utterance(number, label=number % len(LABELS), **options) for number in range(train)],
        [utterance(100 + number, label=number % len(LABELS)) for number in range(dev)],
        [],
    )


def run(folder, *, augmentation=None, loop=LOOP, data=None, callbacks=None, task=None, **more):
    """Train on the tiny world; dropout and noise are on unless told otherwise."""
    torch.set_num_threads(1)
    data = data or corpus()
    resume = more.pop("resume", False)
    streams = more.pop("streams", STREAMS)
    plan = RecognizerPlan(
        fusion=more.pop("fusion", "early"),
        streams=streams,
        width=8,
        dropout=more.pop("dropout", 0.2),
        voices=2,
        augmentation=augmentation or UtteranceAugmentation(),
        loop=loop,
        device="cpu",
        **more,
    )
    shape = replace(
        settings(streams=streams), width=8, dropout=plan.dropout, fusion=plan.fusion
    )
    conditions, sizes = [Condition("all")], {"batch_size": 4, "seed": 0}
    if task == "emotion":
        shape = replace(shape, characters="", labels=LABELS)
        test = EmotionTest(data.dev, shape, conditions, **sizes)
    else:
        test = SpeechTest(data.dev, shape, conditions, **sizes)
    Path(folder).mkdir(exist_ok=True)
    return train_recognizer(
        task or "speech",
        shape,
        data,
        test,
        plan,
        Path(folder),
        training_noises(data.train, plan.voices, plan.recordings),
        resume=resume,
        callbacks=callbacks,
    )


def main():
    folder, kill_after = sys.argv[1], int((*sys.argv[2:], "0")[0])
    seen = []

    def progress(done):
        seen.append(done)
        if len(seen) == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    if "WORLD_SIZE" in os.environ:
        # Dropout would be drawn for other items; 11 utterances make a last part of one.
        run(folder, augmentation=replace(CLEAN, noise_share=0.5), dropout=0.0)
        return
    overwrite = "-y" in sys.argv
    with run_folder(folder, inputs=(), overwrite=overwrite, resume=not overwrite) as work:
        run(work, callbacks=TrainingCallbacks(progress=progress))


if __name__ == "__main__":
    main()
