"""Every loss that shapes a shared space, each as a function of tensors.

Losses are means over what they compare, so that their size does not depend on the size
of the batch. Gradients flow into every argument.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from avalign.errors import ParameterError

if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    Metric: TypeAlias = Literal["euclidean", "cosine"]


def info_nce(similarity: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
    """Cross-entropy (nats) of telling each partner from all others, in both directions.

    `similarity` is (B, B), audio by lips, partners on the diagonal; the loss is log B where
    all are alike.

    References
    ----------
    A. van den Oord, Y. Li and O. Vinyals, "Representation learning with contrastive
    predictive coding", arXiv:1807.03748, 2018.

    A. Radford et al., "Learning transferable visual models from natural language
    supervision", ICML 2021: both directions.
    """
    _require_square(similarity)
    logits = similarity / temperature
    partner = torch.arange(len(logits), device=logits.device)
    there = functional.cross_entropy(logits, partner)
    return (there + functional.cross_entropy(logits.T, partner)) / 2


def lag_contrast(
    matched: Tensor,
    foreign: Tensor,
    no_match: Tensor,
    lag_rows: Tensor,
    tolerance_rows: float,
) -> Tensor:
    """Tell the true lag from all others, and sound of another clip from all lags.

    InfoNCE whose negatives are time shifts; one further candidate, "no match", must win
    where sound and lips do not belong together. The shipped space was trained so.

    Parameters
    ----------
    matched : Tensor of shape (B, 2 * R + 1)
        Evidence for lags of -R ... R rows of windows that belong together.
    foreign : Tensor of shape (B, 2 * R + 1)
        The same of windows that do not.
    no_match : Tensor of shape ()
        Log prior odds of "no match" against all lags together.
    lag_rows : Tensor of shape (B,)
        True lags of `matched`.
    tolerance_rows : float
        Deviation of the target lag; the target is a normal curve around it.

    Returns
    -------
    Tensor
        Cross-entropy of the lags plus that of "no match", in nats.

    References
    ----------
    A. van den Oord, Y. Li and O. Vinyals, "Representation learning with contrastive
    predictive coding", arXiv:1807.03748, 2018.

    T. Afouras, A. Owens, J. S. Chung and A. Zisserman, "Self-supervised learning of
    audio-visual objects from video", ECCV 2020: shifted sound as negatives.
    """
    reach = matched.shape[1] // 2
    lags = torch.arange(-reach, reach + 1, device=matched.device).float()
    offset = lags - lag_rows[:, None]
    target = torch.softmax(-0.5 * (offset / tolerance_rows) ** 2, dim=1)
    found = _log_posterior(matched, no_match)
    rejected = _log_posterior(foreign, no_match)
    return -(target * found[:, :-1]).sum(dim=1).mean() - rejected[:, -1].mean()


def _log_posterior(scores: Tensor, no_match: Tensor) -> Tensor:
    """Log posterior of every lag and, last, of no match."""
    null = no_match + math.log(scores.shape[1])
    return torch.log_softmax(torch.cat([scores, null.expand(len(scores), 1)], dim=1), dim=1)


def distance(first: Tensor, second: Tensor, metric: Metric = "euclidean") -> Tensor:
    """Distance of rows (..., D): the length of their difference, or one minus their cosine."""
    if metric == "euclidean":
        # The root has no gradient at 0: stay slightly above it.
        squared = (first - second).square().sum(dim=-1)
        return squared.clamp(min=torch.finfo(squared.dtype).tiny).sqrt()
    if metric == "cosine":
        return 1.0 - functional.cosine_similarity(first, second, dim=-1)
    raise ParameterError(f"unknown metric {metric!r}", 'choose "euclidean" or "cosine"')


def triplet(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 0.2,
    metric: Metric = "euclidean",
) -> Tensor:
    """Mean of ``max(0, d(anchor, positive) - d(anchor, negative) + margin)``; rows (..., D).

    References
    ----------
    F. Schroff, D. Kalenichenko and J. Philbin, "FaceNet: a unified embedding for face
    recognition and clustering", CVPR 2015.
    """
    near, far = distance(anchor, positive, metric), distance(anchor, negative, metric)
    return functional.relu(near - far + margin).mean()


def max_margin(similarity: Tensor, margin: float = 0.2, *, hardest: bool = False) -> Tensor:
    """Mean hinge by which strangers come within a margin of the partner, in both directions.

    `similarity` is (B, B), audio by lips, partners on the diagonal; `hardest` counts only the
    most similar stranger of each. 0 of a single pair, which has no strangers.

    References
    ----------
    A. Frome et al., "DeViSE: a deep visual-semantic embedding model", NIPS 2013.

    F. Faghri et al., "VSE++: improving visual-semantic embeddings with hard negatives",
    BMVC 2018: `hardest`.
    """
    _require_square(similarity)
    count = len(similarity)
    partner = similarity.diagonal()
    strangers = ~torch.eye(count, dtype=torch.bool, device=similarity.device)
    total = similarity.new_zeros(())
    for others, own in ((1, partner[:, None]), (0, partner[None, :])):
        hinge = functional.relu(margin + similarity - own) * strangers
        if hardest:
            total = total + hinge.amax(dim=others).mean()
        else:
            total = total + hinge.sum() / max(1, count * (count - 1))
    return total


def pair_contrast(distances: Tensor, same: Tensor, margin: float = 1.0) -> Tensor:
    """Half the squared distance of partners, and that of strangers' shortfall from a margin.

    Mean over pairs: `distances` (N,), and which of them are partners, bool (N,).

    References
    ----------
    R. Hadsell, S. Chopra and Y. LeCun, "Dimensionality reduction by learning an
    invariant mapping", CVPR 2006.
    """
    shortfall = functional.relu(margin - distances)
    return torch.where(same, distances.square(), shortfall.square()).mean() / 2


def alignment_penalty(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared Euclidean distance between the codes (..., D) of partners.

    References
    ----------
    F. Feng, X. Wang and R. Li, "Cross-modal retrieval with correspondence autoencoder",
    ACM Multimedia 2014.
    """
    return (first - second).square().sum(dim=-1).mean()


def reconstruction(predicted: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean squared error over columns and the rows of `mask` (...), 0 if no row counts."""
    squared = (predicted - target).square().mean(dim=-1)
    if mask is None:
        return squared.mean()
    return torch.where(mask, squared, 0.0).sum() / mask.sum().clamp(min=1)


def orthogonality(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared correlation of the columns of two codes (N, D1) and (N, D2).

    Columns are centred and of unit length: 0 if orthogonal, 1 for one column with itself.

    References
    ----------
    D. Hazarika, R. Zimmermann and S. Poria, "MISA: modality-invariant and -specific
    representations for multimodal sentiment analysis", ACM Multimedia 2020. (There the
    rows, not the columns, are brought to unit length.)
    """
    sides = [functional.normalize(side - side.mean(dim=0), dim=0) for side in (first, second)]
    return (sides[0].T @ sides[1]).square().mean()


def central_moment_discrepancy(first: Tensor, second: Tensor, moments: int = 5) -> Tensor:
    """Distances between means and central moments 2 to `moments` of codes (N, D) and (M, D).

    Codes lie within an interval of length 1, or thereabouts.

    References
    ----------
    W. Zellinger et al., "Central moment discrepancy (CMD) for domain-invariant
    representation learning", ICLR 2017.
    """
    means = first.mean(dim=0), second.mean(dim=0)
    centred = first - means[0], second - means[1]
    total = distance(*means)
    for order in range(2, moments + 1):
        higher = (centred[0] ** order).mean(dim=0), (centred[1] ** order).mean(dim=0)
        total = total + distance(*higher)
    return total


def correlation_loss(
    first: Tensor, second: Tensor, components: int | None = None, regularisation: float = 1e-4
) -> Tensor:
    """Minus the sum of the best canonical correlations of codes (N, D1) and (N, D2).

    N has to be well above D1 and D2; `regularisation` is added to the diagonal of each
    covariance.

    References
    ----------
    G. Andrew, R. Arora, J. Bilmes and K. Livescu, "Deep canonical correlation analysis",
    ICML 2013.
    """
    # Covariances are inverted: single precision is not enough for that.
    sides = [side.double() - side.double().mean(dim=0) for side in (first, second)]
    across = sides[0].T @ sides[1] / len(first)
    for number, side in enumerate(sides):
        covariance = side.T @ side / len(side)
        identity = torch.eye(len(covariance), dtype=side.dtype, device=side.device)
        factor = torch.linalg.cholesky(covariance + regularisation * identity)
        # A Cholesky factor whitens as the inverse root does, but for a rotation, which
        # singular values do not see; and its gradient is finite for equal eigenvalues.
        across = torch.linalg.solve_triangular(factor, across, upper=False)
        if number == 0:
            across = across.T
    return -torch.linalg.svdvals(across)[:components].sum().to(first.dtype)


def divergence_from_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence (nats) of normal codes (..., D) from the normal (0, 1).

    References
    ----------
    D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.
    """
    each = (mean.square() + log_variance.exp() - 1.0 - log_variance) / 2
    return each.sum(dim=-1).mean()


def _require_square(similarity: Tensor) -> None:
    if similarity.ndim != 2 or similarity.shape[0] != similarity.shape[1]:
        raise ParameterError(
            f"similarities of shape {tuple(similarity.shape)}, not (B, B)",
            "give each sound of a batch with each mouth of it",
        )
