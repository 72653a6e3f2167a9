"""Peak memory of one call, in a process of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.dtw.workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from benchmarks.dtw.peers import Peer

# Enough rows that everything is compiled, and few enough to leave no mark.
WARM_UP_ROWS = 300


@dataclass(frozen=True, slots=True)
class Peak:
    """Peak memory, in units of 1e6 bytes; NaN where the system does not tell.

    Parameters
    ----------
    call_mb : float
        What one call adds to a process that has made its data and was warmed up.
    process_mb : float
        The whole process: interpreter, libraries, data and call.
    """

    call_mb: float
    process_mb: float


def measure(peer: Peer, workload: Workload) -> Peak:
    """Run a call in a process of its own, and ask for its peak.

    Parameters
    ----------
    peer : Peer
        Whose call.
    workload : Workload
        One of the table.

    Returns
    -------
    Peak
        Of resident memory.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.dtw.memory", peer.name, workload.name],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return Peak(math.nan, math.nan)
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def _main(peer_name: str, workload_name: str) -> None:
    from benchmarks.dtw.peers import find

    peer = find(peer_name)
    workload = next(each for each in WORKLOADS if each.name == workload_name)
    prepare = peer.kinds[workload.kind]
    radius = None if workload.radius is None else WARM_UP_ROWS // 10
    prepare(
        replace(workload, rows=WARM_UP_ROWS, columns=WARM_UP_ROWS, radius=radius).make()
    ).run()
    call = prepare(workload.make())
    before = _status("VmRSS")
    # The peak so far is the libraries' own; forget it.
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    kept = call.run()
    peak = _status("VmHWM")
    del kept
    print(json.dumps({"call_mb": peak - before, "process_mb": peak}))


def _status(field: str) -> float:
    """Read a number of Linux's account of this process."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return float(line.split()[1]) * 1024 / 1e6
    return math.nan


if __name__ == "__main__":
    _main(*sys.argv[1:])
