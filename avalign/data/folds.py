"""Folds for cross-validation, by speaker: each in turn is held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from avalign.data.manifest import Manifest
from avalign.data.rows import ManifestRow
from avalign.data.splits import BY_SPEAKER, check_split, shuffle_groups, sum_seconds, with_parts
from avalign.errors import ParameterError


def speaker_folds(
    rows: Iterable[ManifestRow],
    n: int,
    seed: int = 0,
    *,
    group: Callable[[ManifestRow], str] = attrgetter("speaker_key"),
) -> tuple[tuple[ManifestRow, ...], ...]:
    """Divide rows into folds that share no speaker and hold about equally many seconds.

    The speaker with the most seconds goes first, each to the fold that is shortest so
    far. A row without a speaker counts as a speaker of its own; one without a duration
    as long as the median row.

    Parameters
    ----------
    rows : iterable of ManifestRow
        The rows.
    n : int
        Number of folds, at least 2 and at most the number of speakers.
    seed : int
        Decides between speakers of equal length.
    group : callable, optional
        Gives the name of what stays together, where that is more than a speaker.

    Returns
    -------
    tuple of tuple of ManifestRow
        The folds; rows keep their order.

    Raises
    ------
    ParameterError
        If ``n`` does not fit the number of speakers.

    References
    ----------
    .. [1] R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM Journal on
       Applied Mathematics 17 (2), 1969 (longest processing time first).
    """
    rows = tuple(rows)
    seconds = sum_seconds(rows, group)
    if not 2 <= n <= len(seconds):
        raise ParameterError(
            f"{n} folds of {len(seconds)} speakers cannot be made",
            "choose no more folds than there are speakers, and no fewer than 2",
        )
    load_s = [0.0] * n
    fold_of: dict[str, int] = {}
    for speaker in sorted(shuffle_groups(seconds, seed), key=lambda name: -seconds[name]):
        fold = min(range(n), key=load_s.__getitem__)
        fold_of[speaker] = fold
        load_s[fold] += seconds[speaker]
    return tuple(tuple(row for row in rows if fold_of[group(row)] == fold) for fold in range(n))


def fold_split(manifest: Manifest, n: int, *, seed: int = 0) -> Manifest:
    """Make folds that share no speaker and hold about equally many seconds.

    Parameters
    ----------
    manifest : Manifest
        What to split.
    n : int
        Number of folds, at least 2 and at most the number of speakers.
    seed : int
        Decides between speakers of equal length.

    Returns
    -------
    Manifest
        The rows; their parts are ``"fold1"`` to ``"fold<n>"``.

    Raises
    ------
    ParameterError
        If ``n`` does not fit the number of speakers.
    """
    folds = speaker_folds(manifest, n, seed)
    width = len(str(n))
    part_of = {
        row.speaker_key: f"fold{number:0{width}}"
        for number, fold in enumerate(folds, start=1)
        for row in fold
    }
    return with_parts(manifest, lambda row: part_of[row.speaker_key], BY_SPEAKER)


def leave_one_speaker_out(manifest: Manifest) -> Manifest:
    """Make every speaker a fold.

    Parameters
    ----------
    manifest : Manifest
        What to split; each row must name its speaker.

    Returns
    -------
    Manifest
        The rows; the part of each is its speaker.

    Raises
    ------
    ParameterError
        If a row names no speaker, or there is only one.
    """
    for row in manifest:
        if not row.speaker:
            raise ParameterError(
                f"{manifest.name_of(row)} names no speaker to leave out",
                "fill the column 'speaker'",
            )
    if len({row.speaker for row in manifest}) < 2:
        raise ParameterError(
            f"{manifest.path} has no two speakers",
            "split a single speaker by sentence, and say so",
        )
    return with_parts(manifest, lambda row: row.speaker, BY_SPEAKER)


def held_out(manifest: Manifest) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Leave each part out in turn, as cross-validation does.

    Parameters
    ----------
    manifest : Manifest
        Rows with their parts, such as from `fold_split`.

    Yields
    ------
    name : str
        The part left out.
    train, test : Manifest
        All other rows, and those of the part.

    Raises
    ------
    ParameterError
        If speakers have leaked; see `check_split`.
    """
    check_split(manifest)
    parts = sorted({row.split for row in manifest})
    for name in parts:
        others = [part for part in parts if part != name]
        yield name, manifest.select(split=others), manifest.select(split=name)
