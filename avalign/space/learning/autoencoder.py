"""Multimodal autoencoders: one code of whatever streams there are, and all streams from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from avalign.errors import ParameterError
from avalign.space.learning.losses import divergence_from_normal, reconstruction
from avalign.space.learning.network import Standardiser, perceptron
from avalign.space.learning.parameters import count, number, widths
from avalign.space.learning.training import Objective, TorchEstimator
from avalign.space.scoring import explained_variance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from avalign.space.cca import Rows
    from avalign.space.learning.estimator import Clips

# Codes surer or less sure than this are beyond what training can mean.
_LOG_VARIANCE = (-10.0, 10.0)


class AutoencoderNetwork(nn.Module):
    """Encoders into one code, and decoders from it, for any streams.

    The code of several streams is the mean of theirs; in the variational network, the
    product of their normal distributions and the standard normal one. So any subset of
    streams has a code, and every stream can be decoded from it. Rows are taken and given
    in the units of the streams.

    Parameters
    ----------
    dims : mapping of str to int
        Columns of each stream.
    components : int
        Size of the code.
    hidden : sequence of int, optional
        Widths of the hidden layers of the encoders; the decoders mirror them.
    variational : bool, optional
        Whether codes are distributions.

    References
    ----------
    J. Ngiam et al., "Multimodal deep learning", ICML 2011.

    M. Wu and N. Goodman, "Multimodal generative models for scalable weakly-supervised
    learning", NeurIPS 2018: the product of experts.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        components: int,
        hidden: Sequence[int] = (64,),
        *,
        variational: bool = False,
    ) -> None:
        super().__init__()
        self.variational = variational
        code = 2 * components if variational else components
        self.standardisers = nn.ModuleDict(
            {name: Standardiser(width) for name, width in dims.items()}
        )
        self.encoders = nn.ModuleDict(
            {name: perceptron(width, hidden, code) for name, width in dims.items()}
        )
        self.decoders = nn.ModuleDict(
            {name: perceptron(components, hidden[::-1], width) for name, width in dims.items()}
        )

    def adapt(self, streams: Mapping[str, Tensor]) -> None:
        """Take mean and deviation of each stream (N, D) for its scale.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (N, D)
            Rows to learn from.
        """
        for name, standardiser in self._named_standardisers().items():
            standardiser.adapt(streams[name])

    def encode(
        self, streams: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Find the code of whatever there is.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (..., D)
            One stream or more.
        masks : mapping of str to BoolTensor of shape (...), optional
            Rows that are there; default all. What stands elsewhere does not matter.

        Returns
        -------
        mean, log_variance : Tensor of shape (..., components)
            The code, and how unsure it is; the latter is 0 if not variational. Where no
            stream is there, both are 0.
        """
        standardisers = self._named_standardisers()
        total: Tensor | None = None
        for name in sorted(streams):
            rows = streams[name]
            there = torch.ones_like(rows[..., 0], dtype=torch.bool)
            if masks is not None and name in masks:
                there = masks[name]
            rows = torch.where(there[..., None], standardisers[name](rows), 0.0)
            part = self._evidence(self.encoders[name](rows)) * there[..., None]
            total = part if total is None else total + part
        if total is None:
            raise ParameterError("no stream was given", f"give one of {list(standardisers)}")
        # What the prior adds: a standard normal expert, or nothing at all.
        weighted, weight = total.chunk(2, dim=-1)
        weight = weight + 1.0 if self.variational else weight.clamp(min=1.0)
        mean = weighted / weight
        return mean, (-weight.log() if self.variational else torch.zeros_like(mean))

    def decode(self, code: Tensor) -> dict[str, Tensor]:
        """Make every stream of a code.

        Parameters
        ----------
        code : Tensor of shape (..., components)
            The code.

        Returns
        -------
        dict of str to Tensor of shape (..., D)
            Each stream, in its own units.
        """
        return {
            name: standardiser.restore(self.decoders[name](code))
            for name, standardiser in self._named_standardisers().items()
        }

    def forward(
        self, streams: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Make every stream of whatever there is.

        Parameters
        ----------
        streams, masks : mapping
            As of `encode`.

        Returns
        -------
        dict of str to Tensor of shape (..., D)
            As of `decode`.
        """
        return self.decode(self.encode(streams, masks)[0])

    def impute(
        self, streams: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Fill in what is missing, and leave alone what is there.

        Parameters
        ----------
        streams, masks : mapping
            As of `encode`. Streams that are left out are missing throughout.

        Returns
        -------
        dict of str to Tensor of shape (..., D)
            Every stream, whole.
        """
        filled = self(streams, masks)
        for name, rows in streams.items():
            there = None if masks is None else masks.get(name)
            filled[name] = (
                rows if there is None else torch.where(there[..., None], rows, filled[name])
            )
        return filled

    def loss(self, streams: Mapping[str, Tensor], divergence: float) -> Tensor:
        """Rebuild all streams from all of them, and from each alone.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (..., D)
            All streams, whole.
        divergence : float
            Weight of the divergence of the codes from the standard normal.

        Returns
        -------
        Tensor
            Mean over the subsets.
        """
        standardisers = self._named_standardisers()
        subsets = [dict(streams), *({name: rows} for name, rows in streams.items())]
        total = torch.zeros((), device=next(iter(streams.values())).device)
        for subset in subsets:
            mean, log_variance = self.encode(subset)
            code = mean
            if self.variational:
                code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
                total = total + divergence * divergence_from_normal(mean, log_variance)
            for name, rows in streams.items():
                predicted = self.decoders[name](code)
                total = total + reconstruction(predicted, standardisers[name](rows))
        return total / len(subsets)

    def _evidence(self, encoded: Tensor) -> Tensor:
        """Turn the output of one encoder into (weighted mean, weight), to be summed."""
        if not self.variational:
            return torch.cat([encoded, torch.ones_like(encoded)], dim=-1)
        mean, log_variance = encoded.chunk(2, dim=-1)
        precision = (-log_variance.clamp(*_LOG_VARIANCE)).exp()
        return torch.cat([mean * precision, precision], dim=-1)

    def _named_standardisers(self) -> dict[str, Standardiser]:
        return dict(self.standardisers.items())  # type: ignore[arg-type]


@dataclass(eq=False, kw_only=True)
class MultimodalAutoencoder(TorchEstimator):
    """One code of sound and lips from which both are rebuilt, and either from the other.

    `transform` gives the code of each stream alone, `represent` that of both together,
    and `impute` makes the stream that is missing.

    `score` is the fraction of variance that is explained when each stream is made from the
    other alone: 0 for the mean of the training data, 1 for the truth.

    Parameters
    ----------
    components : int
        Size of the code.
    hidden : tuple of int
        Widths of the hidden layers of the encoders; the decoders mirror them.

    Attributes
    ----------
    network_ : AutoencoderNetwork
        The trained network; its `impute` fills in batches of tensors with masks.

    References
    ----------
    J. Ngiam et al., "Multimodal deep learning", ICML 2011.
    """

    name: ClassVar[str] = "autoencoder"
    components: int = count(8, high=4096)
    hidden: tuple[int, ...] = widths((64,))
    network_: AutoencoderNetwork = field(init=False, repr=False)

    def impute(
        self, audio: ArrayLike | None = None, lips: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Make the missing stream, float32 [N, D], from the one that is given."""
        rows = self._checked_as_fitted({"audio": audio, "lips": lips})
        if len(rows) > 1:
            raise ParameterError("both streams were given: none is missing", "give one of them")
        [(stream, given)] = rows.items()
        return self._cross(stream, given)

    def represent(self, audio: ArrayLike, lips: ArrayLike) -> NDArray[Any]:
        """Find the code of both streams together: float32 [N, components]."""
        rows = self._checked_as_fitted({"audio": audio, "lips": lips})
        self._clips(rows, None)
        return self._map(
            lambda a, b: self.network_.encode({"audio": a, "lips": b})[0],
            rows["audio"],
            rows["lips"],
        )

    def _build(self, columns: Mapping[str, int]) -> AutoencoderNetwork:
        return AutoencoderNetwork(columns, self.components, self.hidden)

    def _divergence(self) -> float:
        return 0.0

    def _objective(
        self, network: Any, streams: Mapping[str, Tensor], clips: Clips
    ) -> Objective:
        network.adapt(streams)

        def loss(units: Tensor) -> Tensor:
            batch = {name: rows[units] for name, rows in streams.items()}
            result: Tensor = network.loss(batch, self._divergence())
            return result

        return Objective(len(streams["audio"]), loss)

    def _cross(self, stream: str, rows: Rows) -> NDArray[Any]:
        other = "lips" if stream == "audio" else "audio"
        return self._map(lambda batch: self.network_({stream: batch})[other], rows)

    def _embed(self, stream: str, rows: Rows, clips: Clips) -> Rows:
        return self._map(lambda batch: self.network_.encode({stream: batch})[0], rows)

    def _score(self, audio: Rows, lips: Rows, clips: Clips) -> float:
        explained = []
        for stream, given, missing in (("audio", audio, lips), ("lips", lips, audio)):
            other = "lips" if stream == "audio" else "audio"
            scale: Any = self.network_.standardisers[other]
            mean, deviation = scale.mean.cpu().numpy(), scale.scale.cpu().numpy()
            predicted = self._cross(stream, given)
            explained.append(explained_variance(predicted, missing, mean, deviation))
        return (explained[0] + explained[1]) / 2


@dataclass(eq=False, kw_only=True)
class MultimodalVAE(MultimodalAutoencoder):
    """A multimodal autoencoder whose codes are distributions.

    The code of both streams is the product of what each says and the prior; a stream that
    is missing leaves the code less sure. `transform` gives means.

    `score` is that of `MultimodalAutoencoder`.

    Parameters
    ----------
    components : int
        Size of the code.
    hidden : tuple of int
        Widths of the hidden layers of the encoders; the decoders mirror them.
    divergence : float
        Weight of the divergence of the codes from the standard normal, in nats, against
        the mean squared error of standardised columns.

    References
    ----------
    M. Wu and N. Goodman, "Multimodal generative models for scalable weakly-supervised
    learning", NeurIPS 2018.

    D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.
    """

    name: ClassVar[str] = "vae"
    divergence: float = number(0.01)

    def _build(self, columns: Mapping[str, int]) -> AutoencoderNetwork:
        return AutoencoderNetwork(columns, self.components, self.hidden, variational=True)

    def _divergence(self) -> float:
        return self.divergence

    def sample(
        self, audio: ArrayLike | None = None, lips: ArrayLike | None = None, *, seed: int = 0
    ) -> NDArray[Any]:
        """Draw the missing stream, float32 [N, D], without the noise of single rows."""
        rows = self._checked_as_fitted({"audio": audio, "lips": lips})
        if len(rows) > 1:
            raise ParameterError("both streams were given: none is missing", "give one of them")
        [(stream, given)] = rows.items()
        other = "lips" if stream == "audio" else "audio"
        generator = torch.Generator(self.device).manual_seed(seed)

        def draw(batch: Tensor) -> Tensor:
            mean, log_variance = self.network_.encode({stream: batch})
            noise = torch.randn(mean.shape, generator=generator, device=mean.device)
            return self.network_.decode(mean + (log_variance / 2).exp() * noise)[other]

        return self._map(draw, given)
