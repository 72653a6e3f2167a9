"""Training of the shared space on a planted world, where the answer is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from avalign.align import gather_evidence, load_calibration, rigid_alignment  # noqa: E402
from avalign.data.rows import ManifestRow  # noqa: E402
from avalign.errors import MediaError, ParameterError  # noqa: E402
from avalign.space import EncoderSettings, SpaceSettings  # noqa: E402
from avalign.train.space.augmentation import WindowAugmentation, draw_batch  # noqa: E402
from avalign.train.space.calibration import Trial, cross_validate, fit_to_trials  # noqa: E402
from avalign.train.space.corpus import Corpus, TrainingClip  # noqa: E402
from avalign.train.space.trainer import SpacePlan, clip_own_lag_s, train_members  # noqa: E402
from avalign.train.space.training import fit_space, load_corpus_clips, train_space  # noqa: E402
from avalign.types import Alignment, FeatureStream, LagCurve  # noqa: E402

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
FRACTIONS = {"natural": 0.7, "read": 0.3}
EVEN = np.full(3, 1 / 3)
STILL = WindowAugmentation(
    speed=0.0,
    vocal_tract=0.0,
    noise_fraction=0.0,
    babble_fraction=0.0,
    echo_fraction=0.0,
    mirror_fraction=0.0,
    affine=0.0,
    jitter=0.0,
    low_rate_fraction=0.0,
    lost_fraction=0.0,
)


def planted_clip(seed, rows=400, lag_rows=0, speaker=None, group="natural"):
    """Move lips and sound by the same two smooth latents, the sound late by `lag_rows`."""
    world = np.random.default_rng(99)
    to_lips, to_bands = world.normal(size=(2, 123)), 8 * world.normal(size=(2, 40))
    random = np.random.default_rng(seed)
    white = random.normal(size=(rows + 200, 2))
    smooth = np.stack([np.convolve(column, np.ones(6) / 2.4, "same") for column in white.T], 1)
    time = np.arange(2 * rows) / 2 - lag_rows + 100
    audio = np.stack([np.interp(time, np.arange(len(smooth)), c) for c in smooth.T], 1)
    lips = 0.03 * smooth[100 : 100 + rows] @ to_lips
    return TrainingClip(
        name=f"clip{seed}",
        speaker=speaker or f"speaker{seed}",
        group=group,
        anchors=True,
        log_mel=(audio @ to_bands - 40 + random.normal(size=(2 * rows, 40))).astype(np.float32),
        audio_valid=np.ones(2 * rows, bool),
        speech=np.ones(2 * rows, np.float32),
        lips=(lips + 0.002 * random.normal(size=lips.shape)).astype(np.float32),
        lips_valid=np.ones(rows, bool),
    )


def small_plan(**changes):
    settings = SpaceSettings(
        lip_components=4,
        channels=16,
        dimensions=6,
        audio=EncoderSettings((5, 3), (1, 1), stride=2),
        lips=EncoderSettings((3, 3), (1, 1)),
    )
    plan = {"members": 1, "steps": 120, "batch": 14, "lengths": (40,), "fractions": FRACTIONS}
    return SpacePlan(**{**plan, "settings": settings, "remeasure_every": 30, **changes})


@pytest.fixture(scope="module")
def planted_model():
    clips = [planted_clip(seed) for seed in range(6)]
    return fit_space(clips, small_plan())


@pytest.mark.slow
def test_windows_hold_the_lag_they_say():
    """With nothing disturbed, the sound of a window is the lips' latent, moved by the lag."""
    clips = [planted_clip(seed) for seed in range(3)]
    corpus = Corpus(clips)
    batch = draw_batch(corpus, EVEN, 12, 80, np.zeros(3), STILL, np.random.default_rng(0))
    assert len(batch.lag_rows) > 6
    for sound, audio_valid, lips, lag in zip(
        batch.log_mel, batch.audio_valid, batch.lips, batch.lag_rows, strict=True
    ):
        best = max(range(-40, 41), key=lambda shift: fit_at(sound, audio_valid, lips, shift))
        assert abs(best - lag) <= 1.0


def fit_at(sound, audio_valid, lips, shift):
    """Say how well the sound, moved back by `shift` rows, explains the lips, per row."""
    rows = np.arange(len(lips))
    rows = rows[(rows + shift >= 0) & (rows + shift < len(lips))]
    rows = rows[audio_valid[2 * (rows + shift)]]
    if len(rows) < 20:
        return -1.0
    bands = sound[2 * (rows + shift)]
    bands = bands - bands.mean(0)
    target = lips[rows] - lips[rows].mean(0)
    _, _, axes = np.linalg.svd(bands, full_matrices=False)
    latent = bands @ axes[:2].T
    solution, *_ = np.linalg.lstsq(latent, target, rcond=None)
    return 1 - ((target - latent @ solution) ** 2).sum() / (target**2).sum()


def test_each_group_has_its_fraction_and_none_that_is_not_asked_for():
    groups = ["natural", "natural", "read", "mass", "mass", "mass"]
    clips = [planted_clip(seed, group=group) for seed, group in enumerate(groups)]
    corpus, groups = Corpus(clips), np.array(groups)
    early = corpus.probabilities({"natural": 0.4, "read": 0.1, "mass": 0.5})
    late = corpus.probabilities({"natural": 0.4, "read": 0.1})
    assert [early[groups == group].sum() for group in ("natural", "read", "mass")] == (
        pytest.approx([0.4, 0.1, 0.5])
    )
    assert [late[groups == group].sum() for group in ("natural", "read", "mass")] == (
        pytest.approx([0.8, 0.2, 0.0])
    )


def test_a_mass_of_one_speaker_alone_is_nothing_to_learn_from():
    clips = [planted_clip(seed, group="mass") for seed in range(3)]
    with pytest.raises(ParameterError, match="no clip to learn from"):
        fit_space(clips, small_plan())


def test_disturbed_windows_keep_their_shapes_and_stay_finite():
    corpus = Corpus([planted_clip(seed) for seed in range(3)])
    batch = draw_batch(
        corpus, EVEN, 20, 50, np.zeros(3), WindowAugmentation(), np.random.default_rng(1)
    )
    count = len(batch.lag_rows)
    assert batch.log_mel.shape == (count, 100, 40)
    assert batch.lips.shape == (count, 50, 123)
    assert batch.audio_valid.shape == (count, 100)
    assert np.isfinite(batch.log_mel).all()
    assert np.isfinite(batch.lips).all()
    assert (np.abs(batch.lag_rows) <= 40.001).all()


@pytest.mark.parametrize("range_db", [0.0, 20.0])
def test_other_voices_are_added_at_the_level_they_are_said_to_have(range_db):
    corpus = Corpus([planted_clip(seed) for seed in range(3)])
    babble = replace(STILL, babble_fraction=1.0, babble_range_db=range_db)
    alone, mixed = (
        draw_batch(corpus, EVEN, 20, 50, np.zeros(3), world, np.random.default_rng(1))
        for world in (STILL, babble)
    )
    power, total = (
        np.where(batch.audio_valid[..., None], 10 ** (batch.log_mel / 10), 0).sum(axis=(1, 2))
        for batch in (alone, mixed)
    )
    assert (mixed.log_mel >= alone.log_mel - 1e-3).all()
    snr_db = 10 * np.log10(power / (total - power))
    # Voices may fall where the window has no sound of its own.
    assert (snr_db > -0.1).all()
    assert np.median(snr_db) < range_db + 3
    if range_db:
        assert np.ptp(snr_db) > 8


@pytest.mark.slow
def test_a_trained_model_finds_the_lag_of_a_clip_it_has_not_seen(planted_model):
    clip = planted_clip(50, lag_rows=7)
    assert clip_own_lag_s(
        planted_model, clip
    ) - planted_model.settings.zero_lag_s == pytest.approx(0.140, abs=0.010)


@pytest.mark.slow
def test_foreign_sound_is_no_match(planted_model):
    known, other = planted_clip(60), planted_clip(61)
    from avalign.audio.mel import dct_basis

    def evidence(clip):
        mfcc = clip.log_mel @ dct_basis(13, 40).T.astype(np.float32)
        times_s = np.arange(len(mfcc)) / 100
        audio = planted_model.embed_audio(
            FeatureStream(mfcc, times_s, clip.audio_valid, "mfcc")
        )
        times_s = np.arange(len(known)) / 50
        lips = planted_model.embed_lips(
            FeatureStream(known.lips, times_s, known.lips_valid, "lips")
        )
        return rigid_alignment(
            gather_evidence(audio, lips, 1.0),
            no_match=planted_model.settings.no_match,
            zero_lag_s=planted_model.settings.zero_lag_s,
            speech_s=5.0,
            calibration=load_calibration(),
        ).diagnostics["match_log_odds"]

    assert evidence(known) > 5
    assert evidence(other) < -3


@pytest.mark.slow
def test_zero_is_the_mean_over_speakers_not_over_clips():
    """Three clips of a speaker 60 ms late against one of another in sync: zero lies midway."""
    clips = [planted_clip(seed, lag_rows=3, speaker="a") for seed in range(3)]
    clips.append(planted_clip(9, lag_rows=0, speaker="b"))
    model = fit_space(clips, small_plan())
    late = clip_own_lag_s(model, clips[0]) - model.settings.zero_lag_s
    early = clip_own_lag_s(model, clips[3]) - model.settings.zero_lag_s
    assert late - early == pytest.approx(0.060, abs=0.012)
    assert late + early == pytest.approx(0.0, abs=0.012)


def test_same_seed_same_weights():
    clips = [planted_clip(seed) for seed in range(2)]
    first, second, other = (
        fit_space(clips, small_plan(steps=6, seed=seed)).weights["0.lips.0.weight"]
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("space.npz", ParameterError),
        ("gone/space.safetensors", MediaError),
        ("old/new.safetensors", MediaError),  # a calibration lies beside it
    ],
)
def test_weights_that_cannot_be_written_are_told_before_training(name, error, tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "calibration.json").write_text("{}")
    (tmp_path / "manifest.csv").write_text("path\n")
    with pytest.raises(error, match=r"gone|needs the ending|calibration.json: exists"):
        train_space(tmp_path / "manifest.csv", tmp_path / name)


@pytest.mark.slow
def test_spans_are_learnt_from_apart_and_what_cannot_be_used_is_told(tmp_path):
    video = SAMPLES / "talking.mp4"
    told = []
    clips = load_corpus_clips(
        [
            ManifestRow(video, speaker="a", role="in_sync", end_s=3.0),
            ManifestRow(SAMPLES / "no-face.mp4", speaker="b", role="in_sync"),
            ManifestRow(video, speaker="a", role="in_sync", start_s=3.0),
            ManifestRow(tmp_path / "gone.mp4", speaker="c", role="in_sync"),
            ManifestRow(video, speaker="a", role="negative_no_speech"),
        ],
        {"natural"},
        cache_dir=tmp_path / "cache",
        jobs=1,
        left_out=told.append,
    )
    assert [len(clip) / 50 for clip in clips] == pytest.approx([3.0, 5.0], abs=0.1)
    assert not np.allclose(clips[0].lips[:50], clips[1].lips[:50])
    assert len(told) == 2
    assert "no-face.mp4: shows a face for too short a time" in told[0]
    assert "gone.mp4" in told[1]


def test_nothing_to_learn_from_is_said():
    with pytest.raises(ParameterError, match="no clip"):
        fit_space([], small_plan())


def trials(count, seed=0):
    """Draw trials whose posterior is too sure by a known factor in log odds.

    Estimates that are right miss by a normal error of 4 ms; their evidence says 8 ms.
    """
    random = np.random.default_rng(seed)
    log_odds = random.uniform(-3, 6, count)
    right = random.random(count) < 1 / (1 + np.exp(-0.5 * log_odds))
    lags_s = np.arange(-50, 51) / 50
    curve = LagCurve(lags_s, -0.5 * (lags_s / 0.008) ** 2, np.full(101, 1 / 101))
    errors_s = np.where(right, random.normal(0, 0.004, count), 0.3)
    return [
        Trial(f"speaker{i % 9}", 5.0, estimate(1 / (1 + np.exp(-odds)), curve), error_s)
        for i, (odds, error_s) in enumerate(zip(log_odds, errors_s, strict=True))
    ]


def estimate(mass, curve, match_log_odds=1.0):
    nothing = FeatureStream(np.zeros((0, 1), np.float32), np.zeros(0), np.zeros(0, bool), "x")
    return Alignment(
        audio_lag_s=0.0,
        interval_s=(0.0, 0.0),
        confidence=0.5,
        at_edge=False,
        path=np.zeros((0, 2), np.int32),
        curve=curve,
        agreement=nothing,
        speech_s=5.0,
        diagnostics={
            "mass_within_40_ms": mass,
            "match_log_odds": match_log_odds,
            "overlap_s": 4.0,
        },
    )


@pytest.mark.slow
def test_calibration_recovers_how_much_too_sure_the_posterior_is():
    fitted = fit_to_trials(trials(4000))
    assert fitted.lag_weight == pytest.approx(0.5, abs=0.06)
    # Half of 4 ms normal errors are below 0.6745 deviations.
    assert fitted.smallest_half_width_s == pytest.approx(0.0027, abs=0.0004)
    confidences = cross_validate(trials(900, seed=1))
    outcomes = np.array([trial.correct for trial in trials(900, seed=1)])
    for low in (0.2, 0.4, 0.6, 0.8):
        inside = (confidences >= low) & (confidences < low + 0.2)
        assert outcomes[inside].mean() == pytest.approx(confidences[inside].mean(), abs=0.1)


@pytest.mark.slow
def test_calibration_learns_from_foreign_sound_what_a_match_is_and_nothing_about_lags():
    own = trials(2000)
    random = np.random.default_rng(1)
    mixed = []
    for trial in own:
        match = random.uniform(0, 5)
        curve = trial.found.curve
        if random.random() < 1 / (1 + np.exp(-1.5 * (match - 2.5))):
            mass = trial.found.diagnostics["mass_within_40_ms"]
            found, error_s = estimate(mass, curve, 2 * match), trial.error_s
        else:
            found, error_s = estimate(0.9999, curve, 2 * match), np.inf
        mixed.append(Trial(trial.speaker, trial.length_s, found, error_s))
    fitted = fit_to_trials(mixed)
    # The log odds are twice the feature, as 4 s of overlap have a root of 2.
    assert fitted.match_weight == pytest.approx(1.5, abs=0.15)
    assert fitted.lag_weight == pytest.approx(0.5, abs=0.08)
    # Four in a hundred are held to be foreign, not the half that the trials are.
    assert fitted.match_probability(5.0, 4.0) == pytest.approx(0.96, abs=0.01)
    without = fit_to_trials(own)
    assert without.match_probability(1.0, 4.0) > 0.99


def test_too_few_trials_are_refused():
    with pytest.raises(ParameterError, match="too few"):
        fit_to_trials(trials(5))


@pytest.mark.slow
def test_members_trained_side_by_side_equal_those_trained_in_turn():
    corpus = Corpus([planted_clip(seed) for seed in range(6)])
    plan = small_plan(members=2, steps=60)
    told: list[float] = []
    here, beside = (train_members(corpus, plan, jobs, told.append) for jobs in (1, 2))
    assert told
    for one, other in zip(here, beside, strict=True):
        for name, value in one.state_dict().items():
            assert torch.equal(value, other.state_dict()[name]), name
