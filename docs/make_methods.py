"""Make docs/methods.md anew, from the entries that `avalign methods` prints.

    python docs/make_methods.py

Run it whenever an entry changes; a test says when the page has fallen behind.
"""

import sys
from pathlib import Path

from avalign.catalogue import Method, list_methods

PAGE = Path(__file__).parent / "methods.md"

HEAD = """\
# Methods

Everything avalign can do with the sound and the picture of a talking person, and when to use
it. The command `avalign methods` lists the same table, and `avalign methods NAME` explains one
method.

This page is made by `python docs/make_methods.py`: change the entries in `avalign/catalogue`,
in `avalign/fusion/registry.py` or in `avalign/space/learning/registry.py` instead.
"""


def page() -> str:
    """Write the page."""
    groups = list_methods()
    parts = [HEAD]
    for title, methods in groups.items():
        rows = [f"| {one.row} | [`{one.name}`](#{one.name}) | {one.when} |" for one in methods]
        parts.append(
            "\n".join(
                [f"## {title}\n", "| row | method | when |", "| --- | --- | --- |", *rows, ""]
            )
        )
        ranked = sorted((one.rank, one.name) for one in methods if one.rank is not None)
        if ranked:
            names = ", ".join(f"[`{name}`](#{name})" for _, name in ranked)
            parts.append(f"Best first, as [measured](fusion-ablation.md): {names}.\n")
    parts += [_section(method) for methods in groups.values() for method in methods]
    return "\n".join(parts)


def _section(method: Method) -> str:
    where = method.home.replace(":", ".")
    measured = f"[Rank](fusion-ablation.md) {method.measured}.\n\n" if method.measured else ""
    return (
        f"### {method.name}\n\n{method.title} ({method.row}). {method.when}\n\n"
        f"Source: {method.source}. Code: `{where}`.\n\n"
        f"{measured}```python\n{method.snippet}```\n"
    )


def main() -> int:
    """Write the page to its file; return 0."""
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
