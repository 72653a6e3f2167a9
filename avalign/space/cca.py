"""Canonical correlation analysis: the linear maps under which two streams agree best."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike, NDArray

    Rows: TypeAlias = NDArray[np.float32] | NDArray[np.float64]

# Rows that are brought to double precision at once.
_ROWS_AT_ONCE = 4096


class CCA:
    """Canonical correlation analysis with shrunk covariances and weighted rows.

    Both sides are whitened by the eigen-decomposition of their covariance; what is
    left to correlate is read off the singular values of the whitened
    cross-covariance. Without regularisation the correlations do not change under
    invertible linear maps of either side.

    Parameters
    ----------
    n_components : int
        Canonical pairs to keep.
    regularisation : float
        Fraction by which the covariances are shrunk: those of each side towards a multiple
        of the identity of the same trace, that between the sides towards 0; 0 to 1.

    Attributes
    ----------
    x_mean_, y_mean_ : ndarray of shape (DX,) and (DY,), float64
        Weighted means.
    x_weights_, y_weights_ : ndarray of shape (DX, n_components) and (DY, n_components)
        Directions, best pair first; the scores along each have unit variance, as the
        shrunk covariance sees it. The largest weight of each in ``x_weights_`` is
        positive.
    correlations_ : ndarray of shape (n_components,), float64
        Canonical correlations under the shrunk covariances, decreasing.

    References
    ----------
    H. Hotelling, "Relations between two sets of variates", Biometrika 28, 1936.

    O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices", Journal of Multivariate Analysis 88, 2004.
    """

    x_mean_: NDArray[np.float64]
    y_mean_: NDArray[np.float64]
    x_weights_: NDArray[np.float64]
    y_weights_: NDArray[np.float64]
    correlations_: NDArray[np.float64]

    def __init__(self, n_components: int = 2, *, regularisation: float = 0.0) -> None:
        if n_components < 1:
            raise ParameterError(f"n_components is {n_components}", "keep one pair at least")
        if not 0.0 <= regularisation <= 1.0:
            raise ParameterError(f"regularisation is {regularisation:g}", "choose 0 to 1")
        self.n_components = n_components
        self.regularisation = regularisation

    def fit(self, X: ArrayLike, Y: ArrayLike, sample_weight: ArrayLike | None = None) -> CCA:
        """Find the canonical pairs.

        Parameters
        ----------
        X : array-like of shape (N, DX)
            Rows of one side.
        Y : array-like of shape (N, DY)
            The rows of the other side that occurred with them.
        sample_weight : array-like of shape (N,), optional
            How much each row counts; default all alike.

        Returns
        -------
        CCA
            Itself.

        Raises
        ------
        ParameterError
            If the shapes do not fit, a number is not finite, or the rows do not span
            as many pairs as were asked for.
        """
        left, right = self._lift(checked_rows(X, "X")), checked_rows(Y, "Y")
        weights = _checked_weights(left, right, sample_weight)
        x_mean, y_mean = weights @ left, weights @ right
        xx, xy, yy = _covariances(left, right, x_mean, y_mean, weights)
        x_whitening = _whitening(xx, self.regularisation)
        y_whitening = _whitening(yy, self.regularisation)
        pairs = min(x_whitening.shape[1], y_whitening.shape[1])
        if pairs < self.n_components:
            raise ParameterError(
                f"the rows span {pairs} canonical pairs, not {self.n_components}",
                "lower n_components, or give more rows or columns",
            )
        # The identity has no cross-covariance: shrinking towards it lowers all correlations.
        whitened = (1.0 - self.regularisation) * (x_whitening.T @ xy @ y_whitening)
        turn_x, correlations, turn_y = np.linalg.svd(whitened, full_matrices=False)
        used = slice(self.n_components)
        x_weights = x_whitening @ turn_x[:, used]
        # The sign of a pair is free: fix it, so that the same data give the same scores.
        largest = np.abs(x_weights).argmax(axis=0)
        signs = np.sign(x_weights[largest, np.arange(self.n_components)])
        self.x_mean_, self.y_mean_ = x_mean, y_mean
        self.x_weights_ = x_weights * signs
        self.y_weights_ = y_whitening @ turn_y[used].T * signs
        self.correlations_ = np.minimum(correlations[used], 1.0)
        return self

    @overload
    def transform(self, X: ArrayLike, Y: None = None) -> NDArray[np.float64]: ...
    @overload
    def transform(self, X: None = None, *, Y: ArrayLike) -> NDArray[np.float64]: ...
    @overload
    def transform(
        self, X: ArrayLike, Y: ArrayLike
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

    def transform(
        self, X: ArrayLike | None = None, Y: ArrayLike | None = None
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project rows onto the canonical directions.

        Parameters
        ----------
        X : array-like of shape (N, DX), optional
            Rows of one side.
        Y : array-like of shape (M, DY), optional
            Rows of the other side.

        Returns
        -------
        ndarray of shape (N or M, n_components), float64, or a tuple of two
            Scores of the side that was given; of both, X first, where both were.

        Raises
        ------
        ParameterError
            If nothing was given, `fit` was not called, or the columns do not fit.
        """
        if X is None and Y is None:
            raise ParameterError("neither X nor Y was given", "give one of them, or both")
        self.check_fitted()
        scores = []
        if X is not None:
            scores.append(
                _project(self._lift(checked_rows(X, "X")), self.x_mean_, self.x_weights_, "X")
            )
        if Y is not None:
            scores.append(_project(checked_rows(Y, "Y"), self.y_mean_, self.y_weights_, "Y"))
        return scores[0] if len(scores) == 1 else (scores[0], scores[1])

    def score(self, X: ArrayLike, Y: ArrayLike) -> NDArray[np.float64]:
        """Correlation of each canonical pair over rows, such as rows not learnt from.

        Parameters
        ----------
        X : array-like of shape (N, DX)
            Rows of one side.
        Y : array-like of shape (N, DY)
            The rows of the other side that occurred with them.

        Returns
        -------
        ndarray of shape (n_components,), float64
            Pearson correlations; 0 where a score does not vary.

        Raises
        ------
        ParameterError
            As `transform`, or if X and Y differ in length.
        """
        x_scores, y_scores = self.transform(X, Y)
        _checked_weights(x_scores, y_scores, None)
        x_scores -= x_scores.mean(axis=0)
        y_scores -= y_scores.mean(axis=0)
        spread = np.sqrt((x_scores**2).sum(axis=0) * (y_scores**2).sum(axis=0))
        product = (x_scores * y_scores).sum(axis=0)
        return np.divide(product, spread, out=np.zeros(len(spread)), where=spread > 0)

    def _lift(self, rows: Rows) -> Rows:
        """Map rows of X to what is correlated with Y: here, to themselves."""
        return rows

    def check_fitted(self) -> None:
        """Raise a ParameterError unless `fit` was called."""
        if not hasattr(self, "correlations_"):
            raise ParameterError("the model has not been fitted", "call fit first")


def checked_rows(values: ArrayLike, name: str) -> Rows:
    """Return finite rows in single precision if they are, in double otherwise.

    Parameters
    ----------
    values : array-like of shape (rows, columns)
        One observation a row.
    name : str
        What messages call them.

    Returns
    -------
    ndarray of shape (rows, columns)
        The rows, float32 or float64.

    Raises
    ------
    ParameterError
        The array has other than two dimensions, or holds NaN or infinity.
    """
    rows = np.asarray(values)
    if rows.dtype != np.float32:
        rows = rows.astype(np.float64)
    if rows.ndim != 2:
        raise ParameterError(f"{name} has shape {rows.shape}", "give rows by columns")
    if not np.isfinite(rows).all():
        raise ParameterError(f"{name} holds values that are not finite", "leave those rows out")
    return rows


def _checked_weights(left: Rows, right: Rows, weights: ArrayLike | None) -> NDArray[np.float64]:
    """Weights of the rows, summing to one."""
    if len(left) != len(right) or len(left) < 2:
        raise ParameterError(
            f"X has {len(left)} rows and Y {len(right)}", "give as many of each, two or more"
        )
    if weights is None:
        return np.full(len(left), 1.0 / len(left))
    result = np.asarray(weights, np.float64)
    if result.shape != (len(left),) or not (np.isfinite(result).all() and (result >= 0).all()):
        raise ParameterError(
            f"sample_weight has shape {result.shape} for {len(left)} rows",
            "give one finite number per row, none below 0",
        )
    if (total := result.sum()) <= 0:
        raise ParameterError("all sample weights are 0", "let some rows count")
    return result / total


def _covariances(
    left: Rows,
    right: Rows,
    x_mean: NDArray[np.float64],
    y_mean: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sum the products of centred rows, few at a time, in double precision."""
    xx = np.zeros((len(x_mean), len(x_mean)))
    xy = np.zeros((len(x_mean), len(y_mean)))
    yy = np.zeros((len(y_mean), len(y_mean)))
    for start in range(0, len(weights), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        x, y = left[rows] - x_mean, right[rows] - y_mean
        weighted = x.T * weights[rows]
        xx += weighted @ x
        xy += weighted @ y
        yy += (y.T * weights[rows]) @ y
    return xx, xy, yy


def _whitening(covariance: NDArray[np.float64], shrinkage: float) -> NDArray[np.float64]:
    """Columns that turn rows of this covariance, shrunk, into uncorrelated unit rows."""
    size = len(covariance)
    shrunk = (1.0 - shrinkage) * covariance
    shrunk[np.diag_indices(size)] += shrinkage * np.trace(covariance) / size
    variances, directions = np.linalg.eigh(shrunk)
    # Columns that depend on each other leave directions that hold nothing but rounding.
    used = variances > variances[-1] * size * np.finfo(np.float64).eps
    result: NDArray[np.float64] = directions[:, used] / np.sqrt(variances[used])
    return result


def _project(
    rows: Rows,
    mean: NDArray[np.float64],
    weights: NDArray[np.float64],
    name: str,
) -> NDArray[np.float64]:
    if rows.shape[1] != len(mean):
        raise ParameterError(
            f"{name} has {rows.shape[1]} columns", f"the model was fitted on {len(mean)}"
        )
    result: NDArray[np.float64] = (rows - mean) @ weights
    return result
