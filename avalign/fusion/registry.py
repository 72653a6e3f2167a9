"""Every fusion family, by name; importing this costs no torch."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from avalign.errors import ParameterError
from avalign.types import MethodEntry, closest_names, find_entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from avalign.fusion.interface import Fusion


@dataclass(frozen=True, slots=True)
class Family(MethodEntry):
    """One family of fusion.

    Parameters
    ----------
    row, name, title, when, source, home : str
        As in `MethodEntry`; the row is such as "F1", and `home` a subclass of `Fusion`.
    combines : {"features", "decisions"}
        What is fused: the features of the streams, or decisions made from each stream
        alone. Decisions need no context in time beside.
    """

    combines: Literal["features", "decisions"] = "features"


FAMILIES = (
    Family(
        "F1",
        "early",
        "Early fusion (concatenation of features)",
        "The first thing to try: streams are aligned, rarely missing, and clean.",
        "S. Dupont and J. Luettin, IEEE Transactions on Multimedia 2(3), 2000",
        "avalign.fusion.families.early:EarlyFusion",
    ),
    Family(
        "F2",
        "late_average",
        "Late fusion: average",
        "Streams that are reliable alone, often missing, or trained apart.",
        "J. Kittler et al., IEEE TPAMI 20(3), 1998",
        "avalign.fusion.families.late:LateAverageFusion",
        combines="decisions",
    ),
    Family(
        "F2",
        "late_weighted",
        "Late fusion: weighted average",
        "As late_average, where one stream is better than another throughout.",
        "G. Potamianos et al., Proceedings of the IEEE 91(9), 2003",
        "avalign.fusion.families.late:LateWeightedFusion",
        combines="decisions",
    ),
    Family(
        "F3",
        "late_voting",
        "Late fusion: majority vote",
        "Three streams or more, one of which may fail with high confidence.",
        "L. Lam and C. Y. Suen, IEEE Transactions on SMC A 27(5), 1997",
        "avalign.fusion.families.late:LateVotingFusion",
        combines="decisions",
    ),
    Family(
        "F4",
        "late_stacking",
        "Late fusion: stacking (a meta-classifier)",
        "Streams whose errors depend on each other, or on the class.",
        "D. H. Wolpert, Neural Networks 5(2), 1992",
        "avalign.fusion.families.late:LateStackingFusion",
        combines="decisions",
    ),
    Family(
        "F5",
        "two_stream",
        "Two-stream network",
        "Streams of different nature that each need context in time.",
        "K. Simonyan and A. Zisserman, NeurIPS 2014",
        "avalign.fusion.families.two_stream:TwoStreamFusion",
    ),
    Family(
        "F6",
        "hybrid",
        "Hybrid fusion (early and late)",
        "Streams interact, but each must carry the answer alone when others are missing.",
        "P. K. Atrey et al., Multimedia Systems 16, 2010",
        "avalign.fusion.families.hybrid:HybridFusion",
    ),
    Family(
        "F7",
        "additive_attention",
        "Additive attention over streams and time",
        "Which stream can be trusted changes over time, and the weights should be readable.",
        "D. Bahdanau et al., ICLR 2015; C. Hori et al., ICCV 2017",
        "avalign.fusion.families.attention.additive:AdditiveAttentionFusion",
    ),
    Family(
        "F8",
        "self_attention",
        "Multi-head self-attention over streams and time",
        "Short clips and much data; what belongs together may lie in any stream at any time.",
        "A. Vaswani et al., NeurIPS 2017",
        "avalign.fusion.families.attention.self_attention:SelfAttentionFusion",
    ),
    Family(
        "F9",
        "cross_attention",
        "Cross-attention, with a window in time",
        "One stream is the main one; the others lie at a lag that is unknown, or changes.",
        "G. Sterpu et al., ICMI 2018",
        "avalign.fusion.families.attention.cross_attention:CrossAttentionFusion",
    ),
    Family(
        "F10",
        "co_attention",
        "Co-attention (both ways)",
        "Streams of equal standing that explain each other; few parameters.",
        "J. Lu et al., NeurIPS 2016 and 2019",
        "avalign.fusion.families.attention.co_attention:CoAttentionFusion",
    ),
    Family(
        "F11",
        "multimodal_transformer",
        "Multimodal transformer (MulT)",
        "Much data, streams of different rates or unaligned, each explaining the others.",
        "Y.-H. H. Tsai et al., ACL 2019",
        "avalign.fusion.families.attention.multimodal:MultimodalTransformerFusion",
    ),
    Family(
        "F11",
        "bottleneck_transformer",
        "Bottleneck transformer (MBT)",
        "Long or many streams, for which attention from all to all costs or overfits.",
        "A. Nagrani et al., NeurIPS 2021",
        "avalign.fusion.families.attention.bottleneck:BottleneckTransformerFusion",
    ),
    Family(
        "F12",
        "gated_cross_attention",
        "Gated cross-attention (Flamingo)",
        "The target does well alone, or is pretrained, and must not be upset at first.",
        "J.-B. Alayrac et al., NeurIPS 2022",
        "avalign.fusion.families.attention.gated:GatedCrossAttentionFusion",
    ),
    Family(
        "F13",
        "modality_gates",
        "Modality gates (mixture of experts)",
        "Which stream is informative changes over time, and you want to see which it was.",
        "R. A. Jacobs et al., Neural Computation 3(1), 1991",
        "avalign.fusion.families.modality_gates:ModalityGatesFusion",
    ),
    Family(
        "F14",
        "gmu",
        "Gated multimodal unit",
        "A light unit that chooses between streams, feature by feature.",
        "J. Arevalo et al., ICLR workshop 2017, arXiv:1702.01992",
        "avalign.fusion.families.gmu:GatedMultimodalUnit",
    ),
    Family(
        "F15",
        "recurrent",
        "Multimodal LSTM or GRU",
        "Order and history matter, or the model must run as the streams come in.",
        "J. Ren et al., AAAI 2016",
        "avalign.fusion.families.recurrent:RecurrentFusion",
    ),
    Family(
        "F16",
        "tensor_fusion",
        "Tensor fusion (TFN)",
        "Two or three streams, whose meaning lies in how they combine.",
        "A. Zadeh et al., EMNLP 2017",
        "avalign.fusion.families.tensor_fusion:TensorFusion",
    ),
    Family(
        "F17",
        "low_rank_fusion",
        "Low-rank tensor fusion (LMF)",
        "As tensor_fusion, for many streams or few data.",
        "Z. Liu et al., ACL 2018",
        "avalign.fusion.families.low_rank_fusion:LowRankFusion",
    ),
    Family(
        "F18",
        "graph",
        "Graph network over time and streams",
        "Long recordings with gaps: what matters is close in time, and rows are missing.",
        "M. Schlichtkrull et al., ESWC 2018; J. Hu et al., ACL 2021",
        "avalign.fusion.families.graph:GraphFusion",
    ),
    Family(
        "F19",
        "quality_weights",
        "Dynamic weights from availability and quality",
        "Noise or occlusion comes and goes, and something measures it.",
        "V. Estellers et al., IEEE TASLP 20(4), 2012",
        "avalign.fusion.families.quality_weights:QualityWeightsFusion",
    ),
)


def list_fusions() -> tuple[str, ...]:
    """Names of all families.

    Returns
    -------
    tuple of str
        In the order of the table of methods.
    """
    return tuple(entry.name for entry in FAMILIES)


def find_family(name: str) -> Family:
    """Look a family up.

    Parameters
    ----------
    name : str
        One of `list_fusions`.

    Returns
    -------
    Family
        Its entry.

    Raises
    ------
    ParameterError
        If there is no such family.
    """
    found = find_entry(FAMILIES, name)
    if found is not None:
        return found
    close = closest_names(FAMILIES, name)
    raise ParameterError(
        f"there is no fusion family {name!r}",
        f"did you mean {close[0]!r}?"
        if close
        else f"choose one of {', '.join(list_fusions())}",
    )


def build_fusion(name: str, dims: Mapping[str, int], out_dim: int, **options: object) -> Fusion:
    """Build a family.

    Parameters
    ----------
    name : str
        One of `list_fusions`.
    dims : mapping of str to int
        Width of each stream, such as ``{"audio": 39, "lips": 120}``.
    out_dim : int
        Width of the fused rows.
    **options
        What the family's class takes beside.

    Returns
    -------
    Fusion
        A plain ``torch.nn.Module``.

    Raises
    ------
    ParameterError
        If there is no such family or option, or a width is not a positive integer.

    Examples
    --------
    >>> from avalign.fusion import build_fusion
    >>> fusion = build_fusion("early", dims={"audio": 39, "lips": 120}, out_dim=128)
    """
    built: type[Fusion] = find_family(name).load()
    known = [
        key for key in inspect.signature(built).parameters if key not in ("dims", "out_dim")
    ]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ParameterError(
            f"fusion {name!r} has no option {unknown[0]!r}",
            f"its options are {', '.join(known)}" if known else "it has no options",
        )
    return built(dims, out_dim, **options)
