"""CCA and kernel CCA behind the interface of the shared space."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from avalign.space.cca import CCA
from avalign.space.kernel_cca import KernelCCA
from avalign.space.learning.estimator import SpaceEstimator
from avalign.space.learning.parameters import count, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips, Shape


@dataclass(eq=False, kw_only=True)
class CanonicalSpace(SpaceEstimator):
    """The linear maps under which sound and lips correlate best.

    `score` is the mean correlation of the canonical pairs.

    Parameters
    ----------
    components : int
        Canonical pairs to keep.
    regularisation : float
        Fraction by which covariances are shrunk; see `avalign.space.cca.CCA`.

    Attributes
    ----------
    model_ : CCA
        The fitted model; ``model_.correlations_`` are the canonical correlations.

    References
    ----------
    H. Hotelling, "Relations between two sets of variates", Biometrika 28, 1936.
    """

    name: ClassVar[str] = "cca"
    components: int = count(2, high=4096)
    regularisation: float = number(0.0, high=1.0)
    model_: CCA = field(init=False, repr=False)

    def _model(self) -> CCA:
        return CCA(self.components, regularisation=self.regularisation)

    def _fit(self, audio: Rows, lips: Rows, clips: Clips) -> None:
        self.model_ = self._model().fit(audio, lips)

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        return (
            self.model_.transform(rows) if stream == "audio" else self.model_.transform(Y=rows)
        )

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        return float(self.model_.score(audio, lips).mean())

    def arrays(self) -> dict[str, NDArray[Any]]:  # noqa: D102 (as in `SpaceEstimator`)
        return {name: getattr(self.model_, f"{name}_") for name in self.expected_arrays()}

    def expected_arrays(self) -> dict[str, Shape]:  # noqa: D102 (as in `SpaceEstimator`)
        return canonical_arrays(self._lifted_columns(), self.columns_["lips"], self.components)

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: D102 (as there)
        self.model_ = self._model()
        for name, array in arrays.items():
            setattr(self.model_, f"{name}_", array)

    def _lifted_columns(self) -> int:
        """Columns of what is correlated with the lips."""
        return self.columns_["audio"]


@dataclass(eq=False, kw_only=True)
class KernelCanonicalSpace(CanonicalSpace):
    """Smooth functions of sound that correlate best with lips.

    `score` is the mean correlation of the canonical pairs.

    Parameters
    ----------
    components : int
        Canonical pairs to keep.
    regularisation : float
        Fraction by which covariances are shrunk.
    features : int
        Random Fourier features; more approximate the kernel better.
    gamma : float, optional
        Inverse width of the Gaussian kernel; see `avalign.space.kernel_cca.KernelCCA`.
    seed : int
        Same seed, same features.

    References
    ----------
    D. Lopez-Paz, S. Sra, A. Smola, Z. Ghahramani and B. Schölkopf, "Randomized
    nonlinear component analysis", ICML 2014.
    """

    name: ClassVar[str] = "kernel_cca"
    regularisation: float = number(0.02, high=1.0)
    features: int = count(1200, high=16_384)
    gamma: float | None = number(None, above=True, optional=True)
    seed: int = count(0, low=0, high=2**31 - 1)

    def _model(self) -> KernelCCA:
        return KernelCCA(
            self.components,
            n_features=self.features,
            gamma=self.gamma,
            regularisation=self.regularisation,
            seed=self.seed,
        )

    def expected_arrays(self) -> dict[str, Shape]:  # noqa: D102 (as in `SpaceEstimator`)
        return {
            **super().expected_arrays(),
            "frequencies": (np.float32, (self.columns_["audio"], self.features)),
            "phases": (np.float32, (self.features,)),
        }

    def _lifted_columns(self) -> int:
        return self.features


def canonical_arrays(x_columns: int, y_columns: int, components: int) -> dict[str, Shape]:
    """Type and shape by name of the arrays that a fitted CCA holds."""
    return {
        "x_mean": (np.float64, (x_columns,)),
        "x_weights": (np.float64, (x_columns, components)),
        "y_mean": (np.float64, (y_columns,)),
        "y_weights": (np.float64, (y_columns, components)),
        "correlations": (np.float64, (components,)),
    }
