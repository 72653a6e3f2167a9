"""Streams into the shared space, with NumPy alone."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from avalign.errors import InstallationError, MediaError
from avalign.files import atomic_output, open_safetensors
from avalign.space.encoder import encode
from avalign.space.grid import Grid, normalise, require_lips, require_mfcc, to_grid
from avalign.space.protocol import Space
from avalign.space.settings import SpaceSettings
from avalign.types import FeatureStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

SHIPPED_WEIGHTS = Path(__file__).parent / "weights" / "space.safetensors"
# Trained encoders give numbers of a few tens.
_LARGEST_ENCODED = 1e6
_LARGEST_WEIGHTS_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SpaceModel(Space):
    """Two encoders that map sound and lips to one space.

    Parameters
    ----------
    settings : SpaceSettings
        Shape of the encoders.
    weights : mapping of str to ndarray
        Trained arrays.

    References
    ----------
    A. van den Oord, Y. Li and O. Vinyals, "Representation learning with
    contrastive predictive coding", arXiv:1807.03748, 2018: the optimal InfoNCE
    critic is the pointwise mutual information.
    """

    settings: SpaceSettings
    weights: Mapping[str, NDArray[np.float32]]

    @property
    def zero_lag_s(self) -> float:  # noqa: D102 (as in `Space`)
        return self.settings.zero_lag_s

    @property
    def no_match(self) -> float:  # noqa: D102 (as in `Space`)
        return self.settings.no_match

    def embed_audio(self, mfcc: FeatureStream) -> FeatureStream:  # noqa: D102 (as in `Space`)
        settings = self.settings
        columns = settings.audio_columns
        require_mfcc(mfcc, columns)
        grid = to_grid(mfcc, settings.audio_rate_hz, settings.audio.stride)
        rows = normalise(
            grid.values[:, :columns],
            grid.valid,
            round(settings.normalisation_s * settings.audio_rate_hz),
            self.weights["audio_scale"],
            settings.prior_rows_audio,
            grid.indices,
        )
        every = grid.indices % settings.audio.stride == 0
        usable = grid.valid[every]
        encoded = self._encode(rows, grid, "audio") * usable[:, None, None]
        mask = np.broadcast_to(usable[:, None, None], (*encoded.shape[:2], 1))
        indices = grid.indices[every] // settings.audio.stride
        return self._stream(
            np.concatenate([encoded, mask], axis=2), usable, grid.start_s, indices
        )

    def embed_lips(  # noqa: D102 (as in `Space`)
        self, lips: FeatureStream, usable: NDArray[np.bool_] | None = None
    ) -> FeatureStream:
        settings = self.settings
        require_lips(lips, settings.lip_columns)
        valid = lips.valid if usable is None else lips.valid & usable
        components = lips.values @ self.weights["lip_components"]
        reduced = FeatureStream(components, lips.times_s, valid, lips.kind)
        grid = to_grid(reduced, settings.rate_hz)
        valid = grid.valid
        rows = normalise(
            grid.values,
            valid,
            round(settings.normalisation_s * settings.rate_hz),
            self.weights["lip_scale"],
            settings.prior_rows_lips,
            grid.indices,
        )
        encoded = self._encode(rows, grid, "lips") * valid[:, None, None]
        mask = np.broadcast_to(valid[:, None, None], (*encoded.shape[:2], 1))
        # The bias of one encoder is multiplied with the mask of the other.
        paired = np.concatenate([encoded[..., :-1], mask, encoded[..., -1:]], axis=2)
        scale = self.weights["score_scale"] / settings.members
        return self._stream(paired * scale[:, None], valid, grid.start_s, grid.indices)

    def _encode(
        self,
        rows: NDArray[np.float32],
        grid: Grid,
        name: Literal["audio", "lips"],
    ) -> NDArray[np.float32]:
        """Run every member's encoder: (T, members, dimensions + 1)."""
        masked = np.concatenate([rows, grid.valid[:, None].astype(np.float32)], axis=1)
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is checked
            # A gap is longer than the context that an encoder sees.
            parts = [
                [
                    encode(
                        masked[part], self.weights, f"{member}.{name}", getattr(settings, name)
                    )
                    for part in grid.parts() or [slice(0)]
                ]
                for member, settings in enumerate(self._members())
            ]
        encoded = np.stack([np.concatenate(each) for each in parts], axis=1)
        if not np.abs(encoded).max(initial=0.0) < _LARGEST_ENCODED:
            raise MediaError(
                "the weights of the shared space give numbers beyond all bounds",
                "use weights written by `avalign train space`",
            )
        return encoded

    def _members(self) -> list[SpaceSettings]:
        return [self.settings.of_member(member) for member in range(self.settings.members)]

    def _stream(
        self,
        values: NDArray[np.float32],
        valid: NDArray[np.bool_],
        start_s: float,
        indices: NDArray[np.int64],
    ) -> FeatureStream:
        flat = values.reshape(len(values), -1).astype(np.float32)
        times_s = start_s + indices / self.settings.rate_hz
        return FeatureStream(flat, times_s, valid, "embedding")


def expected_shapes(settings: SpaceSettings) -> dict[str, tuple[int, ...]]:
    """Name and shape of every array a model of these settings holds."""
    shapes: dict[str, tuple[int, ...]] = {
        "audio_scale": (settings.audio_columns,),
        "lip_components": (settings.lip_columns, settings.lip_components),
        "lip_scale": (settings.lip_components,),
        "score_scale": (settings.members,),
    }
    for member in range(settings.members):
        own = settings.of_member(member)
        for name, encoder, columns in (
            ("audio", own.audio, settings.audio_columns + 1),
            ("lips", own.lips, settings.lip_components + 1),
        ):
            prefix, width_in = f"{member}.{name}", columns
            for layer, width in enumerate(encoder.kernels):
                shapes[f"{prefix}.{layer}.weight"] = (settings.channels, width_in, width)
                shapes[f"{prefix}.{layer}.bias"] = (settings.channels,)
                width_in = settings.channels
            shapes[f"{prefix}.out.weight"] = (settings.dimensions + 1, width_in, 1)
            shapes[f"{prefix}.out.bias"] = (settings.dimensions + 1,)
    return shapes


def save_model(model: SpaceModel, path: Path | str) -> None:
    """Write a space model as safetensors.

    Parameters
    ----------
    model : SpaceModel
        The model.
    path : path-like
        The file; what was there is replaced once the new one is complete.

    Raises
    ------
    MediaError
        If it cannot be written.
    """
    from safetensors.numpy import save_file

    # safetensors writes an array's buffer as it lies in memory.
    arrays = {name: np.ascontiguousarray(array) for name, array in model.weights.items()}
    with atomic_output(path, overwrite=True) as temporary:
        save_file(arrays, temporary, metadata={"settings": model.settings.to_json()})


@lru_cache(maxsize=4)
def load_model(path: Path | str = SHIPPED_WEIGHTS) -> SpaceModel:
    """Load a space model; without an argument, the one that is shipped.

    Parameters
    ----------
    path : path-like, optional
        A file written by `avalign train space`.

    Returns
    -------
    SpaceModel
        The model.

    Raises
    ------
    MediaError
        If the file is missing, too large, or not such a file.
    InstallationError
        If that is so of the shipped one.
    """
    with blame_installation(path == SHIPPED_WEIGHTS):
        return _read_model(Path(path))


@contextmanager
def blame_installation(shipped: bool) -> Iterator[None]:
    """Turn the damage of a file that avalign brings along into what the user can mend.

    Parameters
    ----------
    shipped : bool
        Whether it is such a file.

    Yields
    ------
    None
        Once, for the block that reads the file.

    Raises
    ------
    InstallationError
        In place of the `MediaError` that the block raises, if `shipped`.
    """
    try:
        yield
    except MediaError as error:
        if not shipped:
            raise
        raise InstallationError(
            f"avalign is not installed whole: {error.message}", "reinstall avalign"
        ) from None


def _read_model(path: Path) -> SpaceModel:
    hint = "name weights written by `avalign train space`"
    with open_safetensors(
        path, framework="numpy", largest_bytes=_LARGEST_WEIGHTS_BYTES, hint=hint
    ) as (file, metadata):
        try:
            settings = SpaceSettings.from_json(metadata.get("settings", ""))
        except MediaError as error:
            raise MediaError(f"{path}: {error.message}", error.hint) from None
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    wanted = expected_shapes(settings)
    for name, shape in wanted.items():
        array = weights.get(name)
        if array is None or array.shape != shape or array.dtype != np.float32:
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise MediaError(
                f"{path}: array {name!r} should be float32 {shape}, found {found}", hint
            )
        if not np.isfinite(array).all():
            raise MediaError(f"{path}: array {name!r} holds values that are not finite", hint)
    return SpaceModel(settings, {name: weights[name] for name in wanted})
