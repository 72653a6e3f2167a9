"""`avalign methods`: every method, when to use it, and how it is called."""

from typing import Annotated

import typer

from avalign_cli.ui import Screen

__all__ = ["EXAMPLES", "methods"]

EXAMPLES = """\b
Examples:
  avalign methods        all of them, in a line each
  avalign methods gmu    one of them: source, when to use it, code that runs
  avalign methods R8     all that share a row of the table
"""


def methods(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A method or a row, such as gmu or F14."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per method.")
    ] = False,
) -> int:
    """List what avalign can do, or explain one method."""
    from dataclasses import asdict

    from avalign.catalogue import find_method, list_methods

    screen = Screen(json=json)
    groups = list_methods() if name is None else {"": find_method(name)}
    if json:
        from json import dumps

        for group in groups.values():
            for method in group:
                screen.data(dumps(asdict(method), ensure_ascii=False))
    elif name is None:
        width = max(len(method.name) for group in groups.values() for method in group)
        for title, group in groups.items():
            screen.result(title, "bold")
            for method in group:
                screen.result(f"  {method.row:<4}{method.name:<{width}}  {method.when}")
            ranked = sorted((one.rank, one.name) for one in group if one.rank is not None)
            if ranked:
                screen.result(f"  best first: {', '.join(name for _, name in ranked)}")
            screen.result("")
    else:
        for place, method in enumerate(groups[""]):
            if place:
                screen.result("")
            screen.result(f"{method.name}  {method.title} ({method.row})", "bold")
            screen.result(f"  when    {method.when}")
            screen.result(f"  source  {method.source}")
            if method.measured:
                screen.result(f"  rank    {method.measured}")
            screen.result(f"  code    {method.home.replace(':', '.')}")
            screen.result("")
            for line in method.snippet.splitlines():
                screen.result(f"    {line}" if line else "")
    return 0
