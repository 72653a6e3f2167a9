"""The libraries; to add one, write a module like these and name its peers here."""

from __future__ import annotations

from collections.abc import Sequence

from avalign.errors import ParameterError
from benchmarks.dtw.peers import (
    aeon,
    avalign,
    dtaidistance,
    dtw_python,
    fastdtw,
    librosa,
    linmdtw,
    pysdtw,
    pyts,
    synctoolbox,
    tslearn,
)
from benchmarks.dtw.peers.avalign import threaded
from benchmarks.dtw.peers.record import Call, Peer

__all__ = ["PEERS", "SUBJECT", "Call", "Peer", "choose", "find", "threaded"]

# What is compared with all others.
SUBJECT = "avalign"

PEERS: tuple[Peer, ...] = (
    *avalign.PEERS,
    *dtaidistance.PEERS,
    *aeon.PEERS,
    *tslearn.PEERS,
    *librosa.PEERS,
    *dtw_python.PEERS,
    *fastdtw.PEERS,
    *pyts.PEERS,
    *synctoolbox.PEERS,
    *pysdtw.PEERS,
    *linmdtw.PEERS,
)


def choose(distributions: Sequence[str] | None) -> list[Peer]:
    """Choose peers by the names they are installed by.

    Parameters
    ----------
    distributions : sequence of str, optional
        Such as ``["aeon"]``; all if left out. avalign is always one.

    Returns
    -------
    list of Peer
        In the order of `PEERS`.

    Raises
    ------
    ParameterError
        If a name is none of them.
    """
    known = {peer.distribution for peer in PEERS}
    wanted = known if distributions is None else {SUBJECT, *distributions}
    if unknown := wanted - known:
        raise ParameterError(
            f"the benchmark knows no library {min(unknown)!r}",
            f"choose of {', '.join(sorted(known))}",
        )
    return [peer for peer in PEERS if peer.distribution in wanted]


def find(name: str) -> Peer:
    """Return the peer of a name.

    Parameters
    ----------
    name : str
        As printed.

    Returns
    -------
    Peer
        One of `PEERS`, or avalign with some number of threads.
    """
    for peer in PEERS:
        if peer.name == name:
            return peer
    return avalign.threaded(int(name.removeprefix("avalign, ").split()[0]))
