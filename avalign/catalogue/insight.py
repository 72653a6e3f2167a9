"""Rows X1 to X4: what a fusion looks at, and what its answer rests on."""

from avalign.catalogue.entry import Method

_MODEL = """\
import torch
from avalign.fusion import build_fusion
{imports}
dims = {{"audio": 39, "lips": 120}}
fusion, head = build_fusion("{fusion}", dims=dims, out_dim=32), torch.nn.Linear(32, 8)
streams = {{name: torch.randn(4, 50, width) for name, width in dims.items()}}
"""
_SCORE = """\


def score(*batch):
    return head(fusion(*batch).pooled)[:, 3]  # the logit of one class


"""


def _on_model(imports: str, then: str, fusion: str = "early") -> str:
    return _MODEL.format(imports=imports, fusion=fusion) + then


METHODS = (
    Method(
        "X1",
        "attention_maps",
        "Attention maps over time",
        "A family with attention: see what looks where, and at what lag.",
        "D. Bahdanau, K. Cho and Y. Bengio, ICLR 2015",
        "avalign.fusion.explain:attention_maps",
        _on_model(
            "from avalign.fusion.explain import attention_maps\n",
            """\
for name, weights in attention_maps(fusion, streams).items():
    print(name, weights.shape)  # avalign.plots.plot_attention draws them
""",
            fusion="cross_attention",
        ),
    ),
    Method(
        "X2",
        "integrated_gradients",
        "Saliency: integrated gradients on MFCCs and landmarks",
        "Which frames and which features of one clip an answer rests on.",
        "M. Sundararajan, A. Taly and Q. Yan, ICML 2017",
        "avalign.fusion.explain:integrated_gradients",
        _on_model(
            "from avalign.fusion.explain import integrated_gradients\n",
            _SCORE
            + """\
saliency = integrated_gradients(score, streams)
print(saliency.values["lips"].shape)  # avalign.plots.plot_saliency draws them
""",
        ),
    ),
    Method(
        "X3",
        "contributions",
        "Contribution of each stream: exact Shapley values",
        "How much of an answer is owed to each stream.",
        "L. S. Shapley, Contributions to the Theory of Games 2, 1953",
        "avalign.fusion.influence:contributions",
        _on_model(
            "from avalign.fusion.influence import contributions\n",
            _SCORE
            + """\
added = contributions(score, streams)
print(added.values)  # avalign.plots.plot_contributions draws them
""",
        ),
    ),
    Method(
        "X4",
        "stream_swap",
        "Stream-swap (counterfactual) test",
        "Whether a model uses a stream at all, and whether it minds that streams belong "
        "together.",
        "S. Frank, E. Bugliarello and D. Elliott, EMNLP 2021",
        "avalign.fusion.influence:swap_test",
        _on_model(
            "from avalign.fusion.influence import swap_test\n",
            _SCORE
            + """\
swapped = swap_test(score, streams)
print(swapped.size)  # avalign.plots.plot_swap draws them
""",
        ),
    ),
)
