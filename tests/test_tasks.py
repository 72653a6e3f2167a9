"""The room as a whole: its public names, and what they load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import avalign.recognition

DECODE_AND_SCORE = """
import sys
import numpy as np
from avalign.recognition import Alphabet, align_transcript, beam_decode, lag_errors
from avalign.transcript import transcript_stream
emitted = np.log(np.full((4, 3), 1 / 3))
words = align_transcript(emitted, np.arange(4), "a b", Alphabet("ab"))
beam_decode(emitted, np.arange(4), Alphabet("ab"))
transcript_stream(words, np.arange(4))
lag_errors([0.0], [0.1])
print(*sorted({"torch", "jiwer", "mediapipe", "librosa"} & sys.modules.keys()))
"""


def test_type_checkers_see_every_public_name_and_no_other():
    stub = Path(avalign.recognition.__file__).with_suffix(".pyi")
    names = [
        alias.asname for node in ast.parse(stub.read_text("utf-8")).body for alias in node.names
    ]
    assert sorted(names) == avalign.recognition.__all__


def test_every_public_name_is_there():
    for name in avalign.recognition.__all__:
        assert getattr(avalign.recognition, name) is not None


def test_decoding_and_scoring_load_nothing_heavy():
    run = subprocess.run(
        [sys.executable, "-c", DECODE_AND_SCORE], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []
