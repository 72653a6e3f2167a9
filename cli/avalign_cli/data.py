"""`avalign data`: list a corpus, split it, check it, extract it; make a synthetic one."""

import json as json_module
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avalign_cli import options
from avalign_cli.data_synth import SYNTH_EXAMPLES, counts, synth
from avalign_cli.exit_codes import worst
from avalign_cli.ui import Screen, counted, show_error
from avalign_cli.usage import Command

if TYPE_CHECKING:
    from avalign.data import Audit

__all__ = ["app"]

LIST_EXAMPLES = """\b
Examples:
  avalign data list GRID/ --corpus grid -o GRID/manifest.csv
  avalign data list CREMA-D/ --corpus crema-d --labels voted -o crema-d.csv
  avalign data list takes/ --corpus folder --levels speaker/label -o takes/manifest.csv
"""
SPLIT_EXAMPLES = """\b
Examples:
  avalign data split manifest.csv -o split.csv
  avalign data split manifest.csv --folds 5 -o folds.csv
  avalign data split manifest.csv --leave-one-out -o folds.csv
  avalign data split s1.csv --by-sentence --shares train=720,dev=100 -o split.csv
"""
CHECK_EXAMPLES = """\b
Examples:
  avalign data check manifest.csv
  avalign data check split.csv --labels anger,disgust,fear,happy,neutral,sad --json

\b
Exit codes, the first that applies:
  3  a file cannot be read
  1  a split leaks, or a row contradicts its file or another row
  4  a file has no picture or no sound
  0  nothing is wrong (there may be warnings)
  (2 wrong usage, or the table is no manifest)
"""
EXTRACT_EXAMPLES = """\b
Example:
  avalign data extract manifest.csv --cache cache/

Ended half-way, it goes on where it was when it is started again.
"""
# Findings of one kind that are shown without -v.
SHOWN = 10

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)

ManifestPath = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="CSV or Parquet, one row per utterance.")
]
Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="The .csv file to write.")
]


@app.command("list", cls=Command, epilog=LIST_EXAMPLES)
def list_corpus(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the corpus was unpacked.")
    ],
    corpus: Annotated[
        str,
        typer.Option(
            "--corpus",
            "-c",
            metavar="NAME",
            help="grid, ravdess, crema-d, meld or folder.",
            autocompletion=lambda: ["grid", "ravdess", "crema-d", "meld", "folder"],
        ),
    ],
    output: Output,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="KIND",
            help="crema-d: acted or voted. meld: emotion or sentiment.",
            show_default="acted, emotion",
        ),
    ] = None,
    levels: Annotated[
        str | None,
        typer.Option(
            "--levels",
            metavar="NAMES",
            help="folder: what its folders stand for, such as speaker/label.",
            show_default="label",
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> int:
    """Write the manifest of a corpus as it was unpacked.

    Names, folders and tables of the corpus tell what each row says; no media file is
    opened. Files in the manifest's own folder are written as relative paths.
    """
    from avalign.data import TRANSCRIPT_SUFFIXES, write_manifest
    from avalign.data.corpora import find_corpus_tables, read_corpus, unlisted_files
    from avalign.files import AUDIO_SUFFIXES, VIDEO_SUFFIXES, check_target, files_in
    from avalign_cli.inputs import left_out_note

    check_target(find_corpus_tables(folder, corpus), output, overwrite=overwrite, suffix=".csv")
    chosen = {"labels": labels, "levels": levels}
    given = {name: value for name, value in chosen.items() if value is not None}
    manifest = write_manifest(read_corpus(folder, corpus, **given), output, overwrite=overwrite)
    screen = Screen(quiet=quiet)
    screen.result(f"Wrote {output}: {counts(manifest)}.")
    left_out = unlisted_files(folder, manifest)
    if left_out:
        screen.note(
            f"note: {counted(len(left_out), 'media file')} left out, named unlike the corpus "
            f"or there twice, such as {left_out[0]}"
        )
    if corpus == "folder":
        known = VIDEO_SUFFIXES | AUDIO_SUFFIXES | set(TRANSCRIPT_SUFFIXES)
        others = files_in(folder, known).left_out
        if others:
            screen.note(left_out_note(others, hint=False))
    return 0


@app.command(cls=Command, epilog=SPLIT_EXAMPLES)
def split(
    manifest: ManifestPath,
    output: Output,
    shares: Annotated[
        str,
        typer.Option("--shares", metavar="NAME=SHARE,...", help="The parts, by their seconds."),
    ] = "train=0.8,dev=0.1,test=0.1",
    folds: Annotated[
        int | None,
        typer.Option("--folds", metavar="N", help="Make N folds instead."),
    ] = None,
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Make every speaker a fold instead.")
    ] = False,
    by_sentence: Annotated[
        bool,
        typer.Option(
            "--by-sentence", help="Declare that speakers are in all parts, their sentences not."
        ),
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Same seed, same split.")
    ] = 0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> int:
    """Write a manifest with its rows split, so that no speaker is on two sides."""
    from avalign.data import (
        fold_split,
        leave_one_speaker_out,
        read_manifest,
        sentence_split,
        speaker_split,
        write_manifest,
    )
    from avalign.files import check_target

    if (folds is not None) + leave_one_out + by_sentence > 1:
        raise typer.BadParameter(
            "choose one of --folds, --leave-one-out and --by-sentence", param_hint="--folds"
        )
    check_target((manifest,), output, overwrite=overwrite, suffix=".csv")
    rows = read_manifest(manifest)
    if folds is not None:
        done = fold_split(rows, folds, seed=seed)
    elif leave_one_out:
        done = leave_one_speaker_out(rows)
    elif by_sentence:
        done = sentence_split(rows, _shares(shares), seed=seed)
    else:
        done = speaker_split(rows, _shares(shares), seed=seed)
    write_manifest(done, output, overwrite=overwrite)
    parts = sorted({row.split for row in done})
    counts = ", ".join(f"{part} {len(done.select(split=part))}" for part in parts[:SHOWN])
    more = f" and {len(parts) - SHOWN} more" if len(parts) > SHOWN else ""
    Screen(quiet=quiet).result(f"Wrote {output}: {counts}{more} rows.")
    return 0


@app.command(cls=Command, epilog=CHECK_EXAMPLES)
def check(
    manifest: ManifestPath,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="NAME,...",
            help="The labels that are known.",
            show_default="those of train",
        ),
    ] = None,
    alphabet: Annotated[
        str | None,
        typer.Option(
            "--alphabet",
            metavar="CHARACTERS",
            help="What transcripts may hold besides blanks.",
            show_default="anything",
        ),
    ] = None,
    by_sentence: Annotated[
        list[str] | None,
        typer.Option(
            "--by-sentence",
            metavar="SPEAKER",
            help="Declare that this speaker is in all parts; may be repeated.",
        ),
    ] = None,
    jobs: options.Jobs = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object: see docs/data.md.")
    ] = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Check the files, streams, splits, labels and words of a manifest."""
    from avalign.data import Manifest, audit_manifest, read_manifest

    screen = Screen(json, quiet, verbose)
    rows = read_manifest(manifest)
    declared = set(by_sentence or ())
    rows = Manifest(
        rows.path,
        tuple(
            replace(row, split_by="sentence") if row.speaker in declared else row
            for row in rows
        ),
    )
    with screen.progress(f"Checking {manifest}") as progress:
        audit = audit_manifest(
            rows,
            labels=None if labels is None else options.comma_separated(labels, "label"),
            alphabet=alphabet,
            jobs=jobs,
            progress=progress,
        )
    screen.data(json_module.dumps(audit.as_dict(), ensure_ascii=False))
    _show(audit, screen)
    return audit.exit_code


@app.command(cls=Command, epilog=EXTRACT_EXAMPLES)
def extract(
    manifest: ManifestPath,
    cache: Annotated[
        Path | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Keep the streams in this folder.",
            show_default="the user's cache",
        ),
    ] = None,
    jobs: options.Jobs = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Extract sound and lips of all files of a manifest into the cache.

    A file that cannot be extracted never stops the rest.
    """
    from avalign.data import extract_clips, read_manifest

    screen = Screen(quiet=quiet, verbose=verbose)
    rows = read_manifest(manifest)
    n_done = n_kept = 0
    exit_codes = set()
    with screen.progress(f"Extracting {manifest}") as progress:
        for one in extract_clips(rows, cache_dir=cache, jobs=jobs, progress=progress):
            if one.error is not None:
                exit_codes.add(one.error.exit_code)
                show_error(f"{rows.name_of(one.row)}: {one.error.message}", one.error.hint)
                continue
            n_done, n_kept = n_done + (not one.was_cached), n_kept + one.was_cached
            if not one.was_cached:
                screen.detail(f"{rows.name_of(one.row)}: extracted")
    done = f"{counted(n_done, 'file')} extracted"
    screen.result(f"{manifest}: {done}, {n_kept} there already.")
    return worst(exit_codes)


app.command(cls=Command, epilog=SYNTH_EXAMPLES)(synth)


def _show(audit: "Audit", screen: Screen) -> None:
    for part in audit.parts:
        labels = ", ".join(f"{label} {count}" for label, count in part.labels.items())
        name = part.name or ("all" if len(audit.parts) == 1 else "no part")
        screen.result(
            f"{name}: {counted(part.n_rows, 'row')}, {counted(part.n_speakers, 'speaker')}, "
            f"{part.duration_s / 60:.1f} min{f' ({labels})' if labels else ''}"
        )
    shown: dict[tuple[str, bool], int] = {}
    for finding in audit.findings:
        kind = finding.check, finding.is_error
        shown[kind] = shown.get(kind, 0) + 1
        if shown[kind] <= SHOWN or screen.verbose:
            level = "error" if finding.is_error else "warning"
            screen.result(
                f"{level:7}  {finding.check:10}  {finding.place}: {finding.message}",
                "red" if finding.is_error else "yellow",
            )
    hidden = sum(max(0, count - SHOWN) for count in shown.values())
    if hidden and not screen.verbose:
        screen.note(f"{hidden} more like these; -v shows all")
    n_warnings = len(audit.findings) - audit.n_errors
    screen.result(
        f"{audit.manifest}: {counted(audit.n_errors, 'error')}, "
        f"{counted(n_warnings, 'warning')}."
    )


def _shares(text: str) -> dict[str, float]:
    shares = {}
    for part in options.comma_separated(text, "share"):
        name, _, share = part.partition("=")
        try:
            shares[name.strip()] = float(share)
        except ValueError:
            raise typer.BadParameter(
                f"{part!r} is no share; write it like train=0.8", param_hint="--shares"
            ) from None
    return shares
