"""Training of the shared space: contrast the true lag with all other lags and with other sound.

The loss is InfoNCE over time shifts: a window's evidence for every lag goes
through a softmax in which the true lag must win. A further candidate, "no
match", must win for the sound of another window. Clips are not trusted to be
in sync: their own lags are measured again and again with the model as it is,
and the mean over speakers anchors the zero.
"""

from __future__ import annotations

import copy
import multiprocessing
import os
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.align import gather_evidence
from avalign.align.lag import sub_row_peak
from avalign.audio.mel import MfccSettings, dct_basis
from avalign.data.clips import load_clip
from avalign.data.manifest import ManifestRow, read_manifest
from avalign.errors import AvalignError, MediaError, MissingDependencyError, ParameterError
from avalign.space.settings import SpaceSettings
from avalign.train.augment import Augmentation, Batch, draw_batch
from avalign.train.corpus import (
    Corpus,
    TrainingClip,
    speaker_balanced_mean,
    training_clip,
)
from avalign.types import FeatureStream

try:
    import torch

    from avalign.space.network import SpaceNetwork, lag_scores, to_model
except (ImportError, OSError) as error:
    raise MissingDependencyError(
        f"training needs torch, which does not load: {error}", 'pip install "avalign[torch]"'
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from avalign.space.model import SpaceModel

__all__ = ["TrainingPlan", "fit_space", "load_corpus_clips", "train_space"]

# Half width of the band of lags in training, in rows of 20 ms.
REACH = 50
# A clip's own lag is looked for within this.
OWN_LAG_S = 0.2
MASS_CLIPS = 50


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Everything training may be told besides the data.

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
    shares : dict of str to float
        Share of the windows from each group of clips. Hundreds of sentences of
        one speaker teach that speaker: at a quarter of the windows they cost 3
        points within 40 ms on strangers at 5 s, so they get none.
    augmentation : Augmentation
        How windows are disturbed.
    settings : SpaceSettings
        Shape of the encoders.
    seed : int
        Same seed, same weights.
    """

    members: int = 8
    steps: int = 1200
    batch: int = 32
    lengths: tuple[int, ...] = (25, 30, 40, 50, 60, 75)
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    dropout: float = 0.2
    tolerance_rows: float = 1.0
    remeasure_every: int = 200
    shares: dict[str, float] = field(
        default_factory=lambda: {"natural": 0.85, "read": 0.15, "mass": 0.0}
    )
    augmentation: Augmentation = field(default_factory=Augmentation)
    settings: SpaceSettings = field(default_factory=SpaceSettings)
    seed: int = 0


def train_space(
    manifest: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    plan: TrainingPlan | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[float], None] | None = None,
) -> SpaceModel:
    """Train the shared space on a manifest and write weights and calibration.

    Rows of the split ``train`` with ``weights_ok`` are learnt from. The split
    ``dev`` sets two things only: the zero of lags (the mean own lag over the
    speakers of all ``in_sync`` clips, train and dev) and the calibration, which
    is written beside the weights.

    Parameters
    ----------
    manifest : path-like
        CSV or Parquet, one row per clip.
    output : path-like
        The ``.safetensors`` file to write.
    plan : TrainingPlan, optional
        How to train; default as the shipped weights were.
    cache_dir : path-like, optional
        Where extracted clips are kept.
    overwrite : bool, optional
        Replace `output`.
    progress : callable, optional
        Told the share that is done.

    Returns
    -------
    SpaceModel
        The model.

    Raises
    ------
    ParameterError
        If the manifest holds nothing to learn from.
    MediaError
        If `output` cannot be written.
    MissingDependencyError
        If torch is missing.
    """
    from avalign.media import atomic_output
    from avalign.space.model import save_model
    from avalign.train.calibration import fit_calibration

    plan = TrainingPlan() if plan is None else plan
    output = Path(output)
    if output.exists() and not overwrite:
        # Said now rather than after minutes of training.
        raise MediaError(f"{output} exists already", "use -y to overwrite it")
    tell = progress or (lambda _: None)
    table = read_manifest(manifest)
    clips = load_corpus_clips(
        table.select(split="train", weights_ok=True).rows,
        plan.shares,
        cache_dir=cache_dir,
        progress=lambda f: tell(0.2 * f),
    )
    anchors = load_corpus_clips(
        table.select(split="dev", weights_ok=True, role="in_sync").rows,
        plan.shares,
        cache_dir=cache_dir,
        progress=lambda f: tell(0.2 + 0.1 * f),
    )
    model = fit_space(clips, plan, anchors=anchors, progress=lambda f: tell(0.3 + 0.6 * f))
    calibration = fit_calibration(
        model,
        table.select(split="dev").rows,
        cache_dir=cache_dir,
        seed=plan.seed,
        progress=lambda f: tell(0.9 + 0.1 * f),
    )
    with atomic_output(output, overwrite) as temporary:
        save_model(model, temporary)
    with atomic_output(output.with_name("calibration.json"), overwrite) as temporary:
        Path(temporary).write_text(calibration.to_json(), encoding="utf-8")
    return model


def load_corpus_clips(
    rows: Sequence[ManifestRow],
    shares: Mapping[str, float],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[TrainingClip]:
    """Extract what can be learnt from; clips without sound or face are passed over.

    Parameters
    ----------
    rows : sequence of ManifestRow
        Rows of a manifest; roles of talking faces are used.
    shares : mapping of str to float
        Share of each group; clips of groups without one are left out.
    cache_dir : path-like, optional
        Where extracted clips are kept.
    progress : callable, optional
        Told the share that is done.

    Returns
    -------
    list of TrainingClip
        The clips in the order of `rows`.
    """
    roles = {"in_sync", "in_sync_unverified", "suspected_dubbed"}
    rows = [row for row in rows if row.role in roles]
    count = Counter(row.speaker for row in rows)
    clips = []
    for number, row in enumerate(rows):
        mass = count[row.speaker] >= MASS_CLIPS
        group = "mass" if mass else "read" if row.dataset == "grid" else "natural"
        if not shares.get(group):
            continue
        try:
            source = load_clip(row.path, cache_dir=cache_dir)
        except AvalignError:
            continue
        anchors = row.role == "in_sync" and not mass
        clip = training_clip(source, row.path.name, row.speaker, group, anchors=anchors)
        if clip is not None:
            clips.append(clip)
        if progress:
            progress((number + 1) / len(rows))
    return clips


def fit_space(
    clips: Sequence[TrainingClip],
    plan: TrainingPlan,
    *,
    anchors: Sequence[TrainingClip] = (),
    jobs: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> SpaceModel:
    """Train all members and anchor the zero of lags.

    Parameters
    ----------
    clips : sequence of TrainingClip
        What to learn from.
    plan : TrainingPlan
        How to learn.
    anchors : sequence of TrainingClip, optional
        Clips not to learn from, but whose own lags take part in the zero.
    jobs : int, optional
        Members trained at a time, each on one core; default all cores. The
        result does not depend on it.
    progress : callable, optional
        Told the share that is done.

    Returns
    -------
    SpaceModel
        The ensemble.

    Raises
    ------
    ParameterError
        If there are no clips.
    """
    if not clips:
        raise ParameterError(
            "no clip to learn from", "give the manifest rows with split=train and role=in_sync"
        )
    corpus = Corpus(clips, plan.shares)
    tell = progress or (lambda _: None)
    jobs = min(jobs or os.cpu_count() or 1, plan.members)
    members = (_train_here if jobs == 1 else _train_in_pool)(corpus, plan, jobs, tell)
    model = to_model(members)
    anchors = [*clips, *anchors]
    lags_s = np.array([own_lag_s(model, clip) for clip in anchors])
    return to_model(members, speaker_balanced_mean(anchors, lags_s))


def own_lag_s(model: SpaceModel, clip: TrainingClip) -> float:
    """Lag a clip has by itself, as a model sees it.

    Parameters
    ----------
    model : SpaceModel
        The model.
    clip : TrainingClip
        The clip.

    Returns
    -------
    float
        Lag in seconds, within plus and minus 0.2 s of the model's zero.
    """
    basis = _mfcc_basis(model.settings.audio_columns)
    times_s = np.arange(len(clip.heard)) / model.settings.audio_rate_hz
    mfcc = FeatureStream(clip.log_mel @ basis, times_s, clip.heard, "mfcc")
    times_s = np.arange(len(clip)) / model.settings.rate_hz
    lips = FeatureStream(clip.lips, times_s, clip.seen, "lips")
    evidence = gather_evidence(model.embed_audio(mfcc), model.embed_lips(lips), OWN_LAG_S)
    total = evidence.total
    return sub_row_peak(evidence.lags_s, total, int(np.argmax(total)))


def _train_here(
    corpus: Corpus, plan: TrainingPlan, _: int, progress: Callable[[float], None]
) -> list[SpaceNetwork]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        members = []
        for member in range(plan.members):

            def tell(done: float, member: int = member) -> None:
                progress((member + done) / plan.members)

            members.append(_Trainer(corpus, plan, member).run(tell))
        return members
    finally:
        torch.set_num_threads(threads)


def _train_in_pool(
    corpus: Corpus, plan: TrainingPlan, jobs: int, progress: Callable[[float], None]
) -> list[SpaceNetwork]:
    # Spawned, because a fork would inherit torch's threads in an undefined state.
    context = multiprocessing.get_context("spawn")
    done = context.Array("d", plan.members)
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_share_progress, initargs=(done,)
    ) as pool:
        futures = [
            pool.submit(_train_member, corpus, plan, member) for member in range(plan.members)
        ]
        while wait(futures, timeout=0.5, return_when=FIRST_EXCEPTION).not_done:
            progress(sum(done[:]) / plan.members)
            if any(future.done() and future.exception() for future in futures):
                pool.shutdown(cancel_futures=True)
        return [future.result() for future in futures]


# In a worker process: the share that each member has done, for the parent to see.
_done: Any = None


def _share_progress(done: Any) -> None:
    global _done
    _done = done
    torch.set_num_threads(1)


def _train_member(corpus: Corpus, plan: TrainingPlan, member: int) -> SpaceNetwork:
    def tell(share: float) -> None:
        _done[member] = share

    return _Trainer(corpus, plan, member).run(tell)


class _Trainer:
    """Trains one member."""

    def __init__(self, corpus: Corpus, plan: TrainingPlan, member: int) -> None:
        seed = 1000 * plan.seed + member
        torch.manual_seed(seed)
        self.corpus, self.plan = corpus, plan
        self.random = np.random.default_rng(seed)
        self.basis = torch.as_tensor(_mfcc_basis(plan.settings.audio_columns))
        components, lip_scale = corpus.lip_components(plan.settings.lip_components)
        audio_scale = corpus.mfcc_scale(self.basis.numpy())
        self.network = SpaceNetwork(
            plan.settings, components, lip_scale, audio_scale, dropout=plan.dropout
        )
        # What is kept is the running mean of the parameters (Polyak averaging).
        self.average = copy.deepcopy(self.network).eval()
        self.own_lag_rows = np.zeros(len(corpus.clips))
        self.lags = torch.arange(-REACH, REACH + 1).float()

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
            torch.as_tensor(batch.heard),
            torch.as_tensor(batch.lips),
            torch.as_tensor(batch.seen),
        )
        count = len(batch.lag_rows)
        other = int(self.random.integers(1, count))
        matched = self.with_no_match(lag_scores(audio, lips, REACH))
        foreign = self.with_no_match(lag_scores(audio.roll(other, 0), lips, REACH))
        distance = self.lags - torch.as_tensor(batch.lag_rows)[:, None]
        target = torch.softmax(-0.5 * (distance / self.plan.tolerance_rows) ** 2, dim=1)
        return -(target * matched[:, :-1]).sum(dim=1).mean() - foreign[:, -1].mean()

    def with_no_match(self, scores: torch.Tensor) -> torch.Tensor:
        """Log posterior of every lag and, last, of no match."""
        null = self.network.no_match + float(np.log(scores.shape[1]))
        return torch.log_softmax(torch.cat([scores, null.expand(len(scores), 1)], dim=1), dim=1)

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
            lags_s[clip] = own_lag_s(model, self.corpus.clips[clip])
        if len(sampled):
            # One speaker, one recorder, one lag.
            lags_s[mass] = np.median(lags_s[sampled])
        self.own_lag_rows = (
            lags_s - speaker_balanced_mean(self.corpus.clips, lags_s)
        ) * rate_hz


def _mfcc_basis(columns: int) -> NDArray[np.float32]:
    """Cosine transform from log-mel bands to the first MFCCs, shape (bands, columns)."""
    return dct_basis(columns, MfccSettings().n_mels).T.astype(np.float32)
