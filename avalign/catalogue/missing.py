"""Rows M1 to M4: streams that are missing, partly shared, or unequal."""

from avalign.catalogue.entry import Method
from avalign.catalogue.representation import space_entry
from avalign.space import find_space

METHODS = (
    Method(
        "M1",
        "modality_dropout",
        "Masking and modality dropout, by stream and by frame",
        "Training of any fusion that has to work when a stream is missing.",
        "N. Neverova et al., IEEE Transactions on Pattern Analysis and Machine Intelligence "
        "38(8), 2016",
        "avalign.fusion:ModalityDropout",
        """\
import torch
from avalign.fusion import ModalityDropout

masks = {name: torch.ones(4, 50, dtype=torch.bool) for name in ("audio", "lips")}
hidden = ModalityDropout(stream_rate=0.3, row_rate=0.1)(masks)
print({name: mask.float().mean() for name, mask in hidden.items()})
""",
    ),
    Method(
        "M2",
        "imputation",
        "Generative imputation of a missing stream",
        "A model was trained with all streams, cannot be trained anew, and one is missing.",
        "M. Ma et al., AAAI 2021; J. Ngiam et al., ICML 2011",
        "avalign.fusion.imputation:ImputingFusion",
        """\
import torch
from avalign.fusion import build_fusion
from avalign.fusion.imputation import ImputingFusion
from avalign.space.learning.autoencoder import AutoencoderNetwork

dims = {"audio": 39, "lips": 120}
imputer = AutoencoderNetwork(dims, components=8)  # `network_` of a fitted autoencoder
fusion = ImputingFusion(build_fusion("early", dims=dims, out_dim=32), imputer)
fused = fusion({"audio": torch.randn(2, 50, 39)})  # no lips
print(fused.sequence.shape)
""",
    ),
    space_entry(find_space("shared_private")),
    Method(
        "M4",
        "balance",
        "Modality imbalance: losses alone, gradient ratio",
        "Fusion is no better than its best stream, and you wonder whether the others learn.",
        "W. Wang, D. Tran and M. Feiszli, CVPR 2020; X. Peng et al., CVPR 2022",
        "avalign.train.recognizer.balance:balance_report",
        """\
import torch
from avalign.fusion import build_fusion
from avalign.train.recognizer.balance import balance_report

dims = {"audio": 39, "lips": 120}
fusion, head = build_fusion("early", dims=dims, out_dim=32), torch.nn.Linear(32, 2)
streams = {name: torch.randn(8, 50, width) for name, width in dims.items()}
labels = torch.arange(8) % 2


def loss(streams, masks, present, items):
    logits = head(fusion(streams, masks, present).pooled)
    return torch.nn.functional.cross_entropy(logits, labels[items])


print(balance_report(loss, streams))
""",
    ),
)
