"""Which face belongs to which voice: planted pairings, and people who have no partner."""

from dataclasses import replace
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

import avalign
from avalign.align import align_streams, assign_voices, voice_evidence
from avalign.errors import ParameterError
from avalign.types import FeatureStream

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_pairing_is_found(seed):
    random = np.random.default_rng(seed)
    order = random.permutation(6)
    evidence = random.normal(-8, 2, (6, 6))
    evidence[np.arange(6), order] += 20
    assert assign_voices(evidence) == tuple(enumerate(order.tolist()))


def worth_of(pairs, evidence, no_match):
    return sum(evidence[face, voice] - no_match for face, voice in pairs)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_pairing_is_worth_more(seed):
    evidence = np.random.default_rng(seed).normal(0, 5, (3, 4))
    found = assign_voices(evidence, no_match=1.0)
    every = (
        [(face, voice) for face, voice in enumerate(voices) if evidence[face, voice] > 1.0]
        for voices in permutations(range(4), 3)
    )
    best = max(worth_of(pairs, evidence, 1.0) for pairs in every)
    assert worth_of(found, evidence, 1.0) == pytest.approx(best)
    assert all(evidence[pair] > 1.0 for pair in found)


def test_who_fits_nobody_stays_alone():
    evidence = [[9.0, 1.0], [2.0, 7.0], [0.5, 0.4]]
    assert assign_voices(evidence) == ((0, 0), (1, 1))
    assert assign_voices(np.transpose(evidence)) == ((0, 0), (1, 1))
    assert assign_voices(evidence, no_match=8.0) == ((0, 0),)
    assert assign_voices([[-3.0]]) == ()
    assert assign_voices([[0.0]]) == ()  # no better than none


def test_what_cannot_be_compared_is_not_paired():
    assert assign_voices([[np.nan, 1.0], [2.0, -np.inf]]) == ((0, 1), (1, 0))
    assert assign_voices([[np.nan]]) == ()
    assert assign_voices(np.zeros((0, 3))) == ()


@pytest.mark.parametrize("evidence", [[1.0, 2.0], [[np.inf]], 3.0])
def test_what_is_no_evidence_is_refused(evidence):
    with pytest.raises(ParameterError, match="the evidence"):
        assign_voices(evidence)


@cache
def talking():
    return avalign.extract(SAMPLES / "talking.mp4")


def backwards(stream):
    """Return the same sounds, which no longer fit the lips."""
    return FeatureStream(stream.values[::-1], stream.times_s, stream.valid, stream.kind)


@pytest.mark.slow
def test_faces_find_their_voices():
    streams = talking()
    speaker = streams.lips[0]
    still = replace(speaker, values=np.repeat(speaker.values[:1], len(speaker), axis=0))
    turned = replace(speaker, values=speaker.values[::-1].copy())
    gone = replace(speaker, valid=np.zeros(len(speaker), bool))
    # The clip played backwards is a second person, who speaks in time with a second voice.
    evidence = voice_evidence(
        (gone, turned, still, speaker), (streams.mfcc, backwards(streams.mfcc))
    )
    assert np.isnan(evidence[0]).all()
    alone = align_streams(streams).alignment
    assert evidence[3, 0] == pytest.approx(alone.diagnostics["match_log_odds"], abs=1e-6)
    assert (3, 0) in assign_voices(evidence)
    assert (2, 0) not in assign_voices(evidence)
    assert evidence[3, 0] > max(evidence[3, 1], evidence[1, 0], evidence[2, 0])
