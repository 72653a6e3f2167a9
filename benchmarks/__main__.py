"""The command line of the benchmarks."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from avalign.errors import AvalignError
from benchmarks.dtw.options import add_dtw_options
from benchmarks.fusion.options import add_fusion_options

WAYS = ("api", "check-1", "check-2", "extract")


def main(arguments: list[str] | None = None) -> int:
    """Run a benchmark.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    try:
        if options.benchmark == "dtw":
            from benchmarks.dtw.run import run_dtw

            return run_dtw(
                arguments[1:], threads=options.threads, avx2=options.avx2, out=options.out
            )
        _run(options)
    except AvalignError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    # Imported here, so that --help answers at once.
    if options.benchmark == "sync" and options.frame_rates:
        from benchmarks.frame_rates import run_frame_rates

        run_frame_rates(
            options.data,
            options.frame_rates,
            out=options.out,
            cache=options.cache,
            split=options.split,
        )
    elif options.benchmark == "sync":
        from benchmarks.sync import run_sync

        run_sync(
            options.data,
            out=options.out,
            cache=options.cache,
            split=options.split,
            windows_per_clip=options.windows_per_clip,
            draws=options.draws,
            seed=options.seed,
            estimator=options.estimator,
        )
    elif options.benchmark == "cross-validate":
        from benchmarks.cross_validation import run_cross_validation

        run_cross_validation(
            options.data,
            out=options.out,
            cache=options.cache,
            folds=options.folds,
            members=options.members,
            studios=options.studios,
            freeze=options.freeze,
            windows_per_clip=options.windows_per_clip,
            draws=options.draws,
            seed=options.seed,
        )
    elif options.benchmark == "calibration":
        from benchmarks.calibration import run_calibration

        run_calibration(options.data, out=options.out, cache=options.cache, seed=options.seed)
    elif options.benchmark == "align":
        from benchmarks.align import run_align

        run_align(
            options.data,
            out=options.out,
            cache=options.cache,
            split=options.split,
            warps_per_clip=options.warps_per_clip,
            seed=options.seed,
        )
    elif options.benchmark == "fusion":
        from benchmarks.fusion.run import run_fusion

        run_fusion(options)
    elif options.benchmark == "fusion-speed":
        from benchmarks.fusion_speed import run_fusion_speed

        run_fusion_speed(
            out=options.out,
            device=options.device,
            families=tuple(options.families),
        )
    elif options.benchmark == "few-labels":
        from benchmarks.few_labels import run_few_labels

        run_few_labels(
            options.data,
            out=options.out,
            cache=options.cache,
            shares=options.shares,
            repeats=options.repeats,
            seed=options.seed,
        )
    elif options.benchmark == "hidden-mouths":
        from benchmarks.hidden_mouths import run_hidden_mouths

        run_hidden_mouths(
            options.data,
            out=options.out,
            split=options.split,
            seconds=options.seconds,
            fit=options.fit,
        )
    elif options.benchmark == "own-lags":
        from benchmarks.sync import run_own_lags

        run_own_lags(options.data, cache=options.cache)
    elif options.benchmark == "growth":
        from benchmarks.growth import run_growth

        run_growth(
            options.video,
            clips=options.clips,
            length_s=options.length,
            ways=options.ways,
            out=options.out,
        )
    else:
        from benchmarks.speed import run_speed

        run_speed(options.video, out=options.out, memory=options.memory)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure avalign."
    )
    commands = parser.add_subparsers(dest="benchmark", required=True)
    sync = commands.add_parser("sync", help="accuracy, bias, calibration of measured lags")
    cross = commands.add_parser(
        "cross-validate", help="the same, training anew without the speakers measured"
    )
    calibration = commands.add_parser(
        "calibration", help="reliability of the confidence, speaker by speaker left out"
    )
    align = commands.add_parser("align", help="accuracy and speed of the elastic aligner")
    few_labels = commands.add_parser(
        "few-labels", help="emotion recognition from 1, 10 and 100 %% of the labels"
    )
    hidden = commands.add_parser(
        "hidden-mouths", help="verdicts on mouths behind masks, blur, hands and microphones"
    )
    own_lags = commands.add_parser("own-lags", help="freeze the clips' own lags")
    speed = commands.add_parser("speed", help="speed of `avalign check`, and its memory")
    growth = commands.add_parser("growth", help="memory over thousands of short clips")
    growth.add_argument("video", type=Path, help="a talking face; cut short and copied")
    growth.add_argument("--clips", type=_positive, default=2000, metavar="N")
    growth.add_argument("--length", type=float, default=1.0, metavar="S", help="of a clip")
    growth.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="default: all")
    add_fusion_options(
        commands.add_parser(
            "fusion", help="what misalignment costs each fusion family, and what alignment wins"
        )
    )
    fusion = commands.add_parser(
        "fusion-speed", help="time and memory of a training step in each fusion family"
    )
    fusion.add_argument("families", nargs="*", help="families (default: all)")
    fusion.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    dtw = commands.add_parser("dtw", help="speed of avalign.dtw, against other libraries")
    add_dtw_options(dtw)
    for command in (sync, cross, calibration, align, few_labels, own_lags):
        command.add_argument("--data", type=Path, required=True, help="manifest of the clips")
        command.add_argument("--cache", type=Path, help="folder for extracted clips")
    hidden.add_argument("--data", type=Path, required=True, help="manifest of the clips")
    hidden.add_argument(
        "--seconds", type=float, default=10.0, help="of each clip (default: 10)"
    )
    hidden.add_argument(
        "--fit", action="store_true", help="first fit the shipped weights to the split train"
    )
    for command in (sync, align, hidden):
        command.add_argument("--split", default="dev", help="dev (default), train or all")
    align.add_argument("--warps-per-clip", type=_positive, default=3, metavar="N")
    for command in (sync, cross):
        command.add_argument("--windows-per-clip", type=_positive, default=36, metavar="N")
        command.add_argument("--draws", type=_positive, default=4, metavar="N")
    for command in (sync, cross, calibration, align, few_labels):
        command.add_argument("--seed", type=int, default=0)
    few_labels.add_argument(
        "--shares", type=_fraction, nargs="+", default=[0.01, 0.1, 1.0], metavar="FRACTION"
    )
    few_labels.add_argument(
        "--repeats", type=_positive, default=3, help="draws of each fraction (default: 3)"
    )
    cross.add_argument("--folds", type=_positive, default=4, help="models to train")
    cross.add_argument(
        "--members", type=_positive, help="members of each (default: as many as shipped)"
    )
    cross.add_argument(
        "--studios",
        nargs="+",
        default=(),
        metavar="DATASET",
        help="datasets recorded in one place, each held out as a whole",
    )
    cross.add_argument(
        "--freeze", action="store_true", help="make the clips' own lags those of the benchmark"
    )
    sync.add_argument(
        "--estimator",
        choices=("avalign", "cca", "kernel-cca"),
        default="avalign",
        help="what ships (default), or a baseline fitted on the split train first",
    )
    sync.add_argument(
        "--frame-rates",
        type=_rates,
        metavar="RATE,...",
        help="measure whole clips with fewer pictures instead, such as 8,10,12,15",
    )
    speed.add_argument("video", type=Path, help="a talking face; repeated and re-encoded")
    speed.add_argument(
        "--memory", action="store_true", help="measure the peak on ten minutes instead"
    )
    for command in (
        *(sync, cross, calibration, align, few_labels, hidden),
        *(speed, growth, fusion, dtw),
    ):
        command.add_argument(
            "--out", type=Path, default=Path("build/benchmarks"), help="folder for the results"
        )
    return parser


def _fraction(text: str) -> float:
    if not 0 < (number := float(text)) <= 1:
        raise ValueError(text)
    return number


def _rates(text: str) -> list[float]:
    rates = [float(number) for number in text.split(",")]
    if not all(0 < rate_hz <= 1000 for rate_hz in rates):
        raise ValueError(text)
    return rates


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    sys.exit(main())
