"""The one interface of all fusion families: checked streams in, one fused stream out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from avalign.arguments import whole
from avalign.errors import ParameterError
from avalign.fusion.layers.checks import check_shapes, check_values
from avalign.fusion.layers.masking import masked_mean, zero_masked


@dataclass(frozen=True)
class FusionInput:
    """What a family is given: streams that are checked, complete, ordered by name and clean.

    Parameters
    ----------
    streams : dict of str to Tensor of shape (B, T, D)
        Every stream of the fusion; zeros where its mask is False.
    masks : dict of str to Tensor of shape (B, T), bool
        True where the stream is there; all False where an item lacks it.
    quality : dict of str to Tensor of shape (B, T)
        How good each row of a stream is, higher is better; 0 where the mask is False, and
        only streams whose quality is known.
    need_weights : bool
        Whether attention maps are wanted.
    """

    streams: dict[str, Tensor]
    masks: dict[str, Tensor]
    quality: dict[str, Tensor] = field(default_factory=dict)
    need_weights: bool = False


@dataclass(frozen=True)
class FusionOutput:
    """The fused stream.

    Parameters
    ----------
    sequence : Tensor of shape (B, T, out_dim)
        Fused rows; zeros where `mask` is False.
    mask : Tensor of shape (B, T), bool
        True where at least one stream was there.
    pooled : Tensor of shape (B, out_dim)
        One vector per item: the mean of its valid rows, unless the family says otherwise.
    weights : dict of str to Tensor of shape (B,) or (B, T)
        Weight of each stream, where the family has such weights: they sum to 1 over the
        streams, and are 0 where a stream is missing.
    attention : dict of str to Tensor
        Attention maps (B, heads, Q, K) by name; empty unless they were asked for.
    aux_losses : dict of str to Tensor of shape ()
        Losses the family wants added to the task's.
    """

    sequence: Tensor
    mask: Tensor
    pooled: Tensor
    weights: dict[str, Tensor] = field(default_factory=dict)
    attention: dict[str, Tensor] = field(default_factory=dict)
    aux_losses: dict[str, Tensor] = field(default_factory=dict)


# Lets torch.export and ONNX take the output apart.
torch.export.register_dataclass(
    FusionOutput, serialized_type_name="avalign.fusion.FusionOutput"
)


def make_output(
    sequence: Tensor,
    mask: Tensor,
    *,
    weights: dict[str, Tensor] | None = None,
    attention: dict[str, Tensor] | None = None,
    aux_losses: dict[str, Tensor] | None = None,
) -> FusionOutput:
    """Zero what is masked of a family's rows (B, T, out_dim), and pool the rest by its mean."""
    sequence = zero_masked(sequence, mask)
    return FusionOutput(
        sequence,
        mask,
        masked_mean(sequence, mask),
        weights or {},
        attention or {},
        aux_losses or {},
    )


class Fusion(nn.Module, ABC):
    """Base of all families: checks and cleans what comes in, once for all of them.

    A family implements `fuse`, in a file of its own, and has one line in the registry. Most
    families also take ``dropout : float``, the fraction of hidden values that is dropped in
    training (0 by default).

    Parameters
    ----------
    dims : mapping of str to int
        Width of each stream, by name. Any number of streams, any names; their order is
        that of their names, never that of a dict.
    out_dim : int
        Width of the fused rows.

    Attributes
    ----------
    aligned : bool
        Class attribute: streams must have equally many rows. False in families that find
        out themselves which rows belong together.
    uses_quality : bool
        Class attribute: the family takes `quality`.
    names : tuple of str
        Streams, in order.

    Raises
    ------
    ParameterError
        If a width is not a positive integer, or there is no stream.
    """

    aligned: ClassVar[bool] = True
    uses_quality: ClassVar[bool] = False

    def __init__(self, dims: Mapping[str, int], out_dim: int) -> None:
        super().__init__()
        if not dims:
            raise ParameterError(
                "dims names no stream", 'give widths, such as dims={"audio": 39, "lips": 120}'
            )
        self.names = tuple(sorted(dims))
        self.dims = {
            name: whole(dims[name], f"the width of {name!r}", least=1) for name in self.names
        }
        self.out_dim = whole(out_dim, "out_dim", least=1)

    @abstractmethod
    def fuse(self, inputs: FusionInput) -> FusionOutput:
        """Fuse clean streams; each family implements this.

        Parameters
        ----------
        inputs : FusionInput
            Checked streams and masks.

        Returns
        -------
        FusionOutput
            Usually made by `make_output`.
        """

    def forward(
        self,
        streams: Mapping[str, Tensor],
        masks: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        *,
        quality: Mapping[str, Tensor] | None = None,
        need_weights: bool = False,
    ) -> FusionOutput:
        """Fuse streams.

        Parameters
        ----------
        streams : mapping of str to Tensor of shape (B, T, D)
            Rows of each stream. A stream that the whole batch lacks may be left out.
        masks : mapping of str to Tensor of shape (B, T), bool, optional
            True where a row is valid; everywhere for streams that are not named. What
            stands in other rows does not matter, NaN included.
        present : mapping of str to Tensor of shape (B,), bool, optional
            True where an item has the stream at all; everywhere by default.
        quality : mapping of str to Tensor of shape (B, T), optional
            How good each row is, higher is better, such as an SNR in dB or the confidence
            of landmarks; only for families with `uses_quality`.
        need_weights : bool
            Compute attention maps too.

        Returns
        -------
        FusionOutput
            Fused rows, their mask, one vector per item, and what the family tells beside.

        Raises
        ------
        ParameterError
            If a stream has the wrong rank, width, batch or length, is not finite where it
            is valid, has a mask of the wrong type or shape, or an item has no stream at
            all. Not checked in compiled and exported models.
        """
        masks, present, quality = masks or {}, present or {}, quality or {}
        if not torch.compiler.is_compiling():
            if quality and not self.uses_quality:
                raise ParameterError(
                    f"{type(self).__name__} does not use quality",
                    'leave it out, or build_fusion("quality_weights", ...)',
                )
            check_shapes(
                streams,
                masks,
                present,
                quality,
                dims=self.dims,
                aligned=self.aligned,
                weight=next(self.parameters(), None),
            )
        inputs = self._clean(streams, masks, present, quality, need_weights)
        if not torch.compiler.is_compiling():
            check_values(inputs.streams, inputs.masks, inputs.quality)
        return self.fuse(inputs)

    def _clean(
        self,
        streams: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        present: Mapping[str, Tensor],
        quality: Mapping[str, Tensor],
        need_weights: bool,
    ) -> FusionInput:
        """Complete, order and zero the streams."""
        some = next(streams[name] for name in self.names if name in streams)
        clean, valid = {}, {}
        for name in self.names:
            values = streams.get(name)
            if values is None:
                clean[name] = some.new_zeros((*some.shape[:2], self.dims[name]))
                valid[name] = torch.zeros_like(some[..., 0], dtype=torch.bool)
                continue
            mask = masks.get(name)
            if mask is None:
                mask = torch.ones_like(values[..., 0], dtype=torch.bool)
            if name in present:
                mask = mask & present[name][:, None]
            clean[name] = zero_masked(values, mask)
            valid[name] = mask
        known = {
            name: quality[name].masked_fill(~valid[name], 0.0)
            for name in self.names
            if name in quality and name in streams
        }
        return FusionInput(clean, valid, known, need_weights)
