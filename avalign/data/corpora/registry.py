"""The registry of corpora."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from avalign.data.corpora.crema_d import find_crema_d_tables, read_crema_d
from avalign.data.corpora.folder import read_folder
from avalign.data.corpora.grid import read_grid
from avalign.data.corpora.meld import find_meld_tables, read_meld
from avalign.data.corpora.ravdess import read_ravdess
from avalign.data.manifest import Manifest
from avalign.errors import ParameterError

CORPORA: Mapping[str, Callable[..., Manifest]] = MappingProxyType(
    {
        "grid": read_grid,
        "ravdess": read_ravdess,
        "crema-d": read_crema_d,
        "meld": read_meld,
        "folder": read_folder,
    }
)


def find_corpus_tables(folder: str | os.PathLike[str], corpus: str) -> list[Path]:
    """Find the tables of a corpus, so that its list is not written over one.

    Parameters
    ----------
    folder : path-like
        Where it was unpacked.
    corpus : str
        One of `CORPORA`.

    Returns
    -------
    list of Path
        The files that `read_corpus` reads; none where names tell everything.

    Raises
    ------
    MediaError
        If the folder cannot be read.
    """
    tables = {"crema-d": find_crema_d_tables, "meld": find_meld_tables}.get(corpus)
    return [] if tables is None else tables(Path(folder))


def read_corpus(folder: str | os.PathLike[str], corpus: str, **options: str) -> Manifest:
    """List the utterances of a corpus.

    Parameters
    ----------
    folder : path-like
        Where it was unpacked.
    corpus : str
        One of `CORPORA`.
    **options : str
        What the corpus's own reader takes besides.

    Returns
    -------
    Manifest
        One row per utterance, sorted by path; as if it lay in the folder.

    Raises
    ------
    ParameterError
        If the corpus or an option is unknown, or the folder holds none of its files.
    MediaError
        If the folder cannot be read.
    """
    if corpus not in CORPORA:
        raise ParameterError(
            f"the corpus {corpus!r} is unknown", f"choose one of {', '.join(CORPORA)}"
        )
    try:
        return CORPORA[corpus](Path(folder), **options)
    except TypeError as error:
        names = ", ".join(sorted(options))
        if options and "unexpected keyword" in str(error):
            raise ParameterError(
                f"the corpus {corpus!r} has no option {names}", "leave it out"
            ) from error
        raise
