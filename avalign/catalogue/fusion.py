"""Rows F1 to F19: one entry per family of the registry of fusions."""

from avalign.catalogue.entry import Method
from avalign.fusion import FAMILIES, Family, read_ranks

_SNIPPET = """\
import torch
from avalign.fusion import build_fusion

dims = {{"audio": 39, "lips": 120}}
fusion = build_fusion("{name}", dims=dims, out_dim=32)
streams = {{name: torch.randn(2, 50, width) for name, width in dims.items()}}
present = {{"lips": torch.tensor([True, False])}}  # the second clip has no picture
fused = fusion(streams, present=present)
print(fused.sequence.shape, fused.pooled.shape)
"""


def _method(family: Family) -> Method:
    rank = read_ranks().get(family.name)
    return Method(
        family.row,
        family.name,
        family.title,
        family.when,
        family.source,
        family.home,
        _SNIPPET.format(name=family.name),
        None if rank is None else rank.place,
        "" if rank is None else str(rank),
    )


METHODS = tuple(_method(family) for family in FAMILIES)
