"""The training loop of the shared space: contrast the true lag with all others.

The loss is `avalign.space.learning.losses.lag_contrast`: a window's evidence for every lag goes
through a softmax in which the true lag must win. A further candidate, "no
match", must win for the sound of another window. Clips are not trusted to be
in sync: their own lags are measured again and again with the model as it is,
and the mean over speakers anchors the zero.
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from avalign.audio import MfccSettings, dct_basis
from avalign.processes import for_each
from avalign.space import (
    EncoderPair,
    EncoderSettings,
    SpaceNetwork,
    SpaceSettings,
    lag_contrast,
    lag_scores,
    to_model,
)
from avalign.train.space.augmentation import Batch, WindowAugmentation, draw_batch
from avalign.train.space.own_lag import own_lag_s, speaker_balanced_mean
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from avalign.space import SpaceModel
    from avalign.train.space.corpus import Corpus, TrainingClip

# Every second member sees 0.3 s of sound and 0.2 s of lips around a row, where the others
# see 0.56 and 0.36 s. Leaving speakers out, the short-sighted find more lags in windows of a
# second; alone, they were worse in long windows of the split dev.
SHORT_SIGHTED = EncoderPair(
    EncoderSettings((7, 5, 5), (1, 1, 2), stride=2), EncoderSettings((5, 3, 3), (1, 1, 2))
)
# Half width of the band of lags in training, in rows of 20 ms.
REACH = 50


@dataclass(frozen=True, slots=True)
class SpacePlan:
    """Settings of training, besides the data.

    Parameters
    ----------
    members : int
        Encoder pairs trained independently and averaged.
    steps : int
        Batches each member sees.
    batch : int
        Windows drawn for a batch.
    lengths : tuple of int
        Lengths of the windows in rows of 20 ms; a batch has one of them.
    learning_rate, weight_decay, dropout : float
        As usual; the rate rises and falls once (Smith and Topin 2019).
    tolerance_rows : float
        Deviation of the target lag, in rows.
    remeasure_every : int
        Steps between measurements of the clips' own lags.
    early : float
        Part of the steps, the first ones, in which windows are drawn by
        `early_fractions`, and by `fractions` afterwards.
    early_fractions, fractions : dict of str to float
        Fraction of the windows from each group of clips. Hundreds of sentences of
        one speaker are good to begin with, but to the end they would teach that
        speaker, at the cost of strangers.
    augmentation : WindowAugmentation
        How windows are disturbed.
    settings : SpaceSettings
        Shape of the encoders.
    seed : int
        Same seed, same weights.
    """

    members: int = 12
    steps: int = 1200
    batch: int = 32
    lengths: tuple[int, ...] = (25, 30, 40, 50, 60, 75)
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    dropout: float = 0.2
    tolerance_rows: float = 1.0
    remeasure_every: int = 200
    early: float = 0.4
    early_fractions: dict[str, float] = field(
        default_factory=lambda: {"natural": 0.425, "read": 0.075, "mass": 0.5}
    )
    fractions: dict[str, float] = field(default_factory=lambda: {"natural": 0.85, "read": 0.15})
    augmentation: WindowAugmentation = field(default_factory=WindowAugmentation)
    settings: SpaceSettings = field(
        default_factory=lambda: SpaceSettings(alternate=SHORT_SIGHTED)
    )
    seed: int = 0

    @property
    def groups(self) -> frozenset[str]:
        """Groups of clips that are drawn from at all."""
        fractions = [*self.early_fractions.items(), *self.fractions.items()]
        return frozenset(group for group, fraction in fractions if fraction > 0)


def train_members(
    corpus: Corpus, plan: SpacePlan, jobs: int, progress: Callable[[float], None]
) -> list[SpaceNetwork]:
    """Train all members, `jobs` at a time on one core each; the result is the same."""
    if jobs == 1:
        return _train_here(corpus, plan, progress)
    return _train_in_pool(corpus, plan, jobs, progress)


def clip_own_lag_s(model: SpaceModel, clip: TrainingClip) -> float:
    """Measure the lag of a clip by itself, as `own_lag_s` does."""
    basis = _mfcc_basis(model.settings.audio_columns)
    times_s = np.arange(len(clip.audio_valid)) / model.settings.audio_rate_hz
    mfcc = FeatureStream(clip.log_mel @ basis, times_s, clip.audio_valid, "mfcc")
    times_s = np.arange(len(clip)) / model.settings.rate_hz
    return own_lag_s(model, mfcc, FeatureStream(clip.lips, times_s, clip.lips_valid, "lips"))


def anchored_mean(clips: Sequence[TrainingClip], lags_s: NDArray[np.float64]) -> float:
    """Average the lags float64 [clips] of those that anchor, by speaker; 0 s if none does."""
    anchors = [number for number, clip in enumerate(clips) if clip.anchors]
    return speaker_balanced_mean([clips[number].speaker for number in anchors], lags_s[anchors])


def _train_here(
    corpus: Corpus, plan: SpacePlan, progress: Callable[[float], None]
) -> list[SpaceNetwork]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        members = []
        for member in range(plan.members):

            def report_progress(done: float, member: int = member) -> None:
                progress((member + done) / plan.members)

            members.append(_Trainer(corpus, plan, member).run(report_progress))
        return members
    finally:
        torch.set_num_threads(threads)


def _train_in_pool(
    corpus: Corpus, plan: SpacePlan, jobs: int, progress: Callable[[float], None]
) -> list[SpaceNetwork]:
    # The fraction that each member has done, in a file for the parent to see.
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder, "done")
        np.zeros(plan.members).tofile(done)
        members: dict[int, SpaceNetwork] = {}
        for member, outcome in for_each(
            _train_member,
            [(corpus, plan, member, done) for member in range(plan.members)],
            jobs=jobs,
            caller="train_space",
            waiting=lambda: progress(float(np.fromfile(done).mean())),
        ):
            if isinstance(outcome, Exception):
                raise outcome
            members[member] = outcome
    return [members[member] for member in range(plan.members)]


def _train_member(job: tuple[Corpus, SpacePlan, int, Path]) -> SpaceNetwork:
    corpus, plan, member, done = job
    torch.set_num_threads(1)
    with done.open("r+b", buffering=0) as file:

        def report_progress(fraction: float) -> None:
            file.seek(member * 8)
            file.write(np.float64(fraction).tobytes())

        return _Trainer(corpus, plan, member).run(report_progress)


class _Trainer:
    """Trains one member."""

    def __init__(self, corpus: Corpus, plan: SpacePlan, member: int) -> None:
        seed = 1000 * plan.seed + member
        torch.manual_seed(seed)
        self.corpus, self.plan = corpus, plan
        self.random = np.random.default_rng(seed)
        self.basis = torch.as_tensor(_mfcc_basis(plan.settings.audio_columns))
        components, lip_scale = corpus.lip_components(plan.settings.lip_components)
        audio_scale = corpus.mfcc_scale(self.basis.numpy())
        self.network = SpaceNetwork(
            plan.settings.of_member(member),
            *(components, lip_scale, audio_scale),
            dropout=plan.dropout,
        )
        # What is kept is the running mean of the parameters (Polyak averaging).
        self.average = copy.deepcopy(self.network).eval()
        self.own_lag_rows = np.zeros(len(corpus.clips))
        self.early = corpus.probabilities(plan.early_fractions)
        self.late = corpus.probabilities(plan.fractions)

    def run(self, progress: Callable[[float], None]) -> SpaceNetwork:
        plan = self.plan
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, plan.learning_rate, total_steps=plan.steps, pct_start=0.1
        )
        self.network.train()
        for step in range(1, plan.steps + 1):
            length = int(self.random.choice(plan.lengths))
            batch = draw_batch(
                self.corpus,
                self.early if step <= plan.early * plan.steps else self.late,
                plan.batch,
                length,
                self.own_lag_rows,
                plan.augmentation,
                self.random,
            )
            if len(batch.lag_rows) > 3:
                optimizer.zero_grad()
                self.loss(batch).backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                optimizer.step()
            schedule.step()
            self.follow(min(0.995, step / (step + 20.0)))
            if step % plan.remeasure_every == 0 and step < plan.steps:
                self.remeasure()
            progress(step / plan.steps)
        return self.average

    def loss(self, batch: Batch) -> torch.Tensor:
        audio, lips = self.network.embed(
            torch.as_tensor(batch.log_mel) @ self.basis,
            torch.as_tensor(batch.audio_valid),
            torch.as_tensor(batch.lips),
            torch.as_tensor(batch.lips_valid),
        )
        other = int(self.random.integers(1, len(batch.lag_rows)))
        return lag_contrast(
            lag_scores(audio, lips, REACH),
            lag_scores(audio.roll(other, 0), lips, REACH),
            self.network.no_match,
            torch.as_tensor(batch.lag_rows),
            self.plan.tolerance_rows,
        )

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        for kept, new in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(new, 1.0 - decay)

    def remeasure(self) -> None:
        """Measure the clips' own lags again, with their anchored mean as zero."""
        model = to_model([self.average])
        rate_hz = model.settings.rate_hz
        groups = np.array([clip.group for clip in self.corpus.clips])
        lags_s = np.zeros(len(groups))
        mass = np.flatnonzero(groups == "mass")
        sampled = mass[:: max(1, len(mass) // 20)]
        for clip in [*np.flatnonzero(groups != "mass"), *sampled]:
            lags_s[clip] = clip_own_lag_s(model, self.corpus.clips[clip])
        if len(sampled):
            # One speaker, one recorder, one lag.
            lags_s[mass] = np.median(lags_s[sampled])
        self.own_lag_rows = (lags_s - anchored_mean(self.corpus.clips, lags_s)) * rate_hz


def _mfcc_basis(columns: int) -> NDArray[np.float32]:
    """Cosine transform from log-mel bands to the first MFCCs, shape (bands, columns)."""
    return dct_basis(columns, MfccSettings().n_mels).T.astype(np.float32)
