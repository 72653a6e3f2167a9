"""Recognise speech and emotion from aligned streams.

>>> import numpy as np
>>> from avalign.tasks import Alphabet, greedy_decode
>>> emitted = np.log([[0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.1, 0.8]])  # blank, o, k
>>> greedy_decode(emitted, [0.0, 0.02, 0.04], Alphabet("ok")).transcript.text
'ok'

Public names are imported when they are first used, so that decoding and metrics need no
torch; type checkers read them in ``__init__.pyi``.
"""

import importlib

_HOMES = {
    "alphabet": ("ENGLISH", "Alphabet"),
    "decoding": ("Decoding", "beam_decode", "greedy_decode"),
    "forced_alignment": ("WordTiming", "align_transcript", "fit_word_timing"),
    "grammar": ("GRID", "Grammar", "GrammarDecoding", "Slot", "grammar_decode"),
    "metrics": (
        "ClassificationMetrics",
        "LagErrors",
        "RegressionMetrics",
        "RetrievalMetrics",
        "SpeechErrors",
        "WordTimeErrors",
        "classification_metrics",
        "fusion_gain",
        "lag_errors",
        "recovery_ratio",
        "regression_metrics",
        "retrieval_metrics",
        "speech_errors",
        "word_time_errors",
    ),
    "models": ("Recognizer",),
    "settings": ("RecognizerSettings", "StreamSettings"),
    "storage": ("load_model", "save_model"),
    "word_rows": ("WordRows", "align_word_rows"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [*sorted(_HOME_OF)]


def __getattr__(name: str) -> object:
    """Import a public name from its module, and keep it (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
