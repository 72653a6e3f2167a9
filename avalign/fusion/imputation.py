"""Imputation: make what a stream lacks from the streams that are there, then fuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avalign.errors import ParameterError
from avalign.fusion.interface import Fusion, FusionInput, FusionOutput
from avalign.fusion.layers.masking import any_valid, zero_masked

if TYPE_CHECKING:
    from avalign.space import AutoencoderNetwork


class ImputingFusion(Fusion):
    """Any family, behind a generative model that fills in rows and streams that are missing.

    A row of a stream is made wherever another stream has it; where none has, it stays
    masked. The family meets complete streams and needs no practice with missing ones.

    When to use: the family was trained with all streams and cannot be trained anew, and
    one stream tells much of the other; else train with `ModalityDropout`.

    Parameters
    ----------
    fusion : Fusion
        The family; streams have to be aligned even where it could do without.
    imputer : AutoencoderNetwork
        Trained on rows of the same streams: ``network_`` of a fitted
        `avalign.space.learning.autoencoder.MultimodalAutoencoder` or `MultimodalVAE`.
    train_imputer : bool
        Let the imputer learn from the task, too; by default it stays as it is.

    Raises
    ------
    ParameterError
        If the imputer lacks a stream, or has other columns.

    References
    ----------
    M. Ma et al., "SMIL: multimodal learning with severely missing modality", AAAI 2021;
    J. Ngiam et al., "Multimodal deep learning", ICML 2011.
    """

    def __init__(
        self, fusion: Fusion, imputer: AutoencoderNetwork, *, train_imputer: bool = False
    ) -> None:
        super().__init__(fusion.dims, fusion.out_dim)
        scales: dict[str, Any] = dict(imputer.standardisers.items())
        widths = {name: scale.mean.numel() for name, scale in scales.items()}
        for name, width in self.dims.items():
            if widths.get(name) != width:
                raise ParameterError(
                    f"the imputer makes {widths.get(name, 0)} columns of stream {name!r}, "
                    f"wanted {width}",
                    "fit an autoencoder on rows of the same features",
                )
        self.fusion = fusion
        self.imputer = imputer
        imputer.requires_grad_(train_imputer)

    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Fill in, then fuse.

        Parameters
        ----------
        inputs : FusionInput
            The streams that are there, checked and clean.

        Returns
        -------
        FusionOutput
            What the wrapped family makes of all streams, the missing ones filled in.
        """
        there = any_valid(inputs.masks)
        filled = self.imputer.impute(inputs.streams, inputs.masks)
        streams = {name: zero_masked(filled[name], there) for name in self.names}
        masks = dict.fromkeys(self.names, there)
        return self.fusion.fuse(FusionInput(streams, masks, need_weights=inputs.need_weights))
