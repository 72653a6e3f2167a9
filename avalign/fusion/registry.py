"""Every fusion family, by name; importing this costs no torch."""

from __future__ import annotations

import difflib
import importlib
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from avalign.fusion.interface import Fusion

__all__ = ["FAMILIES", "Family", "build_fusion", "family", "list_fusions"]


@dataclass(frozen=True, slots=True)
class Family:
    """One family of fusion.

    Parameters
    ----------
    name : str
        What `build_fusion` calls it; its file has the same name unless `home` says so.
    row : str
        Row of the table of methods, such as "F1".
    title : str
        What people call it.
    source : str
        Who described it, and where.
    when : str
        When to use it, in a sentence.
    home : str
        Where its class is: "module:Class", inside avalign.fusion.families.
    """

    name: str
    row: str
    title: str
    source: str
    when: str
    home: str

    def load(self) -> type[Fusion]:
        """Import the class.

        Returns
        -------
        type
            Subclass of `Fusion`.
        """
        module, _, name = self.home.partition(":")
        loaded: type[Fusion] = getattr(
            importlib.import_module(f"avalign.fusion.families.{module}"), name
        )
        return loaded


FAMILIES = (
    Family(
        "early",
        "F1",
        "Early fusion (concatenation of features)",
        "S. Dupont and J. Luettin, IEEE Transactions on Multimedia 2(3), 2000",
        "The first thing to try: streams are aligned, rarely missing, and clean.",
        "early:EarlyFusion",
    ),
    Family(
        "late_average",
        "F2",
        "Late fusion: average",
        "J. Kittler et al., IEEE TPAMI 20(3), 1998",
        "Streams that are reliable alone, often missing, or trained apart.",
        "late:LateAverageFusion",
    ),
    Family(
        "late_weighted",
        "F2",
        "Late fusion: weighted average",
        "G. Potamianos et al., Proceedings of the IEEE 91(9), 2003",
        "As late_average, where one stream is better than another throughout.",
        "late:LateWeightedFusion",
    ),
    Family(
        "late_voting",
        "F3",
        "Late fusion: majority vote",
        "L. Lam and C. Y. Suen, IEEE Transactions on SMC A 27(5), 1997",
        "Three streams or more, one of which may fail with high confidence.",
        "late:LateVotingFusion",
    ),
    Family(
        "late_stacking",
        "F4",
        "Late fusion: stacking (a meta-classifier)",
        "D. H. Wolpert, Neural Networks 5(2), 1992",
        "Streams whose errors depend on each other, or on the class.",
        "late:LateStackingFusion",
    ),
    Family(
        "two_stream",
        "F5",
        "Two-stream network",
        "K. Simonyan and A. Zisserman, NeurIPS 2014",
        "Streams of different nature that each need context in time.",
        "two_stream:TwoStreamFusion",
    ),
    Family(
        "hybrid",
        "F6",
        "Hybrid fusion (early and late)",
        "P. K. Atrey et al., Multimedia Systems 16, 2010",
        "Streams interact, but each must carry the answer alone when others are missing.",
        "hybrid:HybridFusion",
    ),
    Family(
        "additive_attention",
        "F7",
        "Additive attention over streams and time",
        "D. Bahdanau et al., ICLR 2015; C. Hori et al., ICCV 2017",
        "Which stream can be trusted changes over time, and the weights should be readable.",
        "attention.additive:AdditiveAttentionFusion",
    ),
    Family(
        "self_attention",
        "F8",
        "Multi-head self-attention over streams and time",
        "A. Vaswani et al., NeurIPS 2017",
        "Short clips and much data; what belongs together may lie in any stream at any time.",
        "attention.self_attention:SelfAttentionFusion",
    ),
    Family(
        "cross_attention",
        "F9",
        "Cross-attention, with a window in time",
        "G. Sterpu et al., ICMI 2018",
        "One stream is the main one; the others lie at a lag that is unknown, or changes.",
        "attention.cross_attention:CrossAttentionFusion",
    ),
    Family(
        "co_attention",
        "F10",
        "Co-attention (both ways)",
        "J. Lu et al., NeurIPS 2016 and 2019",
        "Streams of equal standing that explain each other; few parameters.",
        "attention.co_attention:CoAttentionFusion",
    ),
    Family(
        "multimodal_transformer",
        "F11",
        "Multimodal transformer (MulT)",
        "Y.-H. H. Tsai et al., ACL 2019",
        "Much data, streams of different rates or unaligned, each explaining the others.",
        "attention.multimodal:MultimodalTransformerFusion",
    ),
    Family(
        "bottleneck_transformer",
        "F11",
        "Bottleneck transformer (MBT)",
        "A. Nagrani et al., NeurIPS 2021",
        "Long or many streams, for which attention from all to all costs or overfits.",
        "attention.bottleneck:BottleneckTransformerFusion",
    ),
    Family(
        "gated_cross_attention",
        "F12",
        "Gated cross-attention (Flamingo)",
        "J.-B. Alayrac et al., NeurIPS 2022",
        "The target does well alone, or is pretrained, and must not be upset at first.",
        "attention.gated:GatedCrossAttentionFusion",
    ),
    Family(
        "modality_gates",
        "F13",
        "Modality gates (mixture of experts)",
        "R. A. Jacobs et al., Neural Computation 3(1), 1991",
        "Which stream is informative changes over time, and you want to see which it was.",
        "modality_gates:ModalityGatesFusion",
    ),
    Family(
        "gmu",
        "F14",
        "Gated multimodal unit",
        "J. Arevalo et al., ICLR workshop 2017, arXiv:1702.01992",
        "A light unit that chooses between streams, feature by feature.",
        "gmu:GatedMultimodalUnit",
    ),
    Family(
        "recurrent",
        "F15",
        "Multimodal LSTM or GRU",
        "J. Ren et al., AAAI 2016",
        "Order and history matter, or the model must run as the streams come in.",
        "recurrent:RecurrentFusion",
    ),
    Family(
        "tensor_fusion",
        "F16",
        "Tensor fusion (TFN)",
        "A. Zadeh et al., EMNLP 2017",
        "Two or three streams, whose meaning lies in how they combine.",
        "tensor_fusion:TensorFusion",
    ),
    Family(
        "low_rank_fusion",
        "F17",
        "Low-rank tensor fusion (LMF)",
        "Z. Liu et al., ACL 2018",
        "As tensor_fusion, for many streams or few data.",
        "low_rank_fusion:LowRankFusion",
    ),
    Family(
        "graph",
        "F18",
        "Graph network over time and streams",
        "M. Schlichtkrull et al., ESWC 2018; J. Hu et al., ACL 2021",
        "Long recordings with gaps: what matters is close in time, and rows are missing.",
        "graph:GraphFusion",
    ),
    Family(
        "quality_weights",
        "F19",
        "Dynamic weights from availability and quality",
        "V. Estellers et al., IEEE TASLP 20(4), 2012",
        "Noise or occlusion comes and goes, and something measures it.",
        "quality_weights:QualityWeightsFusion",
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


def family(name: str) -> Family:
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
    for entry in FAMILIES:
        if entry.name == name:
            return entry
    close = difflib.get_close_matches(str(name), list_fusions(), n=1)
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
    built = family(name).load()
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
