"""Training of recognisers: the same result however it is reached, and what stops it."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from recognition import LABELS, STREAMS, settings, utterance  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from training import LOOP, corpus, run  # noqa: E402

from avalign.errors import MediaError, NoAnswerError, ParameterError  # noqa: E402
from avalign.fusion import find_family, list_fusions  # noqa: E402
from avalign.recognition.evaluation.conditions import Condition, condition_batches  # noqa: E402
from avalign.recognition.material.augmentation import CLEAN, UtteranceAugmentation  # noqa: E402
from avalign.recognition.material.batches import BatchSource, make_batch  # noqa: E402
from avalign.recognition.material.noise import WhiteNoise, mix_at_snr  # noqa: E402
from avalign.recognition.material.utterances import aligned_sequence, find_frame_words  # noqa: E402
from avalign.recognition.model.files import load_model  # noqa: E402
from avalign.recognition.model.heads import Answers  # noqa: E402
from avalign.recognition.model.recognizer import Recognizer  # noqa: E402
from avalign.train.recognizer.objective import LossWeights, Objective, task_losses  # noqa: E402
from avalign.train.recognizer.plans import (  # noqa: E402
    LoopPlan,
    RecognizerPlan,
    TrainingCallbacks,
    known_streams,
)
from avalign.train.recognizer.run_folder import RUN_FILES, run_folder  # noqa: E402
from avalign.transcript import Transcript, Word, transcript_stream  # noqa: E402
from avalign.types import TimeWarp  # noqa: E402

SCRIPT = Path(__file__).with_name("training.py")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def start(folder, *arguments, **environment):
    return subprocess.Popen(
        [sys.executable, SCRIPT, folder, *map(str, arguments)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def same_weights(folder, other, **tolerance):
    ours, theirs = (load_file(one / "model.safetensors") for one in (folder, other))
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        torch.testing.assert_close(weights, theirs[name], **{"atol": 0, "rtol": 0, **tolerance})


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [5])
def test_a_killed_run_goes_on_to_the_same_bits(whole_run, tmp_path, kill_after):
    """Killed in the second epoch, two steps past a checkpoint at most."""
    process = start(tmp_path, kill_after)
    _, words = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, words
    assert not (tmp_path / "run.json").exists()
    result = run(tmp_path, resume=True)
    same_weights(whole_run[0], tmp_path)
    for name in ("curves.csv", "model.json", "checkpoint.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole_run[0] / name).read_bytes(), name
    assert result.curves == whole_run[1].curves


@pytest.mark.slow
def test_two_processes_learn_what_one_does(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    (tmp_path / "two").mkdir()
    processes = [start(tmp_path / "two", RANK=str(rank), **together) for rank in range(2)]
    for process in processes:
        _, words = process.communicate(timeout=300)
        assert process.returncode == 0, words
    clean = replace(CLEAN, noise_share=0.5)
    run(tmp_path / "one", augmentation=clean, dropout=0.0)
    same_weights(tmp_path / "one", tmp_path / "two", atol=2e-5, rtol=1e-4)


def test_a_run_tells_what_it_did(whole_run):
    folder, result = whole_run
    facts = json.loads((folder / "run.json").read_text())
    assert facts["task"] == "speech"
    assert facts["data"]["train"] == 11
    assert facts["plan"]["loop"]["seed"] == 3
    assert facts["best_epoch"] == result.best_epoch + 1
    with (folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["train_loss"]) == pytest.approx(result.curves[1]["train_loss"], 1e-4)
    assert load_model(folder).settings == result.model.settings


def test_a_finished_run_is_not_run_again(whole_run, tmp_path):
    steps = []
    result = run(whole_run[0], resume=True, callbacks=TrainingCallbacks(progress=steps.append))
    assert steps == []
    assert result.best_score == whole_run[1].best_score


def test_a_run_with_other_settings_or_data_is_not_gone_on_with(whole_run):
    for changes, message in (
        ({"loop": replace(LOOP, learning_rate=1.0)}, r"plan\.loop\.learning_rate"),
        ({"data": corpus(train=10)}, r"data\.\w+"),
        ({"dropout": 0.5}, r"settings\.dropout"),
    ):
        with pytest.raises(ParameterError, match=f"run with {message} = "):
            run(whole_run[0], resume=True, **changes)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"\0" * 99)
    with pytest.raises(MediaError, match="cannot be read"):
        run(tmp_path, resume=True)


@pytest.mark.slow
def test_it_learns_what_there_is_to_learn(tmp_path):
    """Three feelings, three tones: unseen utterances are told apart."""
    data = corpus(train=0, dev=0)
    tones = dict(zip(range(3), "abc", strict=True))
    for part, count, first in ((data.train, 18, 0), (data.dev, 6, 100)):
        part += [
            utterance(first + number, text=4 * tones[number % 3], label=number % 3)
            for number in range(count)
        ]
    loop = LoopPlan(epochs=12, batch_size=6, learning_rate=1e-2, patience=12)
    result = run(tmp_path, data=data, loop=loop, task="emotion", augmentation=CLEAN)
    assert result.curves[result.best_epoch]["dev_uar_all"] == 1.0
    assert result.curves[-1]["train_classes"] < 0.3 * result.curves[0]["train_classes"]


def test_training_stops_when_dev_gets_no_better(tmp_path):
    """At a rate of next to nothing, the first epoch stays the best."""
    loop = replace(LOOP, epochs=9, batch_size=6, learning_rate=1e-12, patience=2)
    result = run(tmp_path, loop=loop, augmentation=CLEAN)
    assert (len(result.curves), result.best_epoch) == (3, 0)


@pytest.mark.parametrize(
    ("part", "why"), [("encoders", "not finite"), ("heads", "loss is nan")]
)
def test_what_is_no_number_stops_and_keeps_the_last_good_state(tmp_path, part, why):
    steps, trained = [], []

    def spoil(done):
        steps.append(done)
        if len(steps) == 5:
            for parameter in getattr(trained[0], part).parameters():
                parameter.data.fill_(torch.nan)

    forward = Objective.forward

    def watched(objective, batch):
        trained[:] = [objective.model]
        return forward(objective, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Objective, "forward", watched)
        with pytest.raises(NoAnswerError, match=rf"epoch 2, step 6 \(clip.*{why}.*last good"):
            run(tmp_path, callbacks=TrainingCallbacks(progress=spoil))
    kept = load_file(tmp_path / "checkpoint.safetensors")
    assert all(tensor.isfinite().all() for tensor in kept.values())
    assert load_model(tmp_path)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_learns_too(tmp_path, precision):
    loop = replace(LOOP, precision=precision, epochs=1)
    result = run(tmp_path, loop=loop, fusion="gmu")
    assert np.isfinite(result.curves[0]["train_loss"])
    assert next(result.model.parameters()).dtype == torch.float32


def test_tensorboard_gets_the_curves(tmp_path):
    pytest.importorskip("tensorboard")
    run(tmp_path, tensorboard=True, loop=replace(LOOP, epochs=1))
    assert list((tmp_path / "events").iterdir())


def _folder_of(folder, *, inputs=(), **choice):
    chosen = {"overwrite": False, "resume": False, **choice}
    return run_folder(folder, inputs=inputs, **chosen)


def _contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def _write_run(folder, text, names=RUN_FILES):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_a_folder_with_a_run_is_not_touched_unless_asked(tmp_path):
    (tmp_path / "model.json").write_text("old")
    with pytest.raises(MediaError, match=r"model.json: exists already"):
        _folder_of(tmp_path).__enter__()
    with pytest.raises(ParameterError, match="go on and start anew"):
        _folder_of(tmp_path, overwrite=True, resume=True).__enter__()
    with _folder_of(tmp_path, resume=True) as folder:
        assert folder == tmp_path
    assert _contents(tmp_path) == {"model.json": "old"}


def test_an_old_run_stays_until_the_new_one_is_complete_and_can_be_resumed(tmp_path):
    _write_run(tmp_path, "old")
    (tmp_path / "thesis.txt").write_text("mine")
    before = _contents(tmp_path)
    with pytest.raises(NoAnswerError), _folder_of(tmp_path, overwrite=True):
        raise NoAnswerError("nothing to learn from")
    assert _contents(tmp_path) == before  # no trace of a run that came to nothing

    def stopped():
        with _folder_of(tmp_path, overwrite=True) as folder:
            (folder / "checkpoint.safetensors").write_text("half")
            raise NoAnswerError("the loss is nan")

    with pytest.raises(NoAnswerError):
        stopped()
    begun = "unfinished-run/checkpoint.safetensors"
    assert _contents(tmp_path) == {**before, begun: "half"}
    with pytest.raises(MediaError, match="go on with --resume"):
        _folder_of(tmp_path).__enter__()

    with _folder_of(tmp_path, resume=True) as folder:
        assert (folder / "checkpoint.safetensors").read_text() == "half"
        _write_run(folder, "new", RUN_FILES[:-1])
        _write_run(folder, "new", ["events/1"])
    # Files of others stay; a calibration of the old weights does not.
    assert _contents(tmp_path) == {
        **dict.fromkeys([*RUN_FILES[:-1], "events/1"], "new"),
        "thesis.txt": "mine",
    }


def test_starting_anew_drops_what_an_unfinished_run_left(tmp_path):
    _write_run(tmp_path, "old")
    _write_run(tmp_path / "unfinished-run", "half")
    with _folder_of(tmp_path, overwrite=True) as folder:
        assert not any(folder.iterdir())
        _write_run(folder, "new")
    assert _contents(tmp_path) == dict.fromkeys(RUN_FILES, "new")


def test_folds_take_the_place_of_folds(tmp_path):
    names = ["fold1/model.json", "fold2/model.json", "folds.json"]
    _write_run(tmp_path, "old", names)
    with _folder_of(tmp_path, overwrite=True, names=names) as folder:
        _write_run(folder, "new", names)
        assert _contents(tmp_path / "fold1") == {"model.json": "old"}
    assert _contents(tmp_path) == dict.fromkeys(names, "new")


def test_a_run_never_writes_over_what_it_reads(tmp_path):
    manifest = tmp_path / "curves.csv"
    manifest.write_text("path")
    for choice in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(ParameterError, match=r"curves.csv: is the input"):
            _folder_of(tmp_path, inputs=[manifest], **choice).__enter__()
    assert manifest.read_text() == "path"


@pytest.mark.slow
def test_a_run_that_replaces_another_may_be_killed_and_goes_on(whole_run, tmp_path):
    _write_run(tmp_path, "old")
    before = _contents(tmp_path)
    process = start(tmp_path, 5, "-y")
    _, words = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, words
    assert {name: (tmp_path / name).read_text() for name in before} == before
    with _folder_of(tmp_path, resume=True) as folder:
        run(folder, resume=True)
    same_weights(whole_run[0], tmp_path)
    assert not (tmp_path / "unfinished-run").exists()


def test_the_rate_rises_and_falls():
    plan = LoopPlan(learning_rate=1.0, warm_up=0.2)
    rates = [plan.rate(step, 100) for step in range(100)]
    assert rates[:20] == pytest.approx(np.arange(1, 21) / 20)
    assert np.all(np.diff(rates[20:]) < 0)
    assert rates[60] == pytest.approx(0.5, abs=0.01)
    assert rates[-1] < 0.01


@pytest.mark.parametrize("name", list_fusions())
def test_late_fusion_stays_late(name):
    """Nothing that joins rows of the streams comes after a combination of decisions."""
    is_late = name.startswith("late_")
    assert (find_family(name).combines == "decisions") is is_late
    assert RecognizerPlan(fusion=name).shape()["context"] is not is_late


@pytest.mark.slow
def test_text_is_a_stream_beside_sound_and_lips(tmp_path):
    """The words alone tell the feeling: sound and lips are the same for all."""
    clock_s = np.arange(0, 0.5, 0.02)
    words = ("fine", "great", "alas")

    def item(number):
        said = Transcript((Word(words[number % 3], 0.1, 0.4),))
        one = utterance(0, text="abca")
        streams = {**one.streams, "text": transcript_stream(said, clock_s)}
        return replace(one, name=f"clip{number}", streams=streams, label=number % 3)

    data = corpus(train=0, dev=0)
    data.train.extend(map(item, range(12)))
    data.dev.extend(map(item, range(12, 15)))
    loop = LoopPlan(epochs=8, batch_size=6, learning_rate=1e-2)
    streams = {**STREAMS, "text": known_streams()["text"]}
    result = run(
        tmp_path, data=data, loop=loop, task="emotion", augmentation=CLEAN, streams=streams
    )
    assert result.curves[result.best_epoch]["dev_uar_all"] == 1.0


# Batches


def source(utterances, augmentation=None, seed=0, noises=(), batch_size=4):
    return BatchSource(
        utterances,
        settings(),
        augmentation or UtteranceAugmentation(),
        noises,
        batch_size=batch_size,
        seed=seed,
    )


def test_a_batch_depends_on_seed_and_epoch_only():
    items = [utterance(number) for number in range(6)]
    first, again = source(items, noises=[WhiteNoise()]), source(items, noises=[WhiteNoise()])
    again.batch(2, 0)
    one, same, other = first.batch(1, 1), again.batch(1, 1), first.batch(2, 1)
    assert one.names == same.names
    for name, rows in one.inputs.streams.items():
        torch.testing.assert_close(rows, same.inputs.streams[name], atol=0, rtol=0)
    assert one.names != other.names or not torch.equal(
        one.inputs.streams["lips"], other.inputs.streams["lips"]
    )


def test_parts_of_a_batch_make_the_whole():
    items = source([utterance(number) for number in range(3)], batch_size=3)
    whole = items.batch(0, 0)
    parts = [items.batch(0, 0, rank=rank, processes=4) for rank in range(4)]
    torch.manual_seed(0)
    objective = Objective(Recognizer(settings()), LossWeights()).eval()
    total = sum(objective(part)["loss"].item() for part in parts)
    assert total == pytest.approx(objective(whole)["loss"].item(), rel=1e-5)
    assert [len(part.names) for part in parts] == [1, 1, 1, 1]
    assert objective(parts[3])["loss"].item() == 0.0


def test_undisturbed_batches_hold_the_features():
    one = utterance(0)
    batch = source([one], CLEAN).batch(0, 0)
    sequence = aligned_sequence(one, settings().streams, 50.0)
    for name, rows in sequence.streams.items():
        np.testing.assert_array_equal(batch.inputs.streams[name][0], rows)
        np.testing.assert_array_equal(batch.inputs.masks[name][0], sequence.masks[name])


def test_streams_are_dropped_as_often_as_told_and_never_all():
    items = [utterance(number, text="ab") for number in range(8)]
    batches = source(items, replace(CLEAN, absent={"audio": 0.5, "lips": 0.5}), batch_size=8)
    present = [batches.batch(epoch, 0).inputs.present for epoch in range(30)]
    there = {name: torch.cat([one[name] for one in present]) for name in ("audio", "lips")}
    assert (there["audio"] | there["lips"]).all()
    # Of the three outcomes that are left, each is equally likely.
    for present in (there["audio"], there["lips"]):
        assert present.float().mean().item() == pytest.approx(2 / 3, abs=0.1)


def test_a_condition_gives_only_its_streams_and_its_noise():
    items = [utterance(number) for number in range(3)]
    sizes = {"batch_size": 2, "seed": 0}
    lips = condition_batches(items, settings(), Condition("lips", ("lips",)), **sizes)
    assert [len(batch.names) for batch in lips] == [2, 1]
    assert not any(batch.inputs.present["audio"].any() for batch in lips)
    blind = [utterance(0, lips=False), *items]
    (kept,) = condition_batches(
        blind, settings(), Condition("lips", ("lips",)), batch_size=9, seed=0
    )
    assert kept.names == ("clip0", "clip1", "clip2")
    noisy = Condition("noisy", (), WhiteNoise(), 0.0)
    first, second = (condition_batches(items, settings(), noisy, **sizes) for _ in range(2))
    clean = condition_batches(items, settings(), Condition("all"), **sizes)
    torch.testing.assert_close(
        first[0].inputs.streams, second[0].inputs.streams, atol=0, rtol=0
    )
    assert not torch.equal(first[0].inputs.streams["audio"], clean[0].inputs.streams["audio"])


def test_noise_grows_louder_over_the_first_epochs():
    world = UtteranceAugmentation(snr_db=(-8.0, 22.0), easing=0.4)
    assert world.snr_range(0.0) == (20.0, 22.0)
    assert world.snr_range(0.2) == pytest.approx((6.0, 22.0))
    assert world.snr_range(0.4) == world.snr_range(1.0) == (-8.0, 22.0)
    assert replace(world, easing=0.0).snr_range(0.0) == (-8.0, 22.0)
    assert UtteranceAugmentation(snr_db=(5.0, 5.0)).snr_range(0.0) == (5.0, 5.0)


def test_words_move_with_the_clock():
    """A word from 0.2 to 0.4 s, heard 0.1 s late, at one and a half times the speed."""
    one = replace(
        utterance(0), words=((0.2, 0.4, 7),), alignment=TimeWarp(np.zeros(1), np.full(1, 0.1))
    )
    times_s = np.arange(24) / 50
    rows = find_frame_words(one, times_s, speed=1.5)
    inside = (1.5 * times_s + 0.1 >= 0.2) & (1.5 * times_s + 0.1 < 0.4)
    np.testing.assert_array_equal(rows, np.where(inside, 7, 0))
    np.testing.assert_array_equal(find_frame_words(utterance(0), times_s), -1)


def test_an_injected_lag_makes_the_audio_late():
    one = utterance(3, text="aaabbbccc")
    streams = settings().streams
    still = aligned_sequence(one, streams, 50.0)
    late = aligned_sequence(one, streams, 50.0, lag_s=0.1)
    lips = len(still) - 5
    offset = round((still.times_s[0] - late.times_s[0]) * 50)
    np.testing.assert_allclose(
        late.streams["audio"][5 + offset : lips + offset],
        still.streams["audio"][: lips - 5],
        atol=1e-3,
    )
    np.testing.assert_array_equal(
        late.streams["lips"][offset : lips + offset], still.streams["lips"][:lips]
    )


# The objective


def objective_and_batch(**weights):
    shape = settings(labels=LABELS, values=("valence",))
    torch.manual_seed(0)
    objective = Objective(Recognizer(shape), LossWeights(**weights)).eval()
    items = [utterance(n, label=n % 3) for n in range(4)]
    items = [replace(one, values=np.array([n], np.float32)) for n, one in enumerate(items)]
    sequences = [aligned_sequence(one, shape.streams, 50.0) for one in items]
    return objective, make_batch(items, sequences, shape)


def test_weights_of_the_tasks_are_respected():
    weights = {"speech": 2.0, "classes": 0.5, "regression": 0.25, "unimodal": 0.1}
    objective, batch = objective_and_batch(**weights)
    parts = objective(batch)
    alone = sum(weights[name] * parts[f"unimodal_{name}"] for name in [*weights][:3])
    joint = sum(weights[name] * parts[name] for name in [*weights][:3])
    torch.testing.assert_close(parts["loss"], joint + 0.1 * alone)
    silent, batch = objective_and_batch(speech=0.0, unimodal=0.0)
    silent(batch)["loss"].backward()
    gradient = silent.model.heads.speech.weight.grad
    assert gradient is None or (gradient == 0).all()
    assert silent.model.heads.classes.weight.grad.abs().sum() > 0


def test_losses_are_the_textbook_ones():
    objective, batch = objective_and_batch()
    told = objective.model(batch.inputs.streams, batch.inputs.masks)
    losses = task_losses(told.answers, told.lengths, batch)
    functional = torch.nn.functional
    ctc = functional.ctc_loss(
        told.answers.log_probs.transpose(0, 1), batch.tokens, told.lengths, batch.token_lengths
    )
    torch.testing.assert_close(losses["speech"], ctc)
    entropy = functional.cross_entropy(told.answers.logits, batch.labels)
    torch.testing.assert_close(losses["classes"], entropy)
    squared = functional.mse_loss(told.answers.values, batch.values)
    torch.testing.assert_close(losses["regression"], squared)


def test_a_word_counts_the_same_however_long_it_lasts():
    """Rows of one word in the middle of silence: each is half of the loss."""
    scores = torch.tensor([[[0.0, 2.0], [1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [9.0, 0.0]]])
    target = torch.tensor([[0, 0, 0, 1, -1]])
    _, batch = objective_and_batch()
    batch = replace(batch, words=target, totals={**batch.totals, "words": 1})
    told = Answers(None, scores, None, None)
    rows = -scores.log_softmax(dim=-1)[0]
    silence = (rows[0, 0] + rows[1, 0] + rows[2, 0]) / 3
    one = replace(batch, labels=batch.labels[:1])
    loss = task_losses(told, torch.tensor([5]), one)["words"]
    torch.testing.assert_close(loss, (silence + rows[3, 1]) / 2)


def test_items_without_a_target_do_not_count():
    objective, batch = objective_and_batch()
    told = objective.model(batch.inputs.streams, batch.inputs.masks)
    known = replace(
        batch, labels=torch.tensor([0, -1, -1, 2]), totals={**batch.totals, "classes": 2}
    )
    expected = torch.nn.functional.cross_entropy(
        told.answers.logits[[0, 3]], torch.tensor([0, 2])
    )
    torch.testing.assert_close(
        task_losses(told.answers, told.lengths, known)["classes"], expected
    )


def test_noise_reaches_the_features_at_its_level():
    """White noise as loud as the speech: the features are those of such a mixture."""
    one = utterance(0)
    loud = replace(CLEAN, noise_share=1.0, snr_db=(0.0, 0.0))
    noisy = source([one], loud, noises=[WhiteNoise()]).batch(0, 0).inputs.streams["audio"][0]
    noise = WhiteNoise().draw(len(one.audio.samples), np.random.default_rng(5))
    mixture = replace(one.audio, samples=mix_at_snr(one.audio.samples, noise, 0.0))
    expected = aligned_sequence(replace(one, audio=mixture), settings().streams, 50.0)
    clean = aligned_sequence(one, settings().streams, 50.0).streams["audio"]
    loudness = noisy[:, 0].mean().item()
    assert loudness == pytest.approx(expected.streams["audio"][:, 0].mean(), abs=3.0)
    assert loudness > clean[:, 0].mean() + 30.0


@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, -0.1), (0.9, float("nan"))])
def test_memories_that_adamw_cannot_have_are_refused(betas):
    with pytest.raises(ParameterError, match="betas are"):
        LoopPlan(betas=betas)
