"""Damage to JSON: odd values, other shapes."""

from __future__ import annotations

import contextlib
import copy
import json
from random import Random
from typing import Any

from .raw import bits

# As text, because no writer of JSON would write most of them.
ODD_JSON = (
    *("1" + "0" * 400, "-1" + "0" * 400, "1e400", "-1e400", "1e308", "5e-324", "-0.0"),
    *(
        "NaN",
        "Infinity",
        "-Infinity",
        "0",
        "-1",
        "1",
        "0.5",
        "2147483648",
        "9223372036854775808",
    ),
    *("1" + "0" * 5000, "true", "false", "null", "[]", "{}", '""', "[[]]", "[null]"),
    *('"\\ud800"', '"\\udcff\\u0000"', '"\\u202e"', '"' + "x" * 100_000 + '"', '"0"', '"1e9"'),
    *("[" * 100_000, "[" * 900 + "]" * 900, '{"a":' * 5000, "[" + "1," * 50_000 + "1]"),
)


def json_value(data: bytes, random: Random) -> bytes:
    """Put something odd in the place of one value."""
    tree = parsed(data)
    if tree is None:
        return bits(data, random)
    places = list(_places(tree))
    holder, key = random.choice(places) if places else (None, None)
    odd = random.choice(ODD_JSON)
    if holder is None:
        return odd.encode()
    holder[key] = "@odd@"
    text = _dumped(tree)
    return bits(data, random) if text is None else text.replace('"@odd@"', odd).encode()


def json_shape(data: bytes, random: Random) -> bytes:
    """Drop, double or rename a member, or make one value of another kind."""
    tree = parsed(data)
    places = list(_places(tree))
    if not places:
        return bits(data, random)
    holder, key = random.choice(places)
    how = random.randrange(4)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[random.choice(("", "a", "\ud800", "__class__", str(key) + " "))] = holder.pop(
            key
        )
    elif how == 2:
        holder[key] = [holder[key]] * random.choice((0, 1, 2, 300))
    else:
        other, another = random.choice(places)
        if key in (holder if isinstance(holder, dict) else range(len(holder))):
            with contextlib.suppress(RecursionError):
                holder[key] = copy.deepcopy(other[another])
    text = _dumped(tree)
    return bits(data, random) if text is None else text.encode()


def _dumped(tree: Any) -> str | None:
    """Write JSON; None where an earlier change has nested it too deeply."""
    try:
        return json.dumps(tree)
    except RecursionError:
        return None


def parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _places(tree: Any) -> Any:
    """All holders and keys of a tree."""
    if isinstance(tree, dict):
        pairs = list(tree.items())
    else:
        pairs = list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in pairs:
        yield tree, key
        yield from _places(value)
