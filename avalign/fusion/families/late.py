"""Late fusion: every stream predicts on its own, then the predictions are combined."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from avalign.errors import ParameterError
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput, make_output
from avalign.fusion.layers.encoders import StreamHeads
from avalign.fusion.layers.masking import (
    any_valid,
    by_name,
    equal_weights,
    masked_softmax,
    stack_streams,
    weighted_sum,
)
from avalign.fusion.layers.options import checked_width

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


class LateFusion(Fusion):
    """What late families share: a prediction from every stream alone.

    Parameters
    ----------
    dims, dropout
        As in `Fusion`.
    out_dim : int
        Width of the predictions, such as the number of classes.
    given_predictions : bool
        The streams are predictions already, such as the logits of models trained
        before; all of them are `out_dim` wide, and no network is put before them.
    hidden : int, optional
        Width of the hidden layer of each stream's network; `out_dim` by default.

    Raises
    ------
    ParameterError
        If predictions are given whose width is not `out_dim`.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        given_predictions: bool = False,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dims, out_dim)
        if given_predictions:
            for name, width in self.dims.items():
                if width != out_dim:
                    raise ParameterError(
                        f"stream {name!r} is {width} wide, but predictions of width {out_dim} "
                        "are wanted",
                        "leave given_predictions out to learn predictions from features",
                    )
        self.heads = (
            None
            if given_predictions
            else StreamHeads(dims, out_dim, hidden=hidden, dropout=dropout)
        )

    def predict(self, inputs: FusionInput) -> tuple[Tensor, Tensor]:
        """Predict from each stream alone: values (B, T, S, out_dim), mask (B, T, S)."""
        streams = inputs.streams
        if self.heads is not None:
            streams = self.heads(streams, inputs.masks)
        return stack_streams(streams, inputs.masks)


class LateAverageFusion(LateFusion):
    """The plain average of the predictions of the streams that are there.

    Of logits, this is the product rule (a geometric mean of probabilities); of
    probabilities, the sum rule. Takes the parameters of `LateFusion`.

    When to use: streams that are reliable alone, often missing, or trained apart.

    References
    ----------
    J. Kittler et al., "On combining classifiers", IEEE Transactions on Pattern Analysis
    and Machine Intelligence 20(3), 1998.
    """

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Average over the streams."""
        values, mask = self.predict(inputs)
        stream_weights = equal_weights(mask)
        return make_output(
            weighted_sum(values, stream_weights),
            any_valid(inputs.masks),
            weights=by_name(self.names, stream_weights),
        )


class LateWeightedFusion(LateFusion):
    """A weighted average of the predictions, with one learned weight for each stream.

    The weights of the streams that are there sum to 1. On log-probabilities they are the
    stream exponents of audio-visual speech recognition.

    When to use: as `LateAverageFusion`, where one stream is better than another throughout.

    Parameters
    ----------
    dims, out_dim, given_predictions, hidden, dropout
        As in `LateFusion`.
    shares : mapping of str to float, optional
        Weight of each stream to begin with, positive; equal by default.
    learn : bool
        Whether training changes the weights.

    Raises
    ------
    ParameterError
        If the shares are not positive, or are not those of the streams.

    References
    ----------
    G. Potamianos et al., "Recent advances in the automatic recognition of audiovisual
    speech", Proceedings of the IEEE 91(9), 2003.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        shares: Mapping[str, float] | None = None,
        learn: bool = True,
        given_predictions: bool = False,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dims, out_dim, given_predictions=given_predictions, hidden=hidden, dropout=dropout
        )
        shares = dict.fromkeys(self.names, 1.0) if shares is None else shares
        if set(shares) != set(self.names):
            raise ParameterError(
                f"shares are given for {sorted(shares)}, wanted one for each of "
                f"{', '.join(self.names)}"
            )
        for name, share in shares.items():
            if not 0 < share < math.inf:
                raise ParameterError(f"the share of stream {name!r} is {share}, not positive")
        logits = [math.log(shares[name]) for name in self.names]
        self.logits = nn.Parameter(torch.tensor(logits), requires_grad=learn)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Average over the streams by their weights."""
        values, mask = self.predict(inputs)
        stream_weights = masked_softmax(self.logits.expand_as(mask), mask)
        return make_output(
            weighted_sum(values, stream_weights),
            any_valid(inputs.masks),
            weights=by_name(self.names, stream_weights),
        )


class LateVotingFusion(LateFusion):
    """A majority vote of the streams: each gives one vote to its most probable class.

    The fused row is the number of votes of each class, plus half the mean probability of
    the class, which settles ties and can never outvote anyone. Its largest entry is the
    elected class. Votes have no gradient; in the backward pass they are taken for the
    probabilities that cast them (a straight-through estimate). Takes the parameters of
    `LateFusion`; predictions are logits.

    When to use: three streams or more, one of which may fail with high confidence.

    References
    ----------
    L. Lam and C. Y. Suen, "Application of majority voting to pattern recognition", IEEE
    Transactions on Systems, Man, and Cybernetics A 27(5), 1997.

    Y. Bengio, N. Leonard and A. Courville, "Estimating or propagating gradients through
    stochastic neurons for conditional computation", arXiv:1308.3432, 2013.
    """

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Count the votes."""
        values, mask = self.predict(inputs)
        probabilities = torch.softmax(values, dim=-1)
        cast = functional.one_hot(probabilities.argmax(dim=-1), self.out_dim)
        votes = cast + probabilities - probabilities.detach()
        stream_weights = equal_weights(mask)
        counted = weighted_sum(votes, mask.to(votes.dtype))
        return make_output(
            counted + 0.5 * weighted_sum(probabilities, stream_weights),
            any_valid(inputs.masks),
            weights=by_name(self.names, stream_weights),
        )


class LateStackingFusion(LateFusion):
    """Stacked generalisation: a second network learns how to combine the predictions.

    It sees all predictions and which streams are there. Stacked models should be trained
    on predictions for data that the first models did not see: train those first, and
    give their held-out predictions with `given_predictions`.

    When to use: streams whose errors depend on each other, or on the class.

    Parameters
    ----------
    dims, out_dim, given_predictions, hidden, dropout
        As in `LateFusion`; `hidden` and `dropout` hold for the second network, too.

    References
    ----------
    D. H. Wolpert, "Stacked generalization", Neural Networks 5(2), 1992.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        out_dim: int,
        *,
        given_predictions: bool = False,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(
            dims, out_dim, given_predictions=given_predictions, hidden=hidden, dropout=dropout
        )
        hidden = checked_width(hidden, 2 * out_dim)
        self.combine = nn.Sequential(
            nn.Linear(len(self.names) * (out_dim + 1), hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out_dim),
        )

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Combine by the second network."""
        values, mask = self.predict(inputs)
        seen = torch.cat([values.flatten(2), mask.to(values.dtype)], dim=-1)
        return make_output(self.combine(seen), any_valid(inputs.masks))
