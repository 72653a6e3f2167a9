"""Deep CCA: networks whose outputs correlate best."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from avalign.errors import ParameterError
from avalign.space.cca import CCA
from avalign.space.learning.canonical import canonical_arrays
from avalign.space.learning.losses import correlation_loss
from avalign.space.learning.network import stream_encoders
from avalign.space.learning.parameters import count, number, widths
from avalign.space.learning.training import Objective, TorchEstimator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips, Shape


@dataclass(eq=False, kw_only=True)
class DeepCCA(TorchEstimator):
    """Two networks whose outputs correlate best, and CCA of those outputs.

    Without hidden layers the networks are linear, and the correlations are those of CCA.
    Batches have to be large, a few hundred rows at least, for their correlations to mean
    anything; by default all rows are one.

    `score` is the mean correlation of the canonical pairs.

    Parameters
    ----------
    components : int
        Canonical pairs, and outputs of each network.
    hidden : tuple of int
        Widths of the hidden layers.
    regularisation : float
        Added to the diagonal of the covariances of the outputs in training.

    Attributes
    ----------
    model_ : CCA
        Fitted to the outputs of the networks over all rows.

    References
    ----------
    G. Andrew, R. Arora, J. Bilmes and K. Livescu, "Deep canonical correlation analysis",
    ICML 2013.

    W. Wang, R. Arora, K. Livescu and J. Bilmes, "On deep multi-view representation
    learning", ICML 2015: large batches.
    """

    name: ClassVar[str] = "deep_cca"
    components: int = count(2, high=1024)
    hidden: tuple[int, ...] = widths((64,))
    regularisation: float = number(1e-4)
    batch: int | None = count(None, low=2, optional=True)
    learning_rate: float = number(1e-2, above=True)
    model_: CCA = field(init=False, repr=False)

    def _build(self, columns: Mapping[str, int]) -> nn.ModuleDict:
        return stream_encoders(columns, self.hidden, self.components)

    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        size = len(streams["audio"]) if self.batch is None else self.batch
        if size <= self.components:
            raise ParameterError(
                f"{size} rows cannot tell {self.components} components apart",
                "give more rows or a larger batch, or lower components",
            )
        for stream, rows in streams.items():
            network[stream][0].adapt(rows)

        def loss(units: Tensor) -> Tensor:
            audio, lips = (network[stream](rows[units]) for stream, rows in streams.items())
            return correlation_loss(audio, lips, regularisation=self.regularisation)

        return Objective(len(streams["audio"]), loss)

    def _fit(self, audio: Rows, lips: Rows, clips: Clips) -> None:
        super()._fit(audio, lips, clips)
        codes = self._codes("audio", audio), self._codes("lips", lips)
        self.model_ = CCA(self.components).fit(*codes)

    def _codes(self, stream: str, rows: Rows) -> Rows:
        return self._map(self.network_[stream], rows)  # type: ignore[index]

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        codes = self._codes(stream, rows)
        return (
            self.model_.transform(codes)
            if stream == "audio"
            else self.model_.transform(Y=codes)
        )

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        codes = self._codes("audio", audio), self._codes("lips", lips)
        return float(self.model_.score(*codes).mean())

    def arrays(self) -> dict[str, NDArray[Any]]:  # noqa: D102 (as in `SpaceEstimator`)
        learnt = {name: getattr(self.model_, f"{name}_") for name in self._canonical_arrays()}
        return super().arrays() | learnt

    def expected_arrays(self) -> dict[str, Shape]:  # noqa: D102 (as in `SpaceEstimator`)
        return super().expected_arrays() | self._canonical_arrays()

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: D102 (as there)
        canonical = self._canonical_arrays()
        super().restore(
            {name: array for name, array in arrays.items() if name not in canonical}
        )
        self.model_ = CCA(self.components)
        for name in canonical:
            setattr(self.model_, f"{name}_", arrays[name])

    def _canonical_arrays(self) -> dict[str, Shape]:
        return canonical_arrays(self.components, self.components, self.components)
