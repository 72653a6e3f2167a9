"""The page of the documentation, made of the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.fusion.plan import AUDIO_ALONE, LIPS_ALONE, Scene

__all__ = ["other_corpus", "page", "ranks"]

UNNAMED = "a corpus without a name"

_HEAD = """\
# Fusion and misalignment

What sound and lips that are out of step cost each fusion family, and how much of it alignment
wins back. This page is made by `python docs/make_fusion_ablation.py RESULTS [MORE]`, from what

```bash
python -m benchmarks fusion {quick}--data MANIFEST --output FOLDER
```

measured.

![Ranks, costs, recovery and weights](images/fusion-ablation.png)

## How it was measured

{train_clips} sentences ({corpus}) were learnt from, {clips} others ({words} words)
tested on: a split by sentence, so nothing here tells of strangers. The encoders
of one recogniser were frozen; each family ({seeds}) was trained on their rows for {steps}
steps with the same settings, under one linear layer: all that joins the streams is the fusion.
Clips were disturbed in {versions} ways; a stream was hidden from a part of them; none of them
was out of step. Audio alone and lips alone are models of one stream's rows, trained alike. Word
error rates are {decoding}; intervals are 95 %, by resampling clips, and differences are paired
by clip. Errors are means over the seeds.

A misalignment moves the clock of the rows of sound: a lag, 3 % of drift from the clip's start
on, or a smooth warp (a lag of up to 200 ms that wanders, at a pace of up to 20 %). Aligners
hear the same noisy, moved sound as the models: a lag search, or DTW in the shared space
({space}), within one second. The lag search moves nothing where the clip is as likely
in sync as it is. Raw DTW takes standardised MFCC and as many principal components of the lips
for comparable; the oracle knows the planted misalignment. Babble is six voices of training
clips.
"""


def page(results: Mapping[str, Any]) -> str:
    """Write the page.

    Parameters
    ----------
    results : mapping
        What the benchmark found.

    Returns
    -------
    str
        Markdown.
    """
    facts, plan = results["facts"], results["plan"]
    families = results["families"]
    seeds = sorted({one["seeds"] for one in families})
    head = _HEAD.format(
        quick="--quick " if plan["quick"] else "",
        train_clips=facts["train_clips"],
        corpus=facts.get("corpus", UNNAMED),
        space=f"`{facts['space']}`" if "space" in facts else "whose name was not kept",
        clips=results["clips"],
        words=results["words"],
        seeds=f"{' or '.join(map(str, seeds))} seed{'s' * (seeds != [1])}",
        steps=plan["steps"],
        versions=plan["versions"],
        decoding="with GRID's grammar" if results["decoding"] == "grammar" else "greedy",
    )
    parts = [head]
    if results["left_out"]:
        parts.append(f"Left out for want of time: {', '.join(results['left_out'])}.\n")
    parts += [
        _ranks(results),
        _cost(results),
        _early(results),
        _recovery(results),
        _missing(results),
        _gates(results),
    ]
    return "\n".join(part for part in parts if part)


def other_corpus(results: Mapping[str, Any]) -> str:
    """Write what the same measurement found on another corpus, as a part of a page.

    Parameters
    ----------
    results : mapping
        What the benchmark found there.

    Returns
    -------
    str
        Markdown.
    """
    facts, families = results["facts"], results["families"]
    seeds = " or ".join(map(str, sorted({one["seeds"] for one in families})))
    corpus, n_train = facts.get("corpus", UNNAMED), facts["train_clips"]
    head = (
        f"## The same on {corpus}\n\n{n_train} sentences were learnt from, "
        f"{results['clips']} others ({results['words']} words) tested on; "
        f"encoders, and {len(families)} families with {seeds} seeds, were trained anew.\n"
    )
    parts = [_ranks(results), _cost(results), _early(results), _recovery(results)]
    return "\n".join([head, *(part.replace("## ", "### ", 1) for part in parts if part)])


def ranks(results: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what `avalign.fusion.ranks` reads.

    Parameters
    ----------
    results : mapping
        What the benchmark found.

    Returns
    -------
    dict
        Place and word error rate of each family, and what they were measured on.
    """
    noise, way = Scene().noise, results["decoding"]
    families = {}
    for one in results["families"]:
        rate = one["wer"][noise][way]
        families[one["name"]] = {
            "place": one["rank"],
            "error": rate["value"],
            "low": rate["low"],
            "high": rate["high"],
        }
    corpus = results["facts"].get("corpus", UNNAMED)
    return {"test": f"{corpus}, sound and lips, babble at 0 dB", "families": families}


def _ranks(results: Mapping[str, Any]) -> str:
    way = results["decoding"]
    rows = []
    for one in results["families"]:
        levels = [_rate(one["wer"].get(noise, {}).get(way)) for noise in _NOISES]
        behind = _rate(one["behind_best"]) if one["rank"] > 1 else ""
        against = one.get("against_audio", {}).get(Scene().noise, {})
        gain = _rate(against.get("relative_reduction"), digits=0)
        seeds = [f"{rate:.1f}" for rate in (min(one["by_seed"]), max(one["by_seed"]))]
        rows.append(
            [
                str(one["rank"]),
                f"`{one['name']}`",
                *levels,
                " to ".join(dict.fromkeys(seeds)),
                behind,
                gain,
                f"{one['parameters'] / 1000:.0f}",
            ]
        )
    for name in (AUDIO_ALONE, LIPS_ALONE):
        told = results["single_streams"].get(name)
        if told:
            levels = [_rate(told.get(noise, {}).get(way)) for noise in _NOISES]
            rows.append(["", name.replace("_", " "), *levels, "", "", "", ""])
    header = [
        "rank", "family", "clean", "0 dB", "-5 dB", "0 dB by seed", "behind the best",
        "errors of audio alone removed, %", "1000 parameters",
    ]  # fmt: skip
    return "## Ranks\n\nWord error rates in % of streams in sync, by the rate at 0 dB.\n\n" + (
        _table(header, rows)
    )


_NOISES = tuple(Scene(snr_db=level).noise for level in (None, 0.0, -5.0))


def _cost(results: Mapping[str, Any]) -> str:
    cost = results["cost"].get(Scene().noise)
    if not cost:
        return ""
    names = ["all families", *(one["name"] for one in results["families"])]
    rows = [[_code(name), *(_rate(found[name]) for found in cost.values())] for name in names]
    return (
        "## What misalignment costs\n\nPoints of word error rate lost at 0 dB where nothing "
        "aligns; lags in ms, positive where the sound is late.\n\n"
        + _table(["family", *map(_misalignment, cost)], rows)
    )


def _early(results: Mapping[str, Any]) -> str:
    early = results["early"]
    if not early:
        return ""
    difference = early["difference"]
    low, high = difference["low"], difference["high"]
    if low is not None and low > 0:
        verdict = "it minds a lag more than the mean of the others"
    elif high is not None and high < 0:
        verdict = "it minds a lag less than the mean of the others"
    else:
        verdict = "the data do not tell it from the mean of the others"
    return (
        "## Is early fusion the most sensitive?\n\nIt is said to be. Of lags of 320 ms either "
        f"way at 0 dB, early fusion loses {_rate(early['cost'])} points, the other families on "
        f"average {_rate(early['mean_of_others'])}; the difference is {_rate(difference)}: "
        f"{verdict}. It is number {early['place']} of {early['of']} by that cost. Most "
        f"sensitive: `{early['most_sensitive']}`; least: `{early['least_sensitive']}`.\n"
    )


_ALIGNERS = ("lag_search", "raw_dtw", "shared_dtw")


def _recovery(results: Mapping[str, Any]) -> str:
    rows = []
    for noise, found in results["recovery"].items():
        for misalignment, aligners in found.items():
            rows.append(
                [
                    noise,
                    _misalignment(misalignment),
                    _rate(aligners["none"]["wer"]),
                    *(_rate(aligners[one]["wer"]) for one in _ALIGNERS),
                    _rate(aligners["oracle"]["wer"]),
                    *(_rate(aligners[one]["recovered"], digits=0) for one in _ALIGNERS),
                ]
            )
    if not rows:
        return ""
    titles = ["lag search", "raw DTW", "shared DTW"]
    header = ["noise", "moved", "not aligned", *titles, "oracle",
              *(f"{title}, %" for title in titles)]  # fmt: skip
    errors = results["alignment_errors"]
    distances = [
        [
            noise,
            _misalignment(name),
            *(_distance(errors, name, one, noise) for one in _ALIGNERS),
        ]
        for noise, found in results["recovery"].items()
        for name in ("in_sync", *found)
    ]
    penalty = [
        [noise, *(_rate(found.get(one, {}).get("all families")) for one in _ALIGNERS)]
        for noise, found in results["in_sync_penalty"].items()
    ]
    return (
        "## What alignment wins back\n\nWord error rates in %, means of all families; then the "
        "recovery ratio (not aligned - aligned) / (not aligned - oracle) in %.\n\n"
        + _table(header, rows)
        + "\nPoints lost by aligning what was in sync:\n\n"
        + _table(["noise", *titles], penalty)
        + "\nHow far the aligners were from what was planted, in ms: median of the clips, and "
        "90th percentile. The clips' own lag, which is not taken off, counts as error.\n\n"
        + _table(["noise", "moved", *titles], distances)
    )


def _distance(errors: Mapping[str, Any], misalignment: str, aligner: str, noise: str) -> str:
    told = errors.get(f"{misalignment}/{aligner}/{noise}")
    return f"{told['median_ms']:.0f}, {told['p90_ms']:.0f}" if told else "-"


def _missing(results: Mapping[str, Any]) -> str:
    families = results["families"]
    kinds = list(dict.fromkeys(kind for one in families for kind in one["missing"]))
    if not kinds:
        return ""
    rows = []
    for one in families:
        told = [one["missing"].get(kind, {}) for kind in kinds]
        pairs = [
            f"{_rate(kind.get('wer'), interval=False)} ({_rate(kind.get('behind_single'))})"
            for kind in told
        ]
        rows.append([f"`{one['name']}`", *pairs])
    return (
        "## When a stream is missing\n\nWord error rate in % with one stream left and, in "
        "brackets, points behind a model of that stream alone.\n\n"
        + _table(["family", *kinds], rows)
    )


def _gates(results: Mapping[str, Any]) -> str:
    gates = results["gates"]
    if not gates:
        return ""
    noises = list(next(iter(gates.values()))["audio_weight"])
    rows = [
        [
            f"`{name}`",
            *(f"{gate['audio_weight'][noise]:.2f}" for noise in noises),
            f"{gate['spearman']:.2f}",
            ", ".join(f"{value:.2f}" for value in gate["spearman_by_seed"]),
        ]
        for name, gate in gates.items()
    ]
    return (
        "## Trust in the sound\n\nMean weight of the sound by babble, of families that tell "
        "weights, and its rank correlation with the SNR, overall and by seed.\n\n"
        + _table(["family", *noises, "Spearman", "by seed"], rows)
    )


def _code(name: str) -> str:
    return name if " " in name else f"`{name}`"


def _misalignment(name: str) -> str:
    return name.removeprefix("lag").replace("_", " ")


def _rate(told: Mapping[str, Any] | None, *, digits: int = 1, interval: bool = True) -> str:
    """Write a number with its interval."""
    if not told or told["value"] is None:
        return "-"
    value = f"{told['value']:.{digits}f}"
    if not interval or told["low"] is None:
        return value
    return f"{value} [{told['low']:.{digits}f}, {told['high']:.{digits}f}]"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
