"""How good answers are: words, classes, numbers, rankings, and what alignment wins back.

Every metric that is not defined for what it is given is None, never NaN and never a guess.
"""

from avalign.tasks.metrics.alignment import LagErrors, fusion_gain, lag_errors, recovery_ratio
from avalign.tasks.metrics.classes import ClassificationMetrics, classification_metrics
from avalign.tasks.metrics.regression import RegressionMetrics, regression_metrics
from avalign.tasks.metrics.retrieval import RetrievalMetrics, retrieval_metrics
from avalign.tasks.metrics.speech import (
    SpeechErrors,
    WordTimeErrors,
    speech_errors,
    word_time_errors,
)

__all__ = [
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
]
