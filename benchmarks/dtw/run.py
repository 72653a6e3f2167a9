"""``python -m benchmarks dtw``: the speed of dynamic time warping."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from avalign.errors import AvalignError, MissingDependencyError
from avalign.files import atomic_output
from benchmarks.dtw import machine
from benchmarks.dtw.options import add_dtw_options

Result = TypeVar("Result")
console = Console(stderr=True)


def run_dtw(arguments: Sequence[str], *, threads: int, avx2: bool, out: Path) -> int:
    """Measure in a process whose libraries were told how many threads to use.

    That can only be said before they are loaded.

    Parameters
    ----------
    arguments : sequence of str
        The command line after ``dtw``.
    threads : int
        Cores to use.
    avx2 : bool
        Keep Numba from AVX-512.
    out : Path
        Folder for the results.

    Returns
    -------
    int
        Exit code.
    """
    environment = machine.environment(threads, avx2=avx2, cache=out / "avx2-cache")
    command = [sys.executable, "-m", "benchmarks.dtw.run", *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


def measure(options: argparse.Namespace) -> None:
    """Measure, print a page, and write it beside its data and a figure.

    Parameters
    ----------
    options : argparse.Namespace
        The command line.
    """
    try:
        from benchmarks.dtw import cold_start, contest, figure, limit, scaling, workloads
        from benchmarks.dtw.peers import choose, threaded
        from benchmarks.dtw.report import Report, versions
    except ImportError as error:
        raise MissingDependencyError(
            f"the benchmark needs {error.name}", "pip install 'avalign[bench]'"
        ) from error
    chosen = workloads.select(options.only, quick=options.quick)
    if machine.instruction_set() != "AVX-512":
        chosen = [each.with_half_floors() for each in chosen]
    peers = choose(options.peers)
    if options.threads > 1:
        peers.append(threaded(options.threads))
    whole = not options.only
    machine.pin(options.threads)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    load_before = machine.load_average()
    limits = contest.Limits()
    if options.quick:
        limits = contest.Limits(budget_s=2.0, call_s=0.7, slow_imports=False, least_rounds=1)
    best = [_step(f"limit, {d}", limit.measure, d) for d in ("float64", "float32")]
    outcomes = [_step(each.name, contest.hold, each, peers, limits) for each in chosen]
    curves: list[scaling.Curve] = []
    starts: list[cold_start.ColdStart] = []
    judgements: list[contest.Judgement] = []
    if whole:
        curves = _step("scaling", lambda: scaling.measure(peers, quick=options.quick))
        starts, judgements = _step(
            "cold start",
            lambda: cold_start.measure(peers, quick=options.quick),
        )
    report = Report(
        started,
        machine.describe(),
        load_before,
        machine.load_average(),
        best,
        versions(peers),
        outcomes,
        curves,
        starts,
        judgements,
    )
    page = report.as_markdown()
    name = "dtw-avx2" if options.avx2 else "dtw"
    options.out.mkdir(parents=True, exist_ok=True)
    _write(options.out / f"{name}.json", json.dumps(report.as_json(), indent=2) + "\n")
    _write(options.out / f"{name}.md", page)
    if curves:
        where = f"{report.machine.processor}, {report.machine.instruction_set}, one thread"
        figure.draw(curves, options.out / f"{name}-scaling.png", setting=where)
    print(page)


def _step(name: str, function: Callable[..., Result], *arguments: object) -> Result:
    started = time.perf_counter()
    with console.status(name):
        result = function(*arguments)
    console.print(f"{name}: {time.perf_counter() - started:.1f} s")
    return result


def _write(path: Path, text: str) -> None:
    with atomic_output(path, True) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def _main() -> int:
    parser = argparse.ArgumentParser()
    add_dtw_options(parser)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    # Peers warn of their own affairs, some on every call.
    warnings.simplefilter("ignore")
    try:
        measure(parser.parse_args())
    except AvalignError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_main())
