"""What all plots share: colours, the figure, and how it is written."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from avalign.errors import import_guard

LIPS, AUDIO, INK, FAINT = "#c8375a", "#2f6690", "#22252a", "#8a9099"
DOTS_PER_INCH = 150

Arguments = ParamSpec("Arguments")


def require_matplotlib() -> None:
    """Check that matplotlib loads.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed or does not load.
    """
    with import_guard(
        "drawing needs matplotlib, which does not load",
        "pip install 'avalign[report]'",
        also=(ValueError,),  # for its own settings
    ):
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401


def in_own_style(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Let a function draw the same whatever settings of matplotlib are in force.

    Matplotlib reads ``matplotlibrc`` in the current directory, whoever put it there, which may
    start LaTeX; and what stands between two ``$`` in a name is no formula.
    """

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        require_matplotlib()
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams["text.parse_math"] = False
            draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Any:
    """Make an empty figure without a window or global state.

    Parameters
    ----------
    width, height : float
        Size in inches.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Raises
    ------
    MissingDependencyError
        If matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Any, path: str | os.PathLike[str], overwrite: bool) -> None:
    """Write a figure; the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    path : path-like
        The PNG.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    MediaError
        If the file exists already or cannot be written.
    """
    from avalign.files import atomic_output

    for axes in figure.axes:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(FAINT)
        axes.tick_params(colors=INK, labelsize=9.5)
    with atomic_output(path, overwrite) as temporary, warnings.catch_warnings():
        # A file name may hold characters that the font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        # Without the name of the program the same picture gives the same bytes.
        figure.savefig(temporary, format="png", metadata={"Software": None})
