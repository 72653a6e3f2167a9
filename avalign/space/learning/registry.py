"""Every way to learn a shared space, by name; importing this costs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from avalign.errors import MediaError, ParameterError, import_guard
from avalign.types import MethodEntry, closest_names, find_entry

if TYPE_CHECKING:
    from pathlib import Path

    from avalign.space.learning.estimator import SpaceEstimator


class SpaceMethod(MethodEntry):
    """One way to learn a shared space; its row is such as "R3"."""

    __slots__ = ()

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
        with import_guard(
            f"{self.name} needs torch, which does not load",
            'install it with: pip install "avalign[torch]"',
        ):
            loaded: type[SpaceEstimator] = super().load()
        return loaded


SPACES = (
    SpaceMethod(
        "R1",
        "joint",
        "Joint embedding, per frame or per clip",
        "To retrieve lips by sound and sound by lips, when partners are known.",
        "A. Frome et al., NIPS 2013",
        "avalign.space.learning.coordinated:JointSpace",
    ),
    SpaceMethod(
        "R2",
        "coordinated",
        "Coordinated representations (correspondence autoencoder)",
        "When each stream must keep what it holds, and yet be comparable with the other.",
        "F. Feng, X. Wang and R. Li, ACM Multimedia 2014",
        "avalign.space.learning.coordinated:CoordinatedSpace",
    ),
    SpaceMethod(
        "R3",
        "cca",
        "Canonical correlation analysis",
        "The first thing to try: fast, without settings, and hard to beat on few rows.",
        "H. Hotelling, Biometrika 28, 1936",
        "avalign.space.learning.canonical:CanonicalSpace",
    ),
    SpaceMethod(
        "R4",
        "kernel_cca",
        "Kernel CCA by random Fourier features",
        "When what the streams share is not linear in the sound, and rows are some thousand.",
        "D. Lopez-Paz et al., ICML 2014",
        "avalign.space.learning.canonical:KernelCanonicalSpace",
    ),
    SpaceMethod(
        "R5",
        "deep_cca",
        "Deep CCA",
        "As kernel CCA, with many rows, or where neither side is linear.",
        "G. Andrew, R. Arora, J. Bilmes and K. Livescu, ICML 2013",
        "avalign.space.learning.dcca:DeepCCA",
    ),
    SpaceMethod(
        "R6",
        "autoencoder",
        "Multimodal autoencoder",
        "To fill in a stream that is missing, or to have one code whatever is there.",
        "J. Ngiam et al., ICML 2011",
        "avalign.space.learning.autoencoder:MultimodalAutoencoder",
    ),
    SpaceMethod(
        "R6",
        "vae",
        "Multimodal variational autoencoder (product of experts)",
        "As the autoencoder, when you need to know how unsure a code is, or to draw samples.",
        "M. Wu and N. Goodman, NeurIPS 2018",
        "avalign.space.learning.autoencoder:MultimodalVAE",
    ),
    SpaceMethod(
        "R7",
        "contrastive",
        "Contrastive learning (InfoNCE) over time shifts and other clips",
        "To tell which lag, or which face, belongs to a sound; the space that sync ships.",
        "A. van den Oord, Y. Li and O. Vinyals, arXiv:1807.03748, 2018",
        "avalign.space.learning.contrastive:ContrastiveSpace",
    ),
    SpaceMethod(
        "R8",
        "ranking",
        "Ranking losses: triplet, max-margin, contrastive pairs",
        "As the joint embedding, when batches are too small for InfoNCE; see `loss`.",
        "F. Schroff, D. Kalenichenko and J. Philbin, CVPR 2015",
        "avalign.space.learning.coordinated:RankingSpace",
    ),
    SpaceMethod(
        "R9",
        "masked",
        "Masked modelling of frames",
        "To learn from clips without labels what a frame means in its context.",
        "B. Shi, W.-N. Hsu, K. Lakhotia and A. Mohamed, ICLR 2022",
        "avalign.space.learning.masked:MaskedSpace",
    ),
    SpaceMethod(
        "M3",
        "shared_private",
        "Shared and private representations (MISA)",
        "To part what sound and lips both say from what only one of them does.",
        "D. Hazarika, R. Zimmermann and S. Poria, ACM Multimedia 2020",
        "avalign.space.learning.shared_private:SharedPrivateSpace",
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


def find_space(name: str) -> SpaceMethod:
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
    found = find_entry(SPACES, name)
    if found is not None:
        return found
    close = closest_names(SPACES, name)
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
    return find_space(name).load()().set_params(**parameters)


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
        method = find_space(read_name(folder))
    except ParameterError as error:
        raise MediaError(f"{folder}: {error.message}", error.hint) from None
    return method.load().load(folder)
