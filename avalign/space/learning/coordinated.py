"""Two encoders into one space: a joint embedding, and coordinated representations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avalign.errors import ParameterError
from avalign.space.learning import losses
from avalign.space.learning.network import Standardiser, perceptron, stream_encoders
from avalign.space.learning.parameters import choice, count, number, widths
from avalign.space.learning.training import Objective, TorchEstimator
from avalign.space.scoring import mean_correlation, retrieval_accuracy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips

# Rows of a clip that are averaged at most, in training: a random run of them.
_LONGEST_RUN = 512


@dataclass(eq=False, kw_only=True)
class JointSpace(TorchEstimator):
    """Two encoders into one space in which partners are near and others far.

    Embeddings have unit length, so that their inner product is the cosine of the angle
    between them. Per frame, each row of sound is contrasted with the lips of other rows;
    per clip, the mean embedding of each clip with those of other clips, and `transform`
    gives one row per clip, in the order of `groups`.

    `score` is the retrieval accuracy: the fraction of sounds whose own lips, and of lips
    whose own sound, come first among all rows (per clip: all clips).

    Parameters
    ----------
    components : int
        Size of the space.
    hidden : tuple of int
        Widths of the hidden layers.
    level : str
        ``"frame"`` or ``"clip"``: what is contrasted and retrieved.
    loss : str
        ``"info_nce"``, ``"triplet"``, ``"max_margin"`` or ``"pair"``; see
        `avalign.space.learning.losses`.
    temperature : float
        What similarities are divided by in InfoNCE.
    margin : float
        Of the other losses.

    References
    ----------
    A. Frome et al., "DeViSE: a deep visual-semantic embedding model", NIPS 2013.

    A. Radford et al., "Learning transferable visual models from natural language
    supervision", ICML 2021.
    """

    name: ClassVar[str] = "joint"
    components: int = count(16, high=4096)
    hidden: tuple[int, ...] = widths((64,))
    level: str = choice("frame", "clip")
    loss: str = choice("info_nce", "triplet", "max_margin", "pair")
    temperature: float = number(0.1, above=True)
    margin: float = number(0.2, above=True)

    def _build(self, columns: Mapping[str, int]) -> nn.ModuleDict:
        return stream_encoders(columns, self.hidden, self.components)

    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        units = len(clips) if self.level == "clip" else len(streams["audio"])
        if units < 2:
            raise ParameterError(
                f"a single {self.level} has no other to be told from",
                "give groups, the clip of each row"
                if self.level == "clip"
                else "give more rows",
            )
        for stream, rows in streams.items():
            network[stream][0].adapt(rows)

        def loss_of(units: Tensor) -> Tensor:
            if self.level == "frame":
                sides = [
                    _to_unit_length(network[name](rows[units]))
                    for name, rows in streams.items()
                ]
            else:
                runs = [_random_run(clips[unit]) for unit in units.tolist()]
                sides = [
                    _clip_means(network[name], rows, runs) for name, rows in streams.items()
                ]
            return self._contrast(*sides)

        return Objective(units, loss_of)

    def _contrast(self, audio: Tensor, lips: Tensor) -> Tensor:
        """Contrast partners with the strangers of a batch, both ways."""
        if self.loss == "info_nce":
            return losses.info_nce(audio @ lips.T, self.temperature)
        if self.loss == "max_margin":
            return losses.max_margin(audio @ lips.T, self.margin)
        # The order of a batch is random, and so is the next item.
        other_lips, other_audio = lips.roll(1, 0), audio.roll(1, 0)
        if self.loss == "triplet":
            there = losses.triplet(audio, lips, other_lips, self.margin)
            return there + losses.triplet(lips, audio, other_audio, self.margin)
        distances = losses.distance(
            torch.cat([audio, audio]), torch.cat([lips, other_lips]), "euclidean"
        )
        same = torch.arange(2 * len(audio), device=audio.device) < len(audio)
        return losses.pair_contrast(distances, same, self.margin)

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        encoder = self.network_[stream]  # type: ignore[index]
        embedded = self._map(lambda batch: _to_unit_length(encoder(batch)), rows)
        if self.level == "frame":
            return embedded
        means: NDArray[np.float32] = np.stack([embedded[clip].mean(axis=0) for clip in clips])
        return means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        return retrieval_accuracy(
            self._embed("audio", audio, clips), self._embed("lips", lips, clips)
        )


@dataclass(eq=False, kw_only=True)
class RankingSpace(JointSpace):
    """A joint embedding that is learnt by ranking: by triplets unless told otherwise.

    `score` is that of `JointSpace`.

    Parameters
    ----------
    components, hidden, level, temperature, margin
        As of `JointSpace`.
    loss : str
        ``"triplet"``, ``"max_margin"``, ``"pair"`` or ``"info_nce"``.

    References
    ----------
    F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face
    recognition and clustering", CVPR 2015.
    """

    name: ClassVar[str] = "ranking"
    loss: str = choice("triplet", "max_margin", "pair", "info_nce")


@dataclass(eq=False, kw_only=True)
class CoordinatedSpace(TorchEstimator):
    """Two autoencoders whose codes are held together by a penalty.

    Each stream keeps an encoder and a decoder of its own; the squared distance between
    the codes of partners is penalised. Reconstruction keeps the codes from collapsing.

    `score` is the mean correlation between the codes of both streams.

    Parameters
    ----------
    components : int
        Size of the codes.
    hidden : tuple of int
        Widths of the hidden layers of the encoders; the decoders mirror them.
    penalty : float
        Weight of the alignment penalty against the reconstruction.

    References
    ----------
    F. Feng, X. Wang and R. Li, "Cross-modal retrieval with correspondence autoencoder",
    ACM Multimedia 2014.

    T. Baltrusaitis, C. Ahuja and L.-P. Morency, "Multimodal machine learning: a survey
    and taxonomy", IEEE TPAMI 41(2), 2019: joint and coordinated representations.
    """

    name: ClassVar[str] = "coordinated"
    components: int = count(8, high=4096)
    hidden: tuple[int, ...] = widths((64,))
    penalty: float = number(1.0)

    def _build(self, columns: Mapping[str, int]) -> nn.ModuleDict:
        parts = {}
        for stream, width in columns.items():
            parts[stream] = nn.ModuleDict(
                {
                    "standardise": Standardiser(width),
                    "encode": perceptron(width, self.hidden, self.components),
                    "decode": perceptron(self.components, self.hidden[::-1], width),
                }
            )
        return nn.ModuleDict(parts)

    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        standard = {}
        for stream, rows in streams.items():
            network[stream]["standardise"].adapt(rows)
            standard[stream] = network[stream]["standardise"](rows)

        def loss(units: Tensor) -> Tensor:
            codes, rebuilt = [], []
            for stream, rows in standard.items():
                codes.append(network[stream]["encode"](rows[units]))
                predicted = network[stream]["decode"](codes[-1])
                rebuilt.append(losses.reconstruction(predicted, rows[units]))
            return sum(rebuilt) + self.penalty * losses.alignment_penalty(*codes)

        return Objective(len(streams["audio"]), loss)

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        parts: Any = self.network_[stream]  # type: ignore[index]
        return self._map(lambda batch: parts["encode"](parts["standardise"](batch)), rows)

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        return mean_correlation(
            self._embed("audio", audio, clips), self._embed("lips", lips, clips)
        )


def _to_unit_length(rows: Tensor) -> Tensor:
    """Bring rows to unit length."""
    return functional.normalize(rows, dim=-1)


def _clip_means(encoder: nn.Module, rows: Tensor, runs: list[slice]) -> Tensor:
    """Mean embedding of each run of rows, of unit length."""
    embedded = _to_unit_length(encoder(torch.cat([rows[run] for run in runs])))
    parts = torch.split(embedded, [run.stop - run.start for run in runs])
    return _to_unit_length(torch.stack([part.mean(dim=0) for part in parts]))


def _random_run(clip: slice) -> slice:
    """Cut a run of rows from a clip, so that a long one does not exhaust the memory."""
    length = clip.stop - clip.start
    if length <= _LONGEST_RUN:
        return clip
    start = clip.start + int(torch.randint(length - _LONGEST_RUN + 1, ()))
    return slice(start, start + _LONGEST_RUN)
