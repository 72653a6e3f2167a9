"""Rows R1 to R10: spaces in which sound and lips can be compared."""

from avalign.catalogue.entry import Method
from avalign.space import SPACES, SpaceMethod

_SNIPPET = """\
import numpy as np
from avalign.space import build_space

generator = np.random.default_rng(0)
shared = generator.normal(size=(400, 2))
audio = shared @ generator.normal(size=(2, 8)) + 0.1 * generator.normal(size=(400, 8))
lips = shared @ generator.normal(size=(2, 6)) + 0.1 * generator.normal(size=(400, 6))
clips = np.arange(400) // 100  # which clip each row is of
space = build_space("{name}"{settings}).fit(audio, lips, groups=clips)
sound_rows, lip_rows = space.transform(audio, lips, groups=clips)
print(space.score(audio, lips, groups=clips))
"""
_SOLVED = ("cca", "kernel_cca")  # the others are trained, here for a moment only


def space_entry(space: SpaceMethod) -> Method:
    """Turn an entry of the registry of spaces into one of the table of methods."""
    settings = "" if space.name in _SOLVED else ", steps=5"
    return Method(
        space.row,
        space.name,
        space.title,
        space.when,
        space.source,
        space.home,
        _SNIPPET.format(name=space.name, settings=settings),
    )


_LOSSES = (
    Method(
        "R7",
        "info_nce",
        "InfoNCE, both directions, with a temperature",
        "The loss by itself, for encoders of your own.",
        "A. van den Oord, Y. Li and O. Vinyals, arXiv:1807.03748, 2018; A. Radford et al., "
        "ICML 2021 (both directions)",
        "avalign.space.learning.losses:info_nce",
        """\
import torch
from avalign.space.learning.losses import info_nce

sound = torch.nn.functional.normalize(torch.randn(8, 16), dim=1)
lips = torch.nn.functional.normalize(sound + 0.1 * torch.randn(8, 16), dim=1)
print(info_nce(sound @ lips.T, temperature=0.07))  # row k belongs to column k
""",
    ),
    Method(
        "R8",
        "triplet",
        "Triplet loss",
        "Matches only have to be nearer than mismatches, by a margin.",
        "F. Schroff, D. Kalenichenko and J. Philbin, CVPR 2015",
        "avalign.space.learning.losses:triplet",
        """\
import torch
from avalign.space.learning.losses import triplet

sound, lips, others = torch.randn(3, 8, 16)
print(triplet(sound, lips, others, margin=0.2))
""",
    ),
    Method(
        "R8",
        "max_margin",
        "Max-margin ranking loss",
        "Retrieval is the aim: of a batch, the match has to outrank all others.",
        "F. Faghri et al., BMVC 2018",
        "avalign.space.learning.losses:max_margin",
        """\
import torch
from avalign.space.learning.losses import max_margin

print(max_margin(torch.eye(4), margin=0.2))  # 0: matches lead by more than the margin
""",
    ),
    Method(
        "R8",
        "pair_contrast",
        "Contrastive pair loss, on distances",
        "Pairs are labelled same or different, one at a time.",
        "R. Hadsell, S. Chopra and Y. LeCun, CVPR 2006",
        "avalign.space.learning.losses:pair_contrast",
        """\
import torch
from avalign.space.learning.losses import pair_contrast

distances, same = torch.tensor([0.0, 2.0]), torch.tensor([True, False])
print(pair_contrast(distances, same, margin=1.0))  # 0: near if same, far if not
""",
    ),
)

_FROZEN = Method(
    "R10",
    "frozen_encoder",
    "Frozen pretrained encoders as plug-ins",
    "There is a good encoder of sound or lips already, and too little data to train one.",
    "A. S. Razavian et al., CVPR Workshops 2014",
    "avalign.space.plugins:FrozenEncoder",
    """\
import numpy as np
import torch
from avalign.space.plugins import FrozenEncoder
from avalign.types import FeatureStream

times_s = np.arange(100) / 100
values = np.random.default_rng(0).normal(size=(100, 13)).astype(np.float32)
mfcc = FeatureStream(values, times_s, np.ones(100, bool), "mfcc")
encoder = FrozenEncoder(encoder=torch.nn.Linear(13, 32), rate_hz=None)
print(encoder(mfcc).values.shape)  # a stream like any other
""",
)

METHODS = (
    *sorted(
        (
            *(space_entry(space) for space in SPACES if space.row.startswith("R")),
            *_LOSSES,
        ),
        key=lambda method: int(method.row[1:]),
    ),
    _FROZEN,
)
