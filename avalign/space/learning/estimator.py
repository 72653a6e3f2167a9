"""The one interface of every way to learn a shared space, in scikit-learn's manner."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

import numpy as np

from avalign.errors import ParameterError
from avalign.space.cca import checked_rows
from avalign.space.learning.parameters import check_parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from avalign.space.cca import Rows

# Where each clip lies among the rows.
Clips = list[slice]
# Type and shape of an array.
Shape = tuple[type, tuple[int, ...]]


@dataclass(eq=False, kw_only=True)
class SpaceEstimator(ABC):
    """A way to learn a space in which sound and lips can be compared.

    The settings of an estimator are the arguments of its constructor, which only keeps
    them; they are checked by `fit`. What was learnt ends in an underscore.

    Rows of audio and of lips belong together one to one, on one clock: see
    `avalign.align` for how to get there. (`ContrastiveSpace` alone may take several rows
    of audio for each row of lips.) `groups` says which clip each row comes from, as
    scikit-learn's splitters by group do; estimators that look at neighbouring rows, or
    at whole clips, never mix clips.

    Attributes
    ----------
    columns_ : dict of str to int
        Columns of ``"audio"`` and ``"lips"`` that it was fitted on.
    """

    # What `save` writes down, and `list_spaces` lists.
    name: ClassVar[str]
    columns_: dict[str, int] = field(init=False, repr=False)

    def fit(self, audio: ArrayLike, lips: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Learn the space.

        Parameters
        ----------
        audio : array-like of shape (N, DA)
            Rows of sound.
        lips : array-like of shape (N, DL)
            The rows of lips that occurred with them.
        groups : array-like of shape (N,), optional
            Clip of each row; rows of a clip follow each other in time. Default: all
            rows are of one clip.

        Returns
        -------
        SpaceEstimator
            Itself.

        Raises
        ------
        ParameterError
            If a setting or the data cannot be used.
        """
        check_parameters(self)
        rows = self._checked({"audio": audio, "lips": lips})
        clips = self._clips(rows, groups)
        self.columns_ = {name: side.shape[1] for name, side in rows.items()}
        try:
            self._fit(rows["audio"], rows["lips"], clips)
        except BaseException:
            # What was learnt before and what was learnt now would not fit together.
            del self.columns_
            raise
        return self

    @overload
    def transform(
        self, audio: ArrayLike, lips: None = None, groups: ArrayLike | None = None
    ) -> Rows: ...
    @overload
    def transform(
        self, audio: None = None, *, lips: ArrayLike, groups: ArrayLike | None = None
    ) -> Rows: ...
    @overload
    def transform(
        self, audio: ArrayLike, lips: ArrayLike, groups: ArrayLike | None = None
    ) -> tuple[Rows, Rows]: ...

    def transform(
        self,
        audio: ArrayLike | None = None,
        lips: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Rows | tuple[Rows, Rows]:
        """Map rows to the space.

        Parameters
        ----------
        audio : array-like of shape (N, DA), optional
            Rows of sound.
        lips : array-like of shape (N, DL), optional
            Rows of lips.
        groups : array-like of shape (N,), optional
            Clip of each row; default: all rows are of one clip.

        Returns
        -------
        ndarray of shape (N, C), or a tuple of two
            Embeddings of the side that was given; of both, audio first, where both were.
            Each side is mapped by itself: the other does not change it.

        Raises
        ------
        ParameterError
            If nothing was given, `fit` was not called, or the columns do not fit.
        """
        rows = self._checked_as_fitted({"audio": audio, "lips": lips})
        clips = self._clips(rows, groups)
        embedded = [self._embed(name, side, clips) for name, side in rows.items()]
        return embedded[0] if len(embedded) == 1 else (embedded[0], embedded[1])

    def score(
        self, audio: ArrayLike, lips: ArrayLike, groups: ArrayLike | None = None
    ) -> float:
        """Say how good the space is on rows, such as rows not learnt from.

        Parameters
        ----------
        audio : array-like of shape (N, DA)
            Rows of sound.
        lips : array-like of shape (N, DL)
            The rows of lips that occurred with them.
        groups : array-like of shape (N,), optional
            Clip of each row; default: all rows are of one clip.

        Returns
        -------
        float
            Higher is better, 1 is perfect; the docstring of the class says what it is.

        Raises
        ------
        ParameterError
            As `transform`.
        """
        rows = self._checked_as_fitted({"audio": audio, "lips": lips})
        return self._score(rows["audio"], rows["lips"], self._clips(rows, groups))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings.

        Parameters
        ----------
        deep : bool, optional
            For scikit-learn; changes nothing here.

        Returns
        -------
        dict of str to object
            Setting by name.
        """
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}

    def set_params(self, **parameters: Any) -> Self:
        """Change settings; what was learnt stays until `fit` is called again.

        Parameters
        ----------
        **parameters : object
            New setting by name.

        Returns
        -------
        SpaceEstimator
            Itself.

        Raises
        ------
        ParameterError
            If there is no such setting.
        """
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ParameterError(
                    f"{type(self).__name__} has no setting {name!r}",
                    f"it has {', '.join(known)}",
                )
            setattr(self, name, value)
        return self

    def save(self, folder: Path | str, *, overwrite: bool = False) -> None:
        """Write what was learnt to a folder: its arrays and, as JSON, its settings.

        Parameters
        ----------
        folder : path-like
            The folder to make.
        overwrite : bool, optional
            Replace a folder that this method wrote.

        Raises
        ------
        ParameterError
            If `fit` was not called.
        MediaError
            If the folder exists or cannot be written.
        """
        from avalign.space.learning.files import write_estimator

        self.check_fitted()
        write_estimator(self, folder, overwrite=overwrite)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Load what `save` wrote.

        Parameters
        ----------
        folder : path-like
            The folder.

        Returns
        -------
        SpaceEstimator
            As it was when it was saved.

        Raises
        ------
        MediaError
            If the folder is missing, damaged, or holds an estimator of another class.
        """
        from avalign.space.learning.files import read_estimator

        return read_estimator(cls, folder)

    def check_fitted(self) -> None:
        """Raise a ParameterError unless `fit` was called."""
        if not hasattr(self, "columns_"):
            raise ParameterError("the estimator has not been fitted", "call fit first")

    @classmethod
    def parameters_from_json(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Turn settings as JSON holds them into arguments of the constructor.

        Parameters
        ----------
        parameters : mapping of str to object
            Setting by name; nobody has checked them.

        Returns
        -------
        dict of str to object
            Argument by name.
        """
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in parameters.items()
        }

    @abstractmethod
    def _fit(self, audio: Rows, lips: Rows, clips: Clips) -> None:
        """Learn from rows that have been checked."""

    @abstractmethod
    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        """Map rows of ``"audio"`` or ``"lips"`` to the space."""

    @abstractmethod
    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        """Score rows that have been checked."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was learnt, for `save`.

        Returns
        -------
        dict of str to ndarray
            Array by name.
        """

    @abstractmethod
    def expected_arrays(self) -> dict[str, Shape]:
        """Say what `arrays` holds after a fit with these settings and `columns_`.

        Returns
        -------
        dict of str to tuple
            Type and shape by name.
        """

    @abstractmethod
    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take over what was learnt.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            As `expected_arrays` wants them.
        """

    def _rows_of_audio(self) -> int:
        """Rows of audio for each row of lips."""
        return 1

    def _checked(self, sides: Mapping[str, ArrayLike | None]) -> dict[str, Rows]:
        rows = {
            name: checked_rows(side, name) for name, side in sides.items() if side is not None
        }
        if not rows:
            raise ParameterError(
                "neither audio nor lips were given", "give one of them, or both"
            )
        return rows

    def _checked_as_fitted(self, sides: Mapping[str, ArrayLike | None]) -> dict[str, Rows]:
        self.check_fitted()
        rows = self._checked(sides)
        for name, side in rows.items():
            if side.shape[1] != self.columns_[name]:
                raise ParameterError(
                    f"{name} has {side.shape[1]} columns",
                    f"the estimator was fitted on {self.columns_[name]}",
                )
        return rows

    def _clips(self, rows: Mapping[str, Rows], groups: ArrayLike | None) -> Clips:
        """Where the clips lie, in rows of the lips."""
        stride = self._rows_of_audio()
        lengths = {name: len(side) for name, side in rows.items()}
        count, rest = divmod(lengths.get("audio", 0), stride)
        if rest or ("lips" in lengths and "audio" in lengths and count != lengths["lips"]):
            raise ParameterError(
                "rows that do not belong together: "
                + " and ".join(f"{length} of {name}" for name, length in lengths.items()),
                f"give {stride} of audio for each of lips",
            )
        return cut_clips(groups, lengths.get("lips", count))


def cut_clips(groups: ArrayLike | None, count: int) -> Clips:
    """Slices of the rows of each clip, in order; ParameterError if `groups` is out of order."""
    if count == 0:
        raise ParameterError("there are no rows", "give one at least")
    if groups is None:
        return [slice(0, count)]
    labels = np.asarray(groups)
    if labels.shape != (count,):
        raise ParameterError(
            f"groups has shape {labels.shape} for {count} rows", "name the clip of each row"
        )
    edges = np.flatnonzero(labels[1:] != labels[:-1]) + 1
    bounds = [0, *edges.tolist(), count]
    if len(np.unique(labels)) != len(bounds) - 1:
        raise ParameterError(
            "the rows of a clip do not follow each other", "sort the rows by groups"
        )
    return [slice(start, end) for start, end in pairwise(bounds)]
