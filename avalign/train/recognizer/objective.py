"""The training loss: CTC, cross entropy and squared error, weighted by task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from avalign.recognition import Answers, Batch, Recognizer


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each part of the loss counts.

    Parameters
    ----------
    speech, words, classes, regression : float
        Weight of each task, of those that the model has heads for.
    unimodal : float
        Weight of what each stream says on its own, against what they say together.
    unimodal_words : float
        The same for the word of each row.
    fusion : float
        Weight of the losses that the fusion family asks for.
    """

    speech: float = 2.0
    words: float = 1.0
    classes: float = 1.0
    regression: float = 1.0
    unimodal: float = 0.8
    unimodal_words: float = 0.5
    fusion: float = 1.0


class Objective(nn.Module):
    """A model and the loss it is trained with.

    Parameters
    ----------
    model : Recognizer
        The model.
    weights : LossWeights
        Weights of the parts.
    """

    def __init__(self, model: Recognizer, weights: LossWeights) -> None:
        super().__init__()
        self.model, self.weights = model, weights

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the loss of a batch.

        Parameters
        ----------
        batch : Batch
            The batch, or a process's part: the parts' losses sum to the whole's.

        Returns
        -------
        dict of str to Tensor of shape ()
            ``"loss"``, and the parts that it is the weighted sum of: ``"speech"``,
            ``"words"``, ``"classes"``, ``"regression"``, each of them with
            ``"unimodal_"`` before it, and ``"fusion"``.
        """
        output = self.model(batch.inputs.streams, batch.inputs.masks, batch.inputs.present)
        parts = task_losses(output.answers, output.lengths, batch)
        weights = {name: getattr(self.weights, name) for name in parts}
        for stream, answers in output.unimodal.items():
            alone = task_losses(answers, output.lengths, batch, output.present[stream])
            for name, loss in alone.items():
                part = f"unimodal_{name}"
                parts[part] = parts.get(part, 0.0) + loss
                factor = self.weights.unimodal
                if name == "words":
                    factor = self.weights.unimodal_words
                weights[part] = factor * weights[name]
        if output.fusion.aux_losses:
            fraction = len(batch.names) / max(batch.totals["items"], 1)
            parts["fusion"] = fraction * torch.stack([*output.fusion.aux_losses.values()]).sum()
            weights["fusion"] = self.weights.fusion
        total = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return {"loss": total, **parts}


def task_losses(
    answers: Answers, lengths: Tensor, batch: Batch, counted: Tensor | None = None
) -> dict[str, Tensor]:
    """Compute the loss of each task, averaged over the items that have its target.

    Parameters
    ----------
    answers : Answers
        Answers of the heads.
    lengths : Tensor of shape (B,), int64
        Rows of each item.
    batch : Batch
        The targets.
    counted : Tensor of shape (B,), bool, optional
        Items whose loss is added up; all by default. The mean is over all either way.

    Returns
    -------
    dict of str to Tensor of shape ()
        ``"speech"`` (per character), ``"words"`` (per word, be it long or short, and
        silence counts as one), ``"classes"``, ``"regression"`` (per number); only tasks
        that there are answers to.
    """
    counted = torch.ones_like(batch.labels, dtype=torch.bool) if counted is None else counted
    losses: dict[str, Tensor] = {}
    if answers.log_probs is not None:
        each = _ctc(answers.log_probs, lengths, batch) / batch.token_lengths.clamp(min=1)
        losses["speech"] = _mean(each, counted & (batch.token_lengths > 0), batch, "speech")
    if answers.words is not None:
        within = torch.arange(batch.words.shape[1], device=lengths.device) < lengths[:, None]
        target = torch.where(within, batch.words, -1)
        each = nn.functional.cross_entropy(
            answers.words.transpose(1, 2), target, ignore_index=-1, reduction="none"
        )
        each = (each * _row_weights(target, answers.words.shape[2])).sum(dim=1)
        losses["words"] = _mean(each, counted & (target >= 0).any(dim=1), batch, "words")
    if answers.logits is not None:
        known = batch.labels >= 0
        each = nn.functional.cross_entropy(
            answers.logits, batch.labels.clamp(min=0), reduction="none"
        )
        losses["classes"] = _mean(each, counted & known, batch, "classes")
    if answers.values is not None:
        known = batch.values.isfinite()
        errors = torch.where(known, answers.values - batch.values.nan_to_num(), 0.0).square()
        each = errors.sum(dim=1) / known.sum(dim=1).clamp(min=1)
        losses["regression"] = _mean(each, counted & known.any(dim=1), batch, "regression")
    return losses


def _row_weights(target: Tensor, n_words: int) -> Tensor:
    """Weight rows [B, T] so that those of each word sum to the same, and all of them to 1.

    A letter lasts a tenth of a second and silence a second or two: by rows alone, letters
    would hardly count.
    """
    known, word = (target >= 0).float(), target.clamp(min=0)
    rows = torch.zeros(len(target), n_words, device=target.device).scatter_add(1, word, known)
    weights = known / rows.gather(1, word).clamp(min=1)
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=1)


def _ctc(log_probs: Tensor, lengths: Tensor, batch: Batch) -> Tensor:
    # An utterance too short for its words has an infinite loss and no gradient that helps.
    return nn.functional.ctc_loss(
        log_probs.transpose(0, 1),
        batch.tokens,
        lengths,
        batch.token_lengths,
        reduction="none",
        zero_infinity=True,
    )


def _mean(each: Tensor, counted: Tensor, batch: Batch, task: str) -> Tensor:
    # Chosen, not multiplied by 0: NaN in an item that does not count must not matter.
    chosen = torch.where(counted, each, torch.zeros_like(each))
    return chosen.sum() / max(batch.totals[task], 1)
