"""The heads of a recogniser, one per task, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from avalign.recognition.model.settings import RecognizerSettings


@dataclass(frozen=True)
class Answers:
    """Answers of the heads; None for a head that the model does not have.

    Parameters
    ----------
    log_probs : Tensor of shape (B, T, 1 + characters) or None
        Log probabilities of each row for CTC; the blank is column 0.
    words : Tensor of shape (B, T, 1 + vocabulary) or None
        Scores of the word in each row; column 0 is silence.
    logits : Tensor of shape (B, labels) or None
        Scores of the classes; their softmax is the probability.
    values : Tensor of shape (B, values) or None
        The regression.
    """

    log_probs: Tensor | None
    words: Tensor | None
    logits: Tensor | None
    values: Tensor | None


class Heads(nn.Module):
    """The last layer of each task."""

    def __init__(self, settings: RecognizerSettings, width: int, summary_width: int) -> None:
        super().__init__()
        self.stride = settings.stride

        def layer(inputs: int, outputs: int, wanted: bool) -> nn.Linear | None:
            return nn.Linear(inputs, outputs) if wanted else None

        n_characters, n_words = 1 + len(settings.characters), 1 + len(settings.vocabulary)
        self.speech = layer(width, self.stride * n_characters, bool(settings.characters))
        self.words = layer(width, self.stride * n_words, settings.word_rows)
        self.classes = layer(summary_width, len(settings.labels), bool(settings.labels))
        self.regression = layer(summary_width, len(settings.values), bool(settings.values))

    def forward(self, rows: Tensor, summary: Tensor, length: int) -> Answers:
        """Answer from coarse rows (B, T', width) and a summary of each item."""
        speech = self._fine(self.speech, rows, length)
        return Answers(
            None if speech is None else speech.log_softmax(dim=-1),
            self._fine(self.words, rows, length),
            None if self.classes is None else self.classes(summary).float(),
            None if self.regression is None else self.regression(summary).float(),
        )

    def _fine(self, layer: nn.Linear | None, rows: Tensor, length: int) -> Tensor | None:
        """Make `stride` rows of each row, `length` in all."""
        if layer is None:
            return None
        return layer(rows).float().unflatten(2, (self.stride, -1)).flatten(1, 2)[:, :length]
