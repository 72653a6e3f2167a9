"""The shared audio-lip space: one space in which sound and lips can be compared.

`load_model` gives the space that is shipped. `build_space` makes an estimator that
learns another, in scikit-learn's manner; the classes of those that are torch networks
are imported when they are built.
"""

from avalign.space.canonical import CanonicalSpace, KernelCanonicalSpace
from avalign.space.estimator import SpaceEstimator
from avalign.space.model import SpaceModel, load_model
from avalign.space.protocol import Space
from avalign.space.registry import (
    SPACES,
    SpaceMethod,
    build_space,
    list_spaces,
    load_space,
    space_method,
)
from avalign.space.settings import EncoderPair, EncoderSettings, SpaceSettings

__all__ = [
    "SPACES",
    "CanonicalSpace",
    "EncoderPair",
    "EncoderSettings",
    "KernelCanonicalSpace",
    "Space",
    "SpaceEstimator",
    "SpaceMethod",
    "SpaceModel",
    "SpaceSettings",
    "build_space",
    "list_spaces",
    "load_model",
    "load_space",
    "space_method",
]
