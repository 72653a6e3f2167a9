"""Damage to text and tables: words, lines, encodings, columns."""

from __future__ import annotations

import io
from random import Random

from .raw import Mutator, bits

ODD_WORDS = (
    *(
        "",
        " ",
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-1",
        "1" + "0" * 400,
        "0x10",
        "\u0661\u0662",
        "NULL",
    ),
    *(
        "\0",
        "\ufeff",
        "\u202e",
        "x" * 200_000,
        '"',
        '""',
        "'",
        ",",
        ";",
        "\t",
        "\r",
        "\r\n",
        "\n",
    ),
    *(
        "../../etc/passwd",
        "/dev/zero",
        "/etc",
        ".",
        "~",
        "$HOME",
        "http://x/y.mp4",
        "=1+1",
        "-->",
    ),
    *("00:00:00,000 --> 00:00:00,000", "99:99:99,999 --> 00:00:00,000", "999999999999", "²"),
    *("talk.mp4", "words.srt", "train", "\U0001f600", "a\u0301", "%s%n", "path"),
)


# The memory that the campaign itself takes is counted as well.
LARGEST_MADE = 1 << 24


def _text_word(data: bytes, random: Random) -> bytes:
    """Put something odd in the place of a word or cell."""
    lines = data.split(b"\n")
    at = random.randrange(len(lines))
    for mark in random.sample((b",", b" ", b":", b">"), 4):
        words = lines[at].split(mark)
        if len(words) > 1:
            break
    words[random.randrange(len(words))] = _odd(random)
    lines[at] = mark.join(words)
    return b"\n".join(lines)


def _text_lines(data: bytes, random: Random) -> bytes:
    lines = data.split(b"\n")
    at, other = random.randrange(len(lines)), random.randrange(len(lines))
    how = random.randrange(5)
    if how == 0:
        times = random.choice((2, 3, 2000))
        lines[at : at + 1] = [lines[at]] * min(times, max(1, LARGEST_MADE // (len(data) + 1)))
    elif how == 1:
        del lines[at]
    elif how == 2:
        lines[at], lines[other] = lines[other], lines[at]
    elif how == 3:
        lines.insert(at, _odd(random))
    else:
        return random.choice((b"\r", b"\r\n", b"\n\n", b"\x0b", b"\x85")).join(lines)
    return b"\n".join(lines)


def _text_encoding(data: bytes, random: Random) -> bytes:
    if len(data) > LARGEST_MADE:
        return data
    text = data.decode("utf-8", "replace")
    name = random.choice(("utf-16", "utf-32", "utf-8-sig", "utf-16-be", "utf-7", "cp037"))
    return text.encode(name, "replace")


def _odd(random: Random) -> bytes:
    odd = random.choice((*ODD_WORDS, None))
    return b"\xff\xfe\x80" if odd is None else odd.encode("utf-8", "surrogatepass")


TEXTS: list[Mutator] = [
    _text_word,
    _text_word,
    _text_word,
    _text_lines,
    _text_lines,
    _text_encoding,
]


def parquet_column(data: bytes, random: Random) -> bytes:
    """Write a table with a column of an odd type, odd values or another name."""
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as parquet

    try:
        table = parquet.read_table(io.BytesIO(data))
        rows = max(1, len(table))
        values = random.choice(
            (
                *(["talk.mp4"] * rows, [None] * rows, [1.5] * rows, [float("nan")] * rows),
                *([True] * rows, [b"\xff\x00"] * rows, [["a"]] * rows, [{"a": 1}] * rows),
                *(
                    [10**18] * rows,
                    [datetime.datetime(9999, 1, 1)] * rows,
                    ["x" * 10**6] * rows,
                ),
                *([float("inf")] * rows, ["\0"] * rows, [datetime.timedelta(1)] * rows),
                pa.array(["talk.mp4"] * rows).dictionary_encode(),
                pa.array(["1.5"] * rows, pa.large_string()),
            )
        )
        name = random.choice((*table.column_names, "label", "", "\0", "text", "audio"))
        columns = dict(zip(table.column_names, table.columns, strict=True)) | {name: values}
        buffer = io.BytesIO()
        parquet.write_table(pa.table(columns), buffer, compression="gzip")
        return buffer.getvalue()
    except (pa.ArrowException, OSError, ValueError, TypeError, AttributeError):
        return bits(data, random)
