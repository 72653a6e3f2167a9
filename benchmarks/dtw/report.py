"""From results to a page of Markdown and to JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.dtw.cold_start import ColdStart
from benchmarks.dtw.contest import Judgement, Outcome, Standing
from benchmarks.dtw.limit import Limit
from benchmarks.dtw.machine import Machine
from benchmarks.dtw.peers import SUBJECT, Peer
from benchmarks.dtw.scaling import Curve
from benchmarks.dtw.timing import Spread

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run measured.

    Parameters
    ----------
    started : str
        When, in ISO 8601.
    machine : Machine
        Where.
    load_before, load_after : float
        Load average of the last minute; the benchmark itself adds 1.
    limits : list of Limit
        What the processor can do at best.
    peers : dict of str to str
        Version of each, or why it took no part.
    outcomes : list of Outcome
        Of the workloads.
    curves : list of Curve
        Time over length.
    cold_starts : list of ColdStart
        From process start to first distance.
    cold_start_judgements : list of Judgement
        Bars of these.
    """

    started: str
    machine: Machine
    load_before: float
    load_after: float
    limits: list[Limit]
    peers: dict[str, str]
    outcomes: list[Outcome]
    curves: list[Curve]
    cold_starts: list[ColdStart]
    cold_start_judgements: list[Judgement]

    def as_json(self) -> dict[str, Any]:
        """Return plain data; what was not measured is null."""
        content = {"schema": SCHEMA, **asdict(self)}
        for written, outcome in zip(content["outcomes"], self.outcomes, strict=True):
            written["workload"]["cells"] = outcome.workload.cells
            written["share_of_limit"] = self.share_of_limit(outcome)
        return _without_nan(content)

    def share_of_limit(self, outcome: Outcome) -> float:
        """Cells per second of avalign, as a fraction of what the processor can do at best."""
        workload = outcome.workload
        limit = next((each for each in self.limits if each.dtype == workload.dtype), None)
        subject = next((each for each in outcome.standings if each.peer == SUBJECT), None)
        # Exponentials and logarithms, not minima, bound the soft ones.
        if limit is None or subject is None or workload.kind == "soft":
            return math.nan
        return subject.cells_per_second / limit.cells_per_second(workload.dimensions)

    def as_markdown(self) -> str:
        """Return a page with the bars first, then all contenders."""
        parts = [
            "# Speed of dynamic time warping",
            self._setting(),
            "## Bars",
            self._bars(),
            "## All contenders",
            "Times as fast as the baseline, 1.00; in brackets where approximate. Further down "
            "with 95 % intervals over the rounds.",
            self._matrix(),
            *(self._details(each) for each in self.outcomes),
        ]
        if self.cold_starts:
            parts += ["## Process start to first distance", self._cold_start()]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _setting(self) -> str:
        machine = self.machine
        pinned = ", ".join(map(str, machine.pinned_to))
        libraries = ", ".join(f"{name} {v}" for name, v in machine.libraries.items())
        lines = [
            f"- {self.started}; {machine.processor}, {machine.cores} cores, pinned to core "
            f"{pinned}; {machine.instruction_set}; {machine.system}",
            f"- load average {self.load_before:.2f} before, {self.load_after:.2f} after",
            f"- Python {machine.python}, {libraries}",
            "- " + ", ".join(f"{name} {said}" for name, said in self.peers.items()),
        ]
        lines += [
            f"- limit of one core, {each.dtype}: "
            f"{each.operations_per_second / 1e9:.2f} G vector operations/s, "
            f"{each.cells_per_second(1) / 1e9:.1f} Gcells/s at D = 1, "
            f"{each.cells_per_second(13) / 1e9:.2f} at 13, "
            f"{each.cells_per_second(32) / 1e9:.2f} at 32"
            for each in self.limits
        ]
        return "\n".join(lines)

    def _bars(self) -> str:
        rows = []
        for outcome in self.outcomes:
            subject = next((s for s in outcome.standings if s.peer == SUBJECT), None)
            speed = subject.cells_per_second if subject else math.nan
            rows += [
                [
                    f"{outcome.workload.name}: {outcome.workload.title}",
                    *_bar_cells(judgement),
                    f"{speed / 1e9:.2f}" if math.isfinite(speed) else "",
                    _percent(self.share_of_limit(outcome)),
                    _percent(outcome.cpu_share),
                ]
                for judgement in outcome.judgements
            ]
        for judgement, what in zip(
            self.cold_start_judgements,
            ("cold start, cached", "first ever distance and path"),
            strict=False,
        ):
            rows.append([what, *_bar_cells(judgement), "", "", ""])
        header = ["workload", "measure", "floor", "goal", "reached", "verdict"]
        return _table([*header, "Gcells/s", "of the limit", "CPU share"], rows)

    def _matrix(self) -> str:
        names = list(dict.fromkeys(s.peer for o in self.outcomes for s in o.standings))
        names.sort(key=list(self.peers).index)
        rows = []
        for outcome in self.outcomes:
            standings = {each.peer: each for each in outcome.standings}
            rows.append(
                [outcome.workload.name, *(_matrix_cell(standings.get(name)) for name in names)]
            )
        return _table(["", *names], rows)

    def _details(self, outcome: Outcome) -> str:
        rows = [
            [
                each.peer,
                _seconds(each.seconds),
                _spread(each.ratio),
                _number(each.cells_per_second / 1e6),
                f"{_number(each.peak.call_mb)} ({_number(each.peak.process_mb)})"
                if each.peak
                else "",
                str(each.seconds.rounds) if each.seconds.rounds else "",
                " ".join(part for part in (_word(each), each.reason) if part),
            ]
            for each in outcome.standings
            if each.state not in ("unable", "absent")
        ]
        header = ["", "a call", "ratio", "Mcells/s", "peak MB, call (process)", "rounds", ""]
        title = f"### {outcome.workload.name}: {outcome.workload.title}"
        return f"{title}\n\n{_table(header, rows)}"

    def _cold_start(self) -> str:
        rows = [
            [
                each.peer,
                _seconds(each.cached),
                _seconds(each.cached_wall),
                f"{each.first_ever_s:.2f} s",
            ]
            for each in self.cold_starts
        ]
        return _table(["", "cached", "cached, wall time", "first ever"], rows)


def versions(peers: Iterable[Peer]) -> dict[str, str]:
    """Say of each peer which version it is, or that it is absent.

    Parameters
    ----------
    peers : iterable of Peer
        Those known.

    Returns
    -------
    dict of str to str
        By name.
    """
    return {peer.name: peer.version() or "absent" for peer in peers}


def _bar_cells(judgement: Judgement) -> list[str]:
    bar = judgement.bar
    measure = {
        "ratio": f"x {bar.against}",
        "seconds": "s",
        "megabytes": "MB",
    }[bar.measure]
    return [
        measure,
        _number(bar.floor),
        _number(bar.goal),
        _number(judgement.value),
        judgement.verdict or "not measured",
    ]


def _matrix_cell(standing: Standing | None) -> str:
    if standing is None:
        return ""
    if math.isfinite(standing.ratio.median):
        text = _number(standing.ratio.median)
        return f"({text})" if standing.state == "approximate" else text
    if math.isfinite(standing.seconds.median):
        return _seconds(standing.seconds)
    return "" if standing.state == "unable" else standing.state


def _word(standing: Standing) -> str:
    return "" if standing.state == "timed" else f"{standing.state}:"


def _spread(spread: Spread) -> str:
    if not math.isfinite(spread.median):
        return ""
    return f"{_number(spread.median)} [{_number(spread.low)}, {_number(spread.high)}]"


def _seconds(spread: Spread) -> str:
    if not math.isfinite(spread.median):
        return ""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if spread.median * factor >= 1:
            return f"{spread.median * factor:.3g} {unit}"
    return f"{spread.median * 1e6:.3g} µs"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
