"""Shared and private representations of audio and lips."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from avalign.space.learning import losses
from avalign.space.learning.network import Standardiser, perceptron
from avalign.space.learning.parameters import count, number, widths
from avalign.space.learning.training import Objective, TorchEstimator
from avalign.space.scoring import mean_correlation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips


@dataclass(eq=False, kw_only=True)
class SharedPrivateSpace(TorchEstimator):
    """Each stream as a shared and a private code that have nothing in common.

    Four losses, each with its weight, shape the codes: both together rebuild their
    stream; the shared codes of both streams are distributed alike, and those of partners
    are equal; the private codes correlate neither with the shared ones nor with each
    other. `transform` gives the shared codes, between 0 and 1, and `private` the others.

    `score` is the mean correlation between the shared codes of both streams.

    Parameters
    ----------
    components : int
        Size of the shared code.
    private_components : int
        Size of the private code of each stream.
    hidden : tuple of int
        Widths of the hidden layers of the encoders; the decoders mirror them.
    similarity : float
        Weight of the central moment discrepancy of the shared codes.
    penalty : float
        Weight of the squared distance between the shared codes of partners; 0 leaves
        the losses of MISA.
    difference : float
        Weight of the orthogonality of the private codes.

    References
    ----------
    D. Hazarika, R. Zimmermann and S. Poria, "MISA: modality-invariant and -specific
    representations for multimodal sentiment analysis", ACM Multimedia 2020.
    """

    name: ClassVar[str] = "shared_private"
    components: int = count(4, high=4096)
    private_components: int = count(4, high=4096)
    hidden: tuple[int, ...] = widths((64,))
    similarity: float = number(0.1)
    penalty: float = number(3.0)
    difference: float = number(0.3)

    def private(self, stream: str, rows: ArrayLike) -> NDArray[Any]:
        """Map rows [N, D] of a stream to its private code: float32 [N, private_components]."""
        given = self._checked_as_fitted({stream: rows})[stream]
        return self._codes(stream, "private", given)

    def _build(self, columns: Mapping[str, int]) -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                stream: nn.ModuleDict(
                    {
                        "standardise": Standardiser(width),
                        # Within 0 and 1, where distributions with equal moments are equal.
                        "shared": nn.Sequential(
                            *perceptron(width, self.hidden, self.components), nn.Sigmoid()
                        ),
                        "private": perceptron(width, self.hidden, self.private_components),
                        "decode": perceptron(
                            self.components + self.private_components, self.hidden[::-1], width
                        ),
                    }
                )
                for stream, width in columns.items()
            }
        )

    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        standard = {}
        for stream, rows in streams.items():
            network[stream]["standardise"].adapt(rows)
            standard[stream] = network[stream]["standardise"](rows)

        def loss(units: Tensor) -> Tensor:
            shared, private, rebuilt = [], [], []
            for stream, rows in standard.items():
                batch, parts = rows[units], network[stream]
                shared.append(parts["shared"](batch))
                private.append(parts["private"](batch))
                decoded = parts["decode"](torch.cat([shared[-1], private[-1]], dim=1))
                rebuilt.append(losses.reconstruction(decoded, batch))
            pairs = [*zip(shared, private, strict=True), (private[0], private[1])]
            return (
                rebuilt[0]
                + rebuilt[1]
                + self.similarity * losses.central_moment_discrepancy(shared[0], shared[1])
                + self.penalty * losses.alignment_penalty(shared[0], shared[1])
                + self.difference * sum(losses.orthogonality(*pair) for pair in pairs)
            )

        return Objective(len(streams["audio"]), loss)

    def _codes(self, stream: str, kind: str, rows: Rows) -> NDArray[Any]:
        parts: Any = self.network_[stream]  # type: ignore[index]
        return self._map(lambda batch: parts[kind](parts["standardise"](batch)), rows)

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        return self._codes(stream, "shared", rows)

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        return mean_correlation(
            self._codes("audio", "shared", audio), self._codes("lips", "shared", lips)
        )
