"""The recogniser: an encoder per stream, any fusion, and heads for speech and emotion."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from avalign.errors import MediaError, ParameterError
from avalign.fusion import FusionOutput, build_fusion
from avalign.fusion.masking import any_valid, mask_to_lengths, masked_mean, zero_masked
from avalign.tasks.encoders import BidirectionalGRU, StreamEncoder
from avalign.tasks.heads import Answers, Heads
from avalign.tasks.pooling import StatisticsPooling
from avalign.tasks.settings import RecognizerSettings, settings_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

__all__ = ["Answers", "Recognition", "Recognizer", "load_model", "save_model"]

SETTINGS_NAME = "model.json"
WEIGHTS_NAME = "model.safetensors"
_LARGEST_SETTINGS_BYTES = 16 * 2**20
_LARGEST_WEIGHTS_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Recognition:
    """Everything a recogniser tells of a batch.

    Attributes
    ----------
    answers : Answers
        What all streams together say.
    lengths : Tensor of shape (B,), int64
        Rows of each item, up to the last in which any stream is valid.
    fusion : FusionOutput
        What the fusion gave: weights of the streams, attention, its own losses. It has
        one row for every `stride` rows of the model.
    unimodal : dict of str to Answers
        What each stream says on its own, where the model has such heads.
    present : dict of str to Tensor of shape (B,), bool
        Which items have the stream.
    """

    answers: Answers
    lengths: Tensor
    fusion: FusionOutput
    unimodal: dict[str, Answers]
    present: dict[str, Tensor]


class Recognizer(nn.Module):
    """Streams in, characters, classes or numbers out.

    Each stream has an encoder of its own, and what the stream is like over the whole clip
    is added to its rows if the settings say so; a fusion family joins them; a recurrent
    layer reads the fused rows, unless the settings say otherwise; heads answer. Streams may
    be missing, as a whole or in rows, and standardisation is inside: it takes features as
    they are extracted.

    Parameters
    ----------
    settings : RecognizerSettings
        Its shape.

    Raises
    ------
    ParameterError
        If there is no such fusion, or it cannot be built as told.
    """

    def __init__(self, settings: RecognizerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.names = tuple(sorted(settings.streams))
        units, wide = settings.width, 2 * settings.width
        self.encoders = nn.ModuleList(
            StreamEncoder(settings.streams[name], units, settings.dropout, settings.stride)
            for name in self.names
        )
        self.statistics = nn.ModuleList(
            StatisticsPooling(settings.streams[name], wide, settings.dropout)
            for name in self.names
            if settings.statistics
        )
        dims = dict.fromkeys(self.names, wide)
        self.fusion = build_fusion(settings.fusion, dims, wide, **settings.fusion_options)
        self.context = _Context(wide, settings.dropout) if settings.context else None
        self.heads = Heads(settings, wide, 2 * wide)
        self.unimodal = nn.ModuleList(
            Heads(settings, wide, wide) for _ in self.names if settings.unimodal
        )

    def forward(
        self,
        streams: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        *,
        need_weights: bool = False,
    ) -> Recognition:
        """Recognise a batch.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (B, T, D)
            Features on the common clock; a stream that the whole batch lacks may be left
            out.
        masks : mapping of str to Tensor of shape (B, T), bool, optional
            True where a row is valid; everywhere by default.
        present : mapping of str to Tensor of shape (B,), bool, optional
            True where an item has the stream; by default where any row is valid.
        need_weights : bool
            Compute attention maps too.

        Returns
        -------
        Recognition
            Answers and what the fusion tells.

        Raises
        ------
        ParameterError
            If there is no stream, one the model does not know, or one of another shape;
            also as `avalign.fusion.Fusion`.
        """
        if not torch.compiler.is_compiling():
            self._check(streams)
        valid = {
            name: _mask(streams[name], name, masks, present)
            for name in self.names
            if name in streams
        }
        lengths = mask_to_lengths(any_valid(valid))
        coarse = {name: _coarse(mask, self.settings.stride) for name, mask in valid.items()}
        coarse_lengths = mask_to_lengths(any_valid(coarse))
        encoded = {
            name: encoder(streams[name], valid[name], coarse[name], coarse_lengths)
            for name, encoder in zip(self.names, self.encoders, strict=True)
            if name in streams
        }
        for name, statistics in zip(self.names, self.statistics, strict=False):
            if name in streams:
                whole = statistics(streams[name], valid[name])
                encoded[name] = zero_masked(encoded[name] + whole[:, None], coarse[name])
        fused = self.fusion(encoded, coarse, need_weights=need_weights)
        rows = fused.sequence
        if self.context is not None:
            rows = self.context(rows, coarse_lengths)
        summary = torch.cat([fused.pooled, masked_mean(rows, fused.mask)], dim=-1)
        n_rows = next(iter(valid.values())).shape[1]
        unimodal = {
            name: heads(encoded[name], masked_mean(encoded[name], coarse[name]), n_rows)
            for name, heads in zip(self.names, self.unimodal, strict=False)
            if name in streams
        }
        there = {name: mask.any(dim=1) for name, mask in valid.items()}
        answers = self.heads(rows, summary, n_rows)
        return Recognition(answers, lengths, fused, unimodal, there)

    def fit_standardisation(self, clips: Iterable[Mapping[str, tuple[Tensor, Tensor]]]) -> None:
        """Measure means, scales, components and statistics on the training data.

        Parameters
        ----------
        clips : iterable of mapping of str to (Tensor (T, D), bool Tensor (T,))
            Rows and masks of each clip by stream.
        """
        clips = list(clips)
        for name, encoder in zip(self.names, self.encoders, strict=True):
            encoder.standardise.fit(clip[name] for clip in clips if name in clip)  # type: ignore[operator, union-attr]
        for name, statistics in zip(self.names, self.statistics, strict=False):
            statistics.fit(clip[name] for clip in clips if name in clip)  # type: ignore[operator]

    def _check(self, streams: Mapping[str, Tensor]) -> None:
        if not streams:
            raise ParameterError(
                "all streams are missing", f"give at least one of {', '.join(self.names)}"
            )
        for name, values in streams.items():
            if name not in self.settings.streams:
                raise ParameterError(
                    f"the model reads no stream {name!r}", f"it reads {', '.join(self.names)}"
                )
            columns = self.settings.streams[name].columns
            if values.ndim != 3 or values.shape[2] != columns:
                raise ParameterError(
                    f"stream {name!r} has shape {tuple(values.shape)}, "
                    f"wanted (B, T, {columns})",
                    f"its rows are {self.settings.streams[name].feature!r}",
                )


class _Context(nn.Module):
    """A recurrent layer over the fused rows."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(width, width)
        self.recurrent = BidirectionalGRU(width, width // 2)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor, lengths: Tensor) -> Tensor:
        """Read rows of shape (B, T, width); the result has the same shape."""
        projected = nn.functional.gelu(self.project(rows))
        return self.dropout(self.recurrent(projected, lengths))


def save_model(
    model: Recognizer, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write a model: ``model.safetensors`` and ``model.json`` in a folder.

    Parameters
    ----------
    model : Recognizer
        The model.
    folder : path-like
        Where to; made if it is missing.
    overwrite : bool
        Replace a model that is there.

    Raises
    ------
    MediaError
        If a file exists already or cannot be written.
    """
    from safetensors.torch import save_file

    from avalign.media import atomic_output

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(
            f"{folder}: cannot be made: {error.strerror}", "name another folder"
        ) from error
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()
    }
    with (
        atomic_output(folder / WEIGHTS_NAME, overwrite) as weights,
        atomic_output(folder / SETTINGS_NAME, overwrite) as settings,
    ):
        save_file(state, weights, {"settings": model.settings.digest})
        settings.write_text(model.settings.to_json(), encoding="utf-8")


def load_model(
    folder: str | os.PathLike[str], *, device: str | torch.device = "cpu"
) -> Recognizer:
    """Read a model that `save_model` wrote; nothing in the files is executed.

    Parameters
    ----------
    folder : path-like
        The folder.
    device : str or torch.device
        Where the model is to compute.

    Returns
    -------
    Recognizer
        The model, ready to recognise (in ``eval`` mode).

    Raises
    ------
    MediaError
        If the files are missing, damaged, too large, or do not belong together.
    """
    folder = Path(folder)
    try:
        text = _read_text(folder / SETTINGS_NAME)
        settings = RecognizerSettings.from_json(text)
        # Without memory: whether settings and weights agree is known before any is taken.
        with torch.device("meta"):
            model = Recognizer(settings)
    except (ParameterError, RuntimeError) as error:
        message = error.message if isinstance(error, ParameterError) else str(error)
        raise MediaError(f"{folder / SETTINGS_NAME}: {message}", _HINT) from None
    state = _read_weights(folder / WEIGHTS_NAME, model, settings_digest(text))
    model.load_state_dict(state, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_()
    return model.to(device).eval()


_HINT = "name a folder that `avalign train speech` or `avalign train emotion` wrote"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_SETTINGS_BYTES + 1)
        if len(content) > _LARGEST_SETTINGS_BYTES:
            raise MediaError(f"{path}: too large for the settings of a model", _HINT)
        return content.decode("utf-8")
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}", _HINT) from error
    except UnicodeDecodeError as error:
        raise MediaError(f"{path}: is not UTF-8 text", _HINT) from error


def _read_weights(path: Path, model: Recognizer, wanted_digest: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError, safe_open

    try:
        if path.stat().st_size > _LARGEST_WEIGHTS_BYTES:
            raise MediaError(f"{path}: too large for the weights of a model", _HINT)
        with safe_open(path, framework="pt") as file:
            digest = (file.metadata() or {}).get("settings")
            if digest != wanted_digest:
                raise MediaError(
                    f"{path}: belongs to another configuration than {SETTINGS_NAME} beside it",
                    "restore the two files that were written together",
                )
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MediaError(f"{path}: cannot be read: {error}", _HINT) from None
    wanted = model.state_dict()
    for name in [*wanted, *state]:
        tensor, model_tensor = state.get(name), wanted.get(name)
        want = None if model_tensor is None else tuple(model_tensor.shape)
        found = None if tensor is None else tuple(tensor.shape)
        if tensor is None or model_tensor is None or want != found:
            raise MediaError(f"{path}: array {name!r} is {found}, wanted {want}", _HINT)
        if tensor.dtype != model_tensor.dtype or not bool(tensor.isfinite().all()):
            raise MediaError(
                f"{path}: array {name!r} is {tensor.dtype} or holds values that are not finite",
                _HINT,
            )
    return state


def _mask(
    values: Tensor,
    name: str,
    masks: Mapping[str, Tensor] | None,
    present: Mapping[str, Tensor] | None,
) -> Tensor:
    """Where a stream is valid, for the items that have it."""
    mask = (masks or {}).get(name)
    if mask is None:
        mask = torch.ones_like(values[..., 0], dtype=torch.bool)
    if present and name in present:
        mask = mask & present[name][:, None]
    return mask


def _coarse(mask: Tensor, stride: int) -> Tensor:
    """Whether any of every `stride` rows is valid."""
    padded = nn.functional.pad(mask, (0, -mask.shape[1] % stride))
    return padded.reshape(padded.shape[0], -1, stride).any(dim=2)
