"""Pictures of an answer: plots and the annotated video."""

from avalign.report.insight import (
    plot_attention,
    plot_contributions,
    plot_saliency,
    plot_swap,
)
from avalign.report.overlay import write_overlay
from avalign.report.plot import plot_sync
from avalign.report.recognition_plot import plot_recognition
from avalign.report.reliability import plot_reliability
from avalign.report.warp_plot import plot_warp

__all__ = [
    "plot_attention",
    "plot_contributions",
    "plot_recognition",
    "plot_reliability",
    "plot_saliency",
    "plot_swap",
    "plot_sync",
    "plot_warp",
    "write_overlay",
]
