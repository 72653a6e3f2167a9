"""What others wrote, as text, JSON and safetensors: limits first, then contents.

A file that is read may come from anywhere. These are the only readers of such files, so that
a pipe, an endless device, a number beyond all floats or half a character is met here, and
told, and nowhere else.
"""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from avalign.errors import MediaError
from avalign.files.local import local_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from avalign.files.local import StrPath

_DEEPEST = 64
_LONGEST_INTEGER = 19  # digits of the largest of 64 bits
_LARGEST_INTEGER = 2**63
# How Python writes the bytes of a file name that is no UTF-8.
_ESCAPED_BYTES = range(0xDC80, 0xDD00)
_SURROGATES = range(0xD800, 0xE000)


def parse_json(text: str | bytes, *, infinite: bool = False, file_names: bool = False) -> Any:
    """Parse JSON that need not be trusted.

    Parameters
    ----------
    text : str or bytes
        The JSON text; bytes are UTF-8.
    infinite : bool
        Let pass infinities and NaN, as Python writes them.
    file_names : bool
        Let pass file names that are no UTF-8, as Python escapes them.

    Returns
    -------
    Any
        Its value. Integers fit in 64 bits, other numbers are finite, texts can be encoded,
        and no name is there twice.

    Raises
    ------
    ValueError
        If it is no JSON, or goes beyond that; the message says how.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"it is no UTF-8 text: byte {error.start} is wrong") from None
    try:
        value = json.loads(
            text,
            parse_int=_integer,
            parse_float=float if infinite else _finite,
            parse_constant=float if infinite else _no_number,
            object_pairs_hook=_object,
        )
        _check_texts(value, _DEEPEST, file_names)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return value


def read_json(path: StrPath, *, largest_bytes: int, hint: str | None = None) -> Any:
    """Read a JSON file that need not be trusted.

    Parameters
    ----------
    path : str or PathLike
        A regular file in UTF-8.
    largest_bytes : int
        A larger file is refused.
    hint : str, optional
        What to do about a file that cannot be read.

    Returns
    -------
    Any
        As `parse_json`.

    Raises
    ------
    MediaError
        If it is no such file.
    """
    text = read_text(path, largest_bytes=largest_bytes, hint=hint)
    try:
        return parse_json(text)
    except ValueError as error:
        raise MediaError(
            f"{path}: cannot be read as JSON: {in_one_line(error)}", hint
        ) from None


def read_text(path: StrPath, *, largest_bytes: int, hint: str | None = None) -> str:
    """Read a text file that need not be trusted.

    Parameters
    ----------
    path, largest_bytes, hint
        As for `read_json`.

    Returns
    -------
    str
        The text, without a byte-order mark.

    Raises
    ------
    MediaError
        If it is no such file.
    """
    file = local_file(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(largest_bytes + 1)
        if len(data) > largest_bytes:
            raise MediaError(f"{path}: is too large: more than {largest_bytes} bytes", hint)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror or error}", hint) from error
    except UnicodeDecodeError as error:
        raise MediaError(
            f"{path}: is not UTF-8 text: byte {error.start} is 0x{data[error.start]:02x}", hint
        ) from None


@contextmanager
def open_safetensors(
    path: StrPath, *, framework: str, largest_bytes: int, hint: str
) -> Iterator[tuple[Any, Mapping[str, str]]]:
    """Open a safetensors file that need not be trusted.

    Parameters
    ----------
    path : str or PathLike
        A regular file.
    framework : str
        ``"numpy"`` or ``"pt"``.
    largest_bytes : int
        A larger file is refused.
    hint : str
        What to do about a file that cannot be read.

    Yields
    ------
    file : safetensors.safe_open
        The open file.
    metadata : mapping of str to str
        What is told of it, empty where nothing is.

    Raises
    ------
    MediaError
        If it is no such file, or an array that is read in the block is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        if local_file(path).stat().st_size > largest_bytes:
            raise MediaError(f"{path}: is too large: more than {largest_bytes} bytes", hint)
        with safe_open(path, framework=framework) as file:
            yield file, file.metadata() or {}
    # Of types of arrays that the framework lacks it tells in several ways.
    except (OSError, SafetensorError, TypeError, AttributeError, KeyError) as error:
        raise MediaError(f"{path}: cannot be read: {in_one_line(error)}", hint) from None


_TOO_DEEP = f"it is nested more than {_DEEPEST} levels deep"


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _LONGEST_INTEGER or abs(int(digits)) >= _LARGEST_INTEGER:
        raise ValueError(f"the number {digits[:20]}... is out of range")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:20]} is out of range")
    return number


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{ascii(twice)[:40]} is there more than once")
    return result


def _check_texts(value: Any, levels: int, file_names: bool) -> None:
    if levels == 0:
        raise ValueError(_TOO_DEEP)
    if isinstance(value, str):
        for character in value if not value.isascii() else "":
            code = ord(character)
            if code in _SURROGATES and not (file_names and code in _ESCAPED_BYTES):
                raise ValueError(f"{ascii(value)[:40]} holds half a character")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_texts(name, levels, file_names)
            _check_texts(member, levels - 1, file_names)
    elif isinstance(value, list):
        for member in value:
            _check_texts(member, levels - 1, file_names)


def in_one_line(error: Exception) -> str:
    """Say in one line what went wrong.

    Parameters
    ----------
    error : Exception
        What a library raised.

    Returns
    -------
    str
        The first line of its message, at most 200 characters; its type without one.
    """
    lines = str(error).splitlines()
    return lines[0][:200] if lines else type(error).__name__
