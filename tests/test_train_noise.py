"""Noise: exact levels, and whose voices babble is made of."""

from pathlib import Path

import numpy as np
import pytest
from avalign_cli.main import main

from avalign.errors import MediaError, ParameterError
from avalign.recognition import NOISES
from avalign.recognition.material.noise import Babble, RecordedNoise, WhiteNoise, mix_at_snr
from avalign.recognition.material.noise_kinds import Voice, Voices
from avalign.recognition.material.utterances import Utterance
from avalign.recognition.material.voices import noise_by_name, training_noises
from avalign.types import AudioStream

PAGE = Path(__file__).parents[1] / "docs" / "recognition.md"
TIME_S = np.arange(16_000) / 16_000


def tone(hz, level=0.1):
    return (level * np.sin(2 * np.pi * hz * TIME_S)).astype(np.float32)


def strength(samples, hz):
    return abs(np.vdot(np.exp(2j * np.pi * hz * TIME_S), samples)) / len(samples)


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 17.5])
def test_the_ratio_of_powers_is_what_is_asked(snr_db):
    speech = tone(440)
    noise = WhiteNoise().draw(len(speech), generator())
    added = mix_at_snr(speech, noise, snr_db).astype(np.float64) - speech
    ratio = np.mean(speech.astype(np.float64) ** 2) / np.mean(added**2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=1e-4)


def test_silence_has_no_ratio_and_stays_as_it_is():
    silence = np.zeros(100, np.float32)
    np.testing.assert_array_equal(mix_at_snr(silence, np.ones(100, np.float32), 0.0), silence)
    speech = tone(100)
    np.testing.assert_array_equal(mix_at_snr(speech, np.zeros_like(speech), 0.0), speech)


def babble(count, speakers=("ann", "ben", "cy", "dee"), fewest=None):
    hertz = (300, 500, 700, 900)
    levels = (0.01, 0.1, 0.3, 0.02)
    voices = [tone(hz, level) for hz, level in zip(hertz, levels, strict=True)]
    return Babble(voices, speakers, [f"clip{i}" for i in range(4)], count, fewest)


def test_babble_leaves_out_who_speaks_and_makes_all_others_equally_loud():
    drawn = babble(3).draw(16_000, generator(), speaker="ben", name="clip1")
    assert strength(drawn, 500) < 1e-4
    others = [strength(drawn, hz) for hz in (300, 700, 900)]
    np.testing.assert_allclose(others, np.sqrt(2) / 2, rtol=1e-4)


def test_of_one_speaker_only_the_utterance_itself_is_left_out():
    drawn = babble(3, speakers=["s1"] * 4).draw(16_000, generator(), speaker="s1", name="clip2")
    assert strength(drawn, 700) < 1e-4
    assert min(strength(drawn, hz) for hz in (300, 500, 900)) > 0.7


def test_the_number_of_voices_is_drawn_where_a_range_is_given():
    random = generator()
    counts = {
        round(np.mean(babble(3, fewest=1).draw(16_000, random, name="clip0") ** 2))
        for _ in range(40)
    }
    assert counts == {1, 2, 3}


def test_the_same_generator_gives_the_same_noise():
    for noise in (WhiteNoise(), babble(2), RecordedNoise([tone(50), tone(60)])):
        first, second, other = (noise.draw(9000, generator(seed)) for seed in (3, 3, 4))
        np.testing.assert_array_equal(first, second)
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("length", [0, 1, 9000])
def test_every_kind_is_as_long_as_asked_and_the_same_again(name, length):
    voices = [Voice(tone(hz), f"s{hz}", f"clip{hz}") for hz in (300, 500, 700)]
    noise = NOISES[name].make(Voices(lambda: voices, 2))
    first, again = (noise.draw(length, generator(3), speaker="s300") for _ in range(2))
    assert (first.shape, first.dtype) == ((length,), np.float32)
    assert np.isfinite(first).all()
    assert first.any() or length < 2  # a tone may begin with a zero
    np.testing.assert_array_equal(first, again)


def test_training_draws_babble_four_times_as_often_as_white_noise():
    corpus = [
        Utterance(f"clip{hz}", f"s{hz}", AudioStream(tone(hz), 16_000, 0.0), {}, 0)
        for hz in (300, 500)
    ]
    kinds = [type(noise) for noise in training_noises(corpus, 2)]
    assert (kinds.count(WhiteNoise), kinds.count(Babble), len(kinds)) == (1, 4, 5)
    assert [type(noise) for noise in training_noises(corpus[:1], 2)] == [WhiteNoise]


def test_a_mistyped_kind_is_told_which_there_are():
    with pytest.raises(ParameterError, match="no noise 'wihte'") as refused:
        noise_by_name("wihte", manifest=None)
    assert all(name in refused.value.hint for name in NOISES)
    with pytest.raises(MediaError, match=r"rain\.wav: no such file"):
        noise_by_name("rain.wav", manifest=None)


@pytest.mark.parametrize("name", NOISES)
def test_help_and_page_name_every_kind(name, capsys):
    assert main(["evaluate", "--help"]) == 0
    assert f"{name} (" in capsys.readouterr().out
    assert f"`{name}`" in PAGE.read_text(encoding="utf-8")


def test_a_short_recording_goes_round():
    ramp = np.arange(1, 11, dtype=np.float32)
    drawn = RecordedNoise([ramp]).draw(35, generator())
    np.testing.assert_array_equal(np.unique(np.diff(drawn)), [-9, 1])
    np.testing.assert_array_equal(drawn[:25], drawn[10:])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RecordedNoise([]), "no recording"),
        (lambda: RecordedNoise([np.zeros(5, np.float32)]), "silent"),
        (lambda: Babble([tone(1)], ["a"], ["x"]), "two utterances"),
        (lambda: Babble([tone(9), tone(8)], ["a", "b"], ["x", "x"]), "one name"),
        (lambda: babble(0), "voices"),
        (lambda: mix_at_snr(tone(1), tone(1)[:9], 0.0), "shape"),
        (lambda: mix_at_snr(tone(1), tone(1), float("nan")), "SNR"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
