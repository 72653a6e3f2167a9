"""Masked modelling: hide frames of either stream, and predict them from both."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avalign.errors import ParameterError
from avalign.space.learning.losses import reconstruction
from avalign.space.learning.network import Encoder, Standardiser
from avalign.space.learning.parameters import count, number, widths
from avalign.space.learning.training import Objective, TorchEstimator, cut_windows, seeded
from avalign.space.scoring import explained_variance
from avalign.space.settings import EncoderSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips

_STREAMS = ("audio", "lips")


class MaskedNetwork(nn.Module):
    """Convolutions over time that see what is not hidden of two streams."""

    def __init__(
        self,
        columns: Mapping[str, int],
        kernels: tuple[int, ...],
        dilations: tuple[int, ...],
        components: int,
    ) -> None:
        super().__init__()
        self.standardisers = nn.ModuleDict(
            {name: Standardiser(columns[name]) for name in _STREAMS}
        )
        self.encoder = Encoder(
            sum(columns.values()) + len(_STREAMS),
            EncoderSettings(kernels, dilations),
            channels=components,
            dimensions=components,
            dropout=0.0,
        )
        self.heads = nn.ModuleDict(
            {name: nn.Linear(components, columns[name]) for name in _STREAMS}
        )

    def forward(self, streams: Mapping[str, Tensor], seen: Mapping[str, Tensor]) -> Tensor:
        """Represent what is seen, bool [B, T], of streams [B, T, D]: [B, T, components]."""
        parts = [torch.where(seen[name][..., None], streams[name], 0.0) for name in _STREAMS]
        flags = [seen[name][..., None].to(parts[0].dtype) for name in _STREAMS]
        hidden: Tensor = self.encoder(torch.cat([*parts, *flags], dim=-1))
        return functional.gelu(hidden)


@dataclass(eq=False, kw_only=True)
class MaskedSpace(TorchEstimator):
    """A representation from which hidden frames of sound and lips can be predicted.

    Runs of frames of either stream, and now and then a stream as a whole, are hidden from
    a stack of convolutions, which predicts them from what is left of both. `transform`
    represents each stream with the other hidden, `represent` both together, and `impute`
    makes the stream that is missing.

    `score` is the fraction of the variance of hidden frames that is explained: 0 for the
    mean of the training data, 1 for the truth. What is hidden follows from `seed`.

    Parameters
    ----------
    components : int
        Width of the network and of the representation.
    kernels : tuple of int
        Width of each convolution in rows; odd.
    window : int
        Rows that are seen together in training.
    hidden_share : float
        Fraction of the frames of each stream that is hidden, at most.
    run : int
        Frames that are hidden together; odd.
    hidden_streams : float
        Fraction of the windows in which one stream is hidden as a whole.

    References
    ----------
    B. Shi, W.-N. Hsu, K. Lakhotia and A. Mohamed, "Learning audio-visual speech
    representation by masked multimodal cluster prediction", ICLR 2022. (There clusters
    of frames are predicted; here, the frames.)
    """

    name: ClassVar[str] = "masked"
    components: int = count(48, high=1024)
    kernels: tuple[int, ...] = widths((5, 5, 5))
    window: int = count(50, low=2, high=4096)
    hidden_share: float = number(0.3, high=0.9, above=True)
    run: int = count(5, high=1023)
    hidden_streams: float = number(0.3, high=1.0)
    batch: int | None = count(32, low=2, optional=True)
    network_: MaskedNetwork = field(init=False, repr=False)

    def represent(
        self, audio: ArrayLike, lips: ArrayLike, groups: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Represent both streams together: float32 [N, components]."""
        rows = self._checked_as_fitted({"audio": audio, "lips": lips})
        return self._represent(rows, self._clips(rows, groups))

    def impute(
        self,
        audio: ArrayLike | None = None,
        lips: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Make the missing stream, float32 [N, D], from the one that is given."""
        rows = self._checked_as_fitted({"audio": audio, "lips": lips})
        if len(rows) > 1:
            raise ParameterError("both streams were given: none is missing", "give one of them")
        other = "lips" if "audio" in rows else "audio"
        represented = self._represent(rows, self._clips(rows, groups))
        return self._map(lambda batch: self._predict(batch, other), represented)

    def _build(self, columns: Mapping[str, int]) -> MaskedNetwork:
        for width in (*self.kernels, self.run):
            if width % 2 == 0:
                raise ParameterError(f"a width of {width} rows has no middle", "give odd ones")
        dilations = (1,) * len(self.kernels)
        return MaskedNetwork(columns, tuple(self.kernels), dilations, self.components)

    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        standard = {}
        for name, rows in streams.items():
            network.standardisers[name].adapt(rows)
            standard[name] = network.standardisers[name](rows)
        index, inside = (
            torch.as_tensor(each, device=self.device)
            for each in cut_windows(clips, self.window)
        )

        def loss(units: Tensor) -> Tensor:
            there = inside[units]
            batch = {name: rows[index[units]] for name, rows in standard.items()}
            hidden = self._hide(there)
            represented = network(batch, {name: there & ~hidden[name] for name in _STREAMS})
            missed = [
                reconstruction(
                    network.heads[name](represented), batch[name], hidden[name] & there
                )
                for name in _STREAMS
            ]
            return missed[0] + missed[1]

        return Objective(len(index), loss)

    def _hide(self, there: Tensor) -> dict[str, Tensor]:
        """Draw what is hidden of each stream, of windows (B, T)."""
        hidden = {}
        for name in _STREAMS:
            middles = (
                torch.rand(there.shape, device=there.device) < self.hidden_share / self.run
            )
            runs = functional.max_pool1d(
                middles.float()[:, None], self.run, stride=1, padding=self.run // 2
            )
            hidden[name] = runs[:, 0] > 0
        whole = torch.rand(len(there), 1, device=there.device) < self.hidden_streams
        first = torch.rand(len(there), 1, device=there.device) < 0.5
        hidden["audio"] = torch.where(whole, first, hidden["audio"])
        hidden["lips"] = torch.where(whole, ~first, hidden["lips"])
        return hidden

    @torch.no_grad()
    def _represent(
        self, rows: Mapping[str, Rows], clips: Clips, hidden: Mapping[str, Tensor] | None = None
    ) -> NDArray[Any]:
        """Represent clips one by one; streams that are not given are hidden."""
        parts = []
        for clip in clips:
            length = clip.stop - clip.start
            streams, seen = {}, {}
            for name in _STREAMS:
                shape = (1, length, self.columns_[name])
                streams[name] = torch.zeros(shape, device=self.device)
                seen[name] = torch.zeros(shape[:2], dtype=torch.bool, device=self.device)
                if name in rows:
                    standardiser: Any = self.network_.standardisers[name]
                    streams[name] = standardiser(self._tensor(rows[name][clip])[None])
                    seen[name] |= True if hidden is None else ~hidden[name][None, clip]
            parts.append(self.network_(streams, seen)[0].cpu().numpy())
        return np.concatenate(parts)

    def _predict(self, represented: Tensor, stream: str) -> Tensor:
        standardiser: Any = self.network_.standardisers[stream]
        result: Tensor = standardiser.restore(self.network_.heads[stream](represented))
        return result

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        return self._represent({stream: rows}, clips)

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        with seeded(self.seed, self.device):
            # Hidden clip by clip, so that streams are hidden as a whole in some.
            drawn = [
                self._hide(torch.ones(1, clip.stop - clip.start, device=self.device).bool())
                for clip in clips
            ]
        hidden = {name: torch.cat([each[name][0] for each in drawn]) for name in _STREAMS}
        rows = {"audio": audio, "lips": lips}
        represented = self._represent(rows, clips, hidden)
        explained = []
        for name in _STREAMS:
            chosen = hidden[name].cpu().numpy()
            if chosen.any():
                scale: Any = self.network_.standardisers[name]
                mean, deviation = scale.mean.cpu().numpy(), scale.scale.cpu().numpy()
                predicted = self._map(
                    lambda batch, name=name: self._predict(batch, name), represented[chosen]
                )
                explained.append(
                    explained_variance(predicted, rows[name][chosen], mean, deviation)
                )
        if not explained:
            raise ParameterError("too few rows to hide any of them", "give more rows")
        return float(np.mean(explained))
