"""How a command shows its usage, and what helps who got it wrong."""

import os
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from avalign.files import AUDIO_SUFFIXES, MEDIA_SUFFIXES

__all__ = ["Command", "hint_of_dash"]


class Command(TyperCommand):
    """A command whose help names its arguments as people write them.

    That is ``VIDEO`` and ``PATH...``, not ``{VIDEO}`` and ``PATH <list[str]>``.
    """

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: D102 (as typer's)
        pieces = super().collect_usage_pieces(ctx)
        names = [piece.replace("{", "").replace("}", "") for piece in pieces]
        # Not every release of typer shows that an argument may be repeated.
        repeated = {each.metavar for each in self.get_params(ctx) if each.nargs == -1}
        return [f"{name}..." if name in repeated else name for name in names]

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: D102 (as typer's)
        records: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                name, text = record
                records[parameter.param_type_name].append((name.partition(" <")[0], text))
        for kind, listed in records.items():
            if listed:
                with formatter.section(f"{kind.capitalize()}s"):
                    formatter.write_dl(listed)


def hint_of_dash(arguments: Sequence[str]) -> str | None:
    """Find a file name that was taken for options, because it begins with a dash.

    Parameters
    ----------
    arguments : sequence of str
        What follows the program's name.

    Returns
    -------
    str or None
        How to write that name; None where there is none.
    """
    for word in arguments:
        if word == "--":
            return None
        suffix = os.path.splitext(word)[1].lower()
        is_media = suffix in MEDIA_SUFFIXES | AUDIO_SUFFIXES and "=" not in word
        if word.startswith("-") and (os.path.lexists(word) or is_media):
            return f"a file whose name begins with a dash is written ./{word}, or after --"
    return None
