"""The libraries; to add one, write a module like these and name its peers here."""

from __future__ import annotations

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

__all__ = ["PEERS", "SUBJECT", "Call", "Peer", "find", "threaded"]

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
