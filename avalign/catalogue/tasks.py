"""Rows T1 to T7, D1 and D2: what fusion is for, how it is judged, where it runs."""

from avalign.catalogue.entry import Method

_RECOGNISER = """\
import torch
from avalign.recognition.model.recognizer import Recognizer
from avalign.recognition.model.settings import RecognizerSettings, StreamSettings

widths = {columns}
streams = {{name: StreamSettings(name, width) for name, width in widths.items()}}
settings = RecognizerSettings(streams, fusion="gmu", width=16, {heads})
model = Recognizer(settings).eval()
batch = {{name: torch.randn(2, 75, width) for name, width in widths.items()}}
"""
_TWO = '{"audio": 39, "lips": 120}'
_THREE = '{"audio": 39, "lips": 120, "words": 16}'

METHODS = (
    Method(
        "T1",
        "speech",
        "Speech recognition: CTC, with a grammar where there is one",
        "Words from sound and lips; a grammar makes a small vocabulary robust.",
        "A. Graves et al., ICML 2006; M. Cooke et al., Journal of the Acoustical Society of "
        "America 120(5), 2006 (GRID)",
        "avalign.recognition.ctc.grammar:grammar_decode",
        """\
import numpy as np
from avalign.recognition.ctc.alphabet import Alphabet
from avalign.recognition.ctc.grammar import grammar_decode

alphabet = Alphabet("abcdefghijklmnopqrstuvwxyz ")
noise = np.random.default_rng(0).normal(size=(75, alphabet.size))
log_probs = noise - np.log(np.exp(noise).sum(axis=1, keepdims=True))
found = grammar_decode(log_probs, np.arange(75) / 50, alphabet)
print(" ".join(word.text for word in found.transcript.words))
""",
    ),
    Method(
        "T2",
        "emotion",
        "Emotion recognition",
        "Emotion of acted or natural speech; splits keep actors apart.",
        "S. R. Livingstone and F. A. Russo, PLoS ONE 13(5), 2018 (RAVDESS); H. Cao et al., "
        "IEEE Transactions on Affective Computing 5(4), 2014 (CREMA-D)",
        "avalign.recognition.model.recognizer:Recognizer",
        _RECOGNISER.format(columns=_TWO, heads='labels=("calm", "happy", "sad")')
        + "print(model(batch).answers)\n",
    ),
    Method(
        "T3",
        "sentiment",
        "Sentiment, with a transcript as a third stream",
        "What is said matters beside how it sounds and looks.",
        "A. Zadeh et al., EMNLP 2017",
        "avalign.transcript:transcript_stream",
        _RECOGNISER.format(columns=_THREE, heads='values=("sentiment",)')
        + "print(model(batch).answers)\n",
    ),
    Method(
        "T4",
        "retrieval",
        "Retrieval between sound and lips: Recall@K, mAP",
        "How good a shared space is: whether the right clip comes up first.",
        "C. D. Manning, P. Raghavan and H. Schütze, Introduction to Information Retrieval, "
        "2008, chapter 8",
        "avalign.recognition.metrics:retrieval_metrics",
        """\
import numpy as np
from avalign.recognition.metrics import retrieval_metrics

scores = np.eye(5) + 0.1 * np.random.default_rng(0).normal(size=(5, 5))
print(retrieval_metrics(scores))
""",
    ),
    Method(
        "T5",
        "multitask",
        "Multi-task loss",
        "Words and emotion of the same clips, from one model.",
        "R. Caruana, Machine Learning 28, 1997",
        "avalign.train.recognizer.objective:Objective",
        """\
from avalign.recognition.model.recognizer import Recognizer
from avalign.recognition.model.settings import RecognizerSettings, StreamSettings
from avalign.train.recognizer.objective import LossWeights, Objective

streams = {"audio": StreamSettings("mfcc", 39), "lips": StreamSettings("lips", 120)}
settings = RecognizerSettings(streams, width=16, characters="ab ", labels=("calm", "happy"))
objective = Objective(Recognizer(settings), LossWeights(speech=1.0, classes=0.3))
print(objective.weights)  # objective(batch) gives the loss and its parts
""",
    ),
    Method(
        "T6",
        "few_labels",
        "Few-label curve",
        "How many labels a task needs: 1, 10 and 100 % of them.",
        "O. Hénaff et al., ICML 2020",
        "avalign.data.subsets:label_subset",
        """\
from pathlib import Path
from avalign.data.manifest import Manifest, ManifestRow
from avalign.data.subsets import label_subset

rows = [ManifestRow(Path(f"{n}.mp4"), label=("calm", "sad")[n % 2]) for n in range(200)]
train = Manifest(Path("manifest.csv"), tuple(rows))  # or read_manifest(...)
for fraction in (0.01, 0.1, 1.0):
    print(fraction, len(label_subset(train, fraction)))  # then train_emotion on each
""",
    ),
    Method(
        "T7",
        "quality",
        "Quality of alignment and fusion",
        "What alignment is worth to fusion, and fusion to the task.",
        "avalign, benchmarks/README.md",
        "avalign.recognition.metrics:fusion_gain",
        """\
from avalign.recognition.metrics import fusion_gain, recovery_ratio

print(fusion_gain(0.08, [0.10, 0.35]))  # error of both together, and of each alone
print(recovery_ratio(0.50, 0.12, 0.10))  # misaligned, aligned, aligned by the truth
""",
    ),
    Method(
        "D1",
        "onnx",
        "ONNX export with dynamic time",
        "Inference without torch, on a phone or a server.",
        "ONNX, onnx.ai",
        "avalign.fusion.export:export_fusion",
        """\
import tempfile
from pathlib import Path
from avalign.fusion import build_fusion
from avalign.fusion.export import export_fusion

fusion = build_fusion("early", dims={"audio": 39, "lips": 120}, out_dim=32)
with tempfile.TemporaryDirectory() as folder:
    export_fusion(fusion, Path(folder, "fusion.onnx"))
    print(Path(folder, "fusion.onnx").stat().st_size)
""",
    ),
    Method(
        "D2",
        "distributed",
        "Training on several GPUs and machines",
        "One GPU is too slow; start the same command through torchrun.",
        "S. Li et al., VLDB 2020",
        "avalign.train.recognizer.distributed:processes",
        """\
from avalign.train.recognizer.distributed import processes

with processes("cpu") as group:
    print(group)
""",
    ),
)
