"""Kernel CCA by random Fourier features, and its files."""

from __future__ import annotations

import json
import math
import operator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from avalign.errors import MediaError, ParameterError
from avalign.files import open_safetensors, parse_json
from avalign.space.cca import CCA, checked_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from avalign.space.cca import Rows

_LARGEST_FILE_BYTES = 256 * 1024 * 1024
_SETTINGS = ("n_components", "n_features", "gamma", "regularisation", "seed")


class KernelCCA(CCA):
    """CCA of random Fourier features of X with Y as it is.

    The inner product of two rows' features approximates the Gaussian kernel
    ``exp(-gamma * squared distance)``, so that what is linear in them is a smooth
    function of X.

    Parameters
    ----------
    n_components : int
        Canonical pairs to keep.
    n_features : int
        Random Fourier features; more approximate the kernel better.
    gamma : float, optional
        Inverse width of the kernel; by default 1 over eight times the total variance
        of X, a kernel of exp(-1/4) between rows as far apart as they are on average.
    regularisation : float
        Fraction by which each covariance is shrunk; see `CCA`.
    seed : int
        Same seed, same features.

    Attributes
    ----------
    frequencies_ : ndarray of shape (DX, n_features), float32
        Drawn from the Fourier transform of the kernel.
    phases_ : ndarray of shape (n_features,), float32
        Drawn evenly from the circle.

    References
    ----------
    A. Rahimi and B. Recht, "Random features for large-scale kernel machines", NIPS
    2007.

    D. Lopez-Paz, S. Sra, A. Smola, Z. Ghahramani and B. Schölkopf, "Randomized
    nonlinear component analysis", ICML 2014.
    """

    frequencies_: NDArray[np.float32]
    phases_: NDArray[np.float32]

    def __init__(
        self,
        n_components: int = 2,
        *,
        n_features: int = 1200,
        gamma: float | None = None,
        regularisation: float = 0.02,
        seed: int = 0,
    ) -> None:
        super().__init__(n_components, regularisation=regularisation)
        if n_features < 1:
            raise ParameterError(f"n_features is {n_features}", "draw one feature at least")
        if gamma is not None and not 0 < gamma < math.inf:
            raise ParameterError(f"gamma is {gamma:g}", "choose a finite number above 0")
        self.n_features = n_features
        self.gamma = gamma
        self.seed = seed

    def fit(
        self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> KernelCCA:
        """Draw the features and find the canonical pairs.

        Parameters
        ----------
        X : array-like of shape (N, DX)
            Rows of the side that is mapped to features; its columns should be on
            comparable scales.
        Y : array-like of shape (N, DY)
            The rows of the other side that occurred with them.
        sample_weight : array-like of shape (N,), optional
            How much each row counts; default all alike.

        Returns
        -------
        KernelCCA
            Itself.

        Raises
        ------
        ParameterError
            As `CCA.fit`, or if X does not vary.
        """
        rows = checked_rows(X, "X")
        gamma = self.gamma
        if gamma is None:
            variance = float(rows.var(axis=0, dtype=np.float64).sum()) if len(rows) else 0.0
            if variance == 0:
                raise ParameterError("X does not vary", "give different rows, or gamma")
            gamma = 1.0 / (8.0 * variance)
        random = np.random.default_rng(self.seed)
        shape = rows.shape[1], self.n_features
        # The Fourier transform of the kernel is a Gaussian of this deviation.
        self.frequencies_ = random.normal(0, math.sqrt(2 * gamma), shape).astype(np.float32)
        self.phases_ = random.uniform(0, 2 * math.pi, self.n_features).astype(np.float32)
        super().fit(rows, Y, sample_weight)
        return self

    def _lift(self, rows: Rows) -> Rows:
        if rows.shape[1] != len(self.frequencies_):
            raise ParameterError(
                f"X has {rows.shape[1]} columns",
                f"the model was fitted on {len(self.frequencies_)}",
            )
        angles = rows.astype(np.float32, copy=False) @ self.frequencies_
        angles += self.phases_
        features = np.cos(angles, out=angles)
        features *= np.float32(math.sqrt(2 / self.n_features))
        return features


def save_kernel_cca(model: KernelCCA, path: Path | str, *, overwrite: bool = False) -> None:
    """Write a fitted model as safetensors with its settings as JSON metadata."""
    from safetensors.numpy import save_file

    from avalign.files import atomic_output

    model.check_fitted()
    columns = {"x_columns": len(model.frequencies_), "y_columns": len(model.y_mean_)}
    settings = {name: getattr(model, name) for name in _SETTINGS} | columns
    # safetensors writes an array's buffer as it lies in memory.
    arrays: dict[str, NDArray[Any]] = {
        name: np.ascontiguousarray(getattr(model, f"{name}_"), dtype)
        for name, (dtype, _) in _expected_arrays(settings).items()
    }
    with atomic_output(path, overwrite) as temporary:
        save_file(arrays, temporary, metadata={"kernel_cca": json.dumps(settings)})


def load_kernel_cca(path: Path | str) -> KernelCCA:
    """Load a model written by `save_kernel_cca`; MediaError if the file is none."""
    path = Path(path)
    hint = "name a file written by save_kernel_cca"
    with open_safetensors(
        path, framework="numpy", largest_bytes=_LARGEST_FILE_BYTES, hint=hint
    ) as (file, metadata):
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    try:
        settings = parse_json(metadata.get("kernel_cca", ""))
        model = KernelCCA(**{name: settings[name] for name in _SETTINGS})
        expected = _expected_arrays(settings)
    except (ValueError, TypeError, KeyError) as error:
        raise MediaError(f"{path}: cannot read a kernel CCA: {error}", hint) from None
    for name, (dtype, shape) in expected.items():
        array = arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            wanted = f"{np.dtype(dtype)} {shape}"
            raise MediaError(f"{path}: array {name!r} should be {wanted}, found {found}", hint)
        if not np.isfinite(array).all():
            raise MediaError(f"{path}: array {name!r} holds values that are not finite", hint)
        setattr(model, f"{name}_", array)
    return model


def _expected_arrays(settings: Mapping[str, Any]) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Type and shape of every array in a file with these settings."""
    pairs, features, x_columns, y_columns = (
        operator.index(settings[name])
        for name in ("n_components", "n_features", "x_columns", "y_columns")
    )
    return {
        "frequencies": (np.float32, (x_columns, features)),
        "phases": (np.float32, (features,)),
        "x_mean": (np.float64, (features,)),
        "x_weights": (np.float64, (features, pairs)),
        "y_mean": (np.float64, (y_columns,)),
        "y_weights": (np.float64, (y_columns, pairs)),
        "correlations": (np.float64, (pairs,)),
    }
