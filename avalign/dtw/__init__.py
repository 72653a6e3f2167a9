"""Dynamic time warping: exact, fast, and the same few verbs for every variant.

>>> from avalign import dtw
>>> dtw.distance([0.0, 1.0, 2.0], [0.0, 2.0, 2.0])
1.0
>>> dtw.path([0.0, 1.0, 2.0], [0.0, 2.0, 2.0]).path.tolist()
[[0, 0], [1, 1], [2, 2]]

Arrays in, arrays out, time first; distances are sums without a root. Public names are
imported when they are first used; type checkers read them in ``__init__.pyi``.
"""

import importlib

# No module bears the name of a verb: importing it would put it in the verb's place.
_HOMES = {
    "averages": ("BarycenterResult", "barycenter", "soft_barycenter"),
    "bounds": ("envelope", "lb_improved", "lb_keogh", "lb_kim"),
    "matches": ("subsequence",),
    "matrices": ("pairwise",),
    "multiscale": ("multiscale_path",),
    "neighbors": ("NearestResult", "nearest"),
    "online": ("OnlineDtw",),
    "result": ("DtwResult", "Match"),
    "soft_dtw": (
        "SoftDtwResult",
        "soft",
        "soft_alignment",
        "soft_distance",
        "soft_divergence",
    ),
    "steps": ("STEP_PATTERNS", "StepPattern", "rabiner_juang"),
    "variants": ("derivative", "logistic_weights"),
    "verbs": ("cost_matrix", "distance", "path"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("windows",)

__all__ = [*sorted(_HOME_OF), *_MODULES]


def __getattr__(name: str) -> object:
    """Import a public name from its module, and keep it (PEP 562)."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
