"""Every way to learn a shared space, by name; importing this costs no torch."""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from avalign.errors import MediaError, ParameterError, import_guard

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.space.learning.estimator import SpaceEstimator

__all__ = ["SPACES", "SpaceMethod", "build_space", "list_spaces", "load_space", "space_method"]


@dataclass(frozen=True, slots=True)
class SpaceMethod:
    """One way to learn a shared space.

    Parameters
    ----------
    name : str
        What `build_space` calls it.
    row : str
        Row of the table of methods, such as "R3".
    title : str
        What people call it.
    source : str
        Who described it, and where.
    when : str
        When to use it, in a sentence.
    home : str
        Where its class is: "module:Class", inside avalign.space.learning.
    """

    name: str
    row: str
    title: str
    source: str
    when: str
    home: str

    def load(self) -> type[SpaceEstimator]:
        """Import the class.

        Returns
        -------
        type
            Subclass of `SpaceEstimator`.

        Raises
        ------
        MissingDependencyError
            If it needs torch, which is missing.
        """
        module, _, name = self.home.partition(":")
        with import_guard(
            f"{self.name} needs torch, which does not load",
            'install it with: pip install "avalign[torch]"',
        ):
            home = importlib.import_module(f"avalign.space.learning.{module}")
        loaded: type[SpaceEstimator] = getattr(home, name)
        return loaded


SPACES = (
    SpaceMethod(
        "joint",
        "R1",
        "Joint embedding, per frame or per clip",
        "A. Frome et al., NIPS 2013",
        "To retrieve lips by sound and sound by lips, when partners are known.",
        "coordinated:JointSpace",
    ),
    SpaceMethod(
        "coordinated",
        "R2",
        "Coordinated representations (correspondence autoencoder)",
        "F. Feng, X. Wang and R. Li, ACM Multimedia 2014",
        "When each stream must keep what it holds, and yet be comparable with the other.",
        "coordinated:CoordinatedSpace",
    ),
    SpaceMethod(
        "cca",
        "R3",
        "Canonical correlation analysis",
        "H. Hotelling, Biometrika 28, 1936",
        "The first thing to try: fast, without settings, and hard to beat on few rows.",
        "canonical:CanonicalSpace",
    ),
    SpaceMethod(
        "kernel_cca",
        "R4",
        "Kernel CCA by random Fourier features",
        "D. Lopez-Paz et al., ICML 2014",
        "When what the streams share is not linear in the sound, and rows are some thousand.",
        "canonical:KernelCanonicalSpace",
    ),
    SpaceMethod(
        "deep_cca",
        "R5",
        "Deep CCA",
        "G. Andrew, R. Arora, J. Bilmes and K. Livescu, ICML 2013",
        "As kernel CCA, with many rows, or where neither side is linear.",
        "dcca:DeepCCA",
    ),
    SpaceMethod(
        "autoencoder",
        "R6",
        "Multimodal autoencoder",
        "J. Ngiam et al., ICML 2011",
        "To fill in a stream that is missing, or to have one code whatever is there.",
        "autoencoder:MultimodalAutoencoder",
    ),
    SpaceMethod(
        "vae",
        "R6",
        "Multimodal variational autoencoder (product of experts)",
        "M. Wu and N. Goodman, NeurIPS 2018",
        "As the autoencoder, when you need to know how unsure a code is, or to draw samples.",
        "autoencoder:MultimodalVAE",
    ),
    SpaceMethod(
        "contrastive",
        "R7",
        "Contrastive learning (InfoNCE) over time shifts and other clips",
        "A. van den Oord, Y. Li and O. Vinyals, arXiv:1807.03748, 2018",
        "To tell which lag, or which face, belongs to a sound; the space that sync ships.",
        "contrastive:ContrastiveSpace",
    ),
    SpaceMethod(
        "ranking",
        "R8",
        "Ranking losses: triplet, max-margin, contrastive pairs",
        "F. Schroff, D. Kalenichenko and J. Philbin, CVPR 2015",
        "As the joint embedding, when batches are too small for InfoNCE; see `loss`.",
        "coordinated:RankingSpace",
    ),
    SpaceMethod(
        "masked",
        "R9",
        "Masked modelling of frames",
        "B. Shi, W.-N. Hsu, K. Lakhotia and A. Mohamed, ICLR 2022",
        "To learn from clips without labels what a frame means in its context.",
        "masked:MaskedSpace",
    ),
    SpaceMethod(
        "shared_private",
        "M3",
        "Shared and private representations (MISA)",
        "D. Hazarika, R. Zimmermann and S. Poria, ACM Multimedia 2020",
        "To part what sound and lips both say from what only one of them does.",
        "shared_private:SharedPrivateSpace",
    ),
)


def list_spaces() -> tuple[str, ...]:
    """Names of all estimators.

    Returns
    -------
    tuple of str
        In the order of the table of methods.
    """
    return tuple(each.name for each in SPACES)


def space_method(name: str) -> SpaceMethod:
    """Look up one way to learn a shared space.

    Parameters
    ----------
    name : str
        As `list_spaces` lists it.

    Returns
    -------
    SpaceMethod
        What there is to know of it.

    Raises
    ------
    ParameterError
        If there is none of that name.
    """
    for each in SPACES:
        if each.name == name:
            return each
    close = difflib.get_close_matches(str(name), list_spaces(), 1)
    hint = f"did you mean {close[0]!r}?" if close else f"choose of {', '.join(list_spaces())}"
    raise ParameterError(f"there is no shared space {str(name)[:60]!r}", hint)


def build_space(name: str, **parameters: Any) -> SpaceEstimator:
    """Make an estimator, not fitted.

    Parameters
    ----------
    name : str
        As `list_spaces` lists it.
    **parameters : object
        Its settings.

    Returns
    -------
    SpaceEstimator
        The estimator.

    Raises
    ------
    ParameterError
        If there is none of that name, or it has no such setting.
    MissingDependencyError
        If it needs torch, which is missing.
    """
    return space_method(name).load()().set_params(**parameters)


def load_space(folder: Path | str) -> SpaceEstimator:
    """Load whatever estimator a folder holds.

    Parameters
    ----------
    folder : path-like
        A folder written by `SpaceEstimator.save`.

    Returns
    -------
    SpaceEstimator
        As it was when it was saved.

    Raises
    ------
    MediaError
        If the folder is missing, damaged, or holds something else.
    MissingDependencyError
        If it needs torch, which is missing.
    """
    from avalign.space.learning.files import read_name

    try:
        method = space_method(read_name(folder))
    except ParameterError as error:
        raise MediaError(f"{folder}: {error.message}", error.hint) from None
    return method.load().load(folder)
