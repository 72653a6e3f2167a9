"""A long campaign: ``python -m tests.fuzz --files 20000 --jobs 2 --seed 1 --out FOLDER``."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from .campaign import BAD, OUTCOMES, Limits, Trial, campaign, read_record

KINDS = {
    "video": "videos of 24 kinds",
    "sound": "sounds of 18 kinds",
    "streams": "streams (`.npz`)",
    "transcript": "transcripts (`.align`, `.srt`, `.txt`)",
    "manifest": "manifests (CSV, Parquet)",
    "space": "weights and calibration of a space",
    "estimator": "folders of estimators",
    "recognizer": "folders of recognisers",
}


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="how many damaged files")
    parser.add_argument("--seed", type=int, default=1, help="decides all of them")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--out", type=Path, required=True, help="folder of the record")
    parser.add_argument("--resume", action="store_true", help="go on where a run stopped")
    parser.add_argument("--only", type=int, nargs="+", help="these trials alone")
    parser.add_argument("--seconds", type=float, default=Limits.seconds)
    parser.add_argument("--page", type=Path, help="page to write the record into")
    options = parser.parse_args()
    record = options.out / f"seed-{options.seed}.jsonl"
    if record.exists() and not options.resume and not options.only:
        parser.error(f"{record} exists: add --resume, or name another folder")
    options.out.mkdir(parents=True, exist_ok=True)
    trials = [] if options.only else read_record(record)
    done = {trial.number for trial in trials}
    numbers = options.only or [one for one in range(options.files) if one not in done]
    started = time.monotonic()
    with record.open("a", encoding="utf-8") as file:
        for trial in (
            campaign(
                numbers,
                campaign_seed=options.seed,
                jobs=options.jobs,
                offenders=options.out / "offenders",
                limits=Limits(options.seconds),
            )
            if numbers
            else ()
        ):
            trials.append(trial)
            file.write(json.dumps(asdict(trial)) + "\n")
            file.flush()
            if trial.outcome in BAD or options.only:
                how = f"{trial.number} {trial.name} ({trial.how})"
                print(f"{how}: {trial.outcome}: {trial.detail}", flush=True)
            if len(trials) % 500 == 0:
                print(
                    f"{len(trials)} of {options.files}, {time.monotonic() - started:.0f} s",
                    flush=True,
                )
    text = table(trials)
    print(text)
    if options.page:
        write_page(options.page, text, trials, options.seed)
    return int(any(trial.outcome in BAD for trial in trials))


def table(trials: list[Trial]) -> str:
    """Count what came of the files, by their kind."""
    shown = list(OUTCOMES)
    rows = [["kind of file", "files", *shown]]
    for kind, words in {**KINDS, None: "all"}.items():
        found = [trial for trial in trials if kind in (None, trial.target)]
        counts = Counter(trial.outcome for trial in found)
        rows.append([words, str(len(found)), *(str(counts[name]) for name in shown)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"| --- |{' ---: |' * (len(rows[0]) - 1)}")
    return "\n".join(lines)


START, END = "<!-- campaign: written by python -m tests.fuzz --page -->", "<!-- end -->"


def write_page(page: Path, text: str, trials: list[Trial], seed: int) -> None:
    """Put the record of a campaign in its place in a page."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    slowest = max(trials, key=lambda trial: trial.seconds)
    largest = max(trials, key=lambda trial: trial.peak_bytes)
    facts = (
        f"{len(trials)} files, seed {seed}, commit {commit or 'unknown'}, Python "
        f"{sys.version.split()[0]}. The slowest took {slowest.seconds:.1f} s "
        f"({slowest.name}), the largest {largest.peak_bytes >> 20} MiB ({largest.name})."
    )
    before, _, rest = page.read_text("utf-8").partition(START)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{START}\n\n{facts}\n\n{text}\n\n{END}{after}", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
