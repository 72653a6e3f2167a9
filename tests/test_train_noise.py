"""Noise: exact levels, and whose voices babble is made of."""

import numpy as np
import pytest

from avalign.errors import ParameterError
from avalign.recognition.material.noise import Babble, RecordedNoise, WhiteNoise, mix_at_snr

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
