"""Ways to damage a file; each is a pure function of its bytes and of a `random.Random`."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from avalign.recognition.model.settings import settings_digest

from .layouts import layout_of, mended
from .seeds import Seed

__all__ = ["mutate"]

Mutator = Callable[[bytes, Random], bytes]


def mutate(seed: Seed, others: list[Seed], random: Random) -> tuple[dict[str, bytes], str]:
    """Damage the file of a seed.

    Parameters
    ----------
    seed : Seed
        What is damaged.
    others : list of Seed
        All seeds; parts may come from those that the same target reads.
    random : Random
        Decides everything.

    Returns
    -------
    files : dict of str to bytes
        All files by name.
    how : str
        Names of the mutators.
    """
    data, names = seed.data, []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        choices = _mutators(seed, data)
        if random.random() < 0.1:
            kin = [other for other in others if other.target == seed.target]
            if random.random() < 0.6:
                kin = [other for other in kin if other.name[-3:] == seed.name[-3:]]
            name, data = "joined", _joined(data, random.choice(kin).data, random)
        else:
            mutator = random.choice(choices)
            name, data = mutator.__name__.strip("_"), mutator(data, random)
        names.append(name)
    files = {**seed.files, seed.name: data}
    if seed.target == "recognizer" and random.random() < 0.7:
        files, names = _agreeing(files), [*names, "agreeing"]
    return files, " ".join(names)


def _mutators(seed: Seed, data: bytes) -> list[Mutator]:
    suffix = seed.name.rpartition(".")[2]
    if suffix == "npz":
        return [*STREAMS, *STREAMS, *BYTES]
    if suffix == "safetensors":
        return [*WEIGHTS, *WEIGHTS, *BYTES]
    if suffix == "json":
        return [_json_value] * 10 + [_json_shape] * 4 + BYTES
    if suffix == "parquet":
        return [_parquet_column] * 5 + BYTES
    if seed.target in ("transcript", "manifest"):
        return [*TEXTS, *TEXTS, *BYTES]
    if layout_of(data).parts:
        return [*PARTS, *PARTS, *BYTES]
    return [_head_bits, _head_number, _head_number, *BYTES]


# ------------------------------------------------------------------ any bytes

ODD_NUMBERS = (0, 1, 2, 3, 7, 127, 128, 255, 1000, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF)
ODD_NUMBERS += (0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0x8000000000000000, -1, -2)


def _bits(data: bytes, random: Random, end: int | None = None) -> bytes:
    result = bytearray(data)
    for _ in range(random.choice((1, 1, 3, 10, 40)) if result else 0):
        result[random.randrange(min(end or len(result), len(result)))] ^= 1 << random.randrange(
            8
        )
    return bytes(result)


def _head_bits(data: bytes, random: Random) -> bytes:
    return _bits(data, random, 200)


def _number(data: bytes, random: Random, end: int | None = None) -> bytes:
    size, order = random.choice((1, 2, 4, 8)), random.choice(("big", "little"))
    last = min(end or len(data), len(data)) - size
    if last <= 0:
        return data
    at = random.randrange(last)
    value = random.choice((*ODD_NUMBERS, random.getrandbits(64))) % (1 << 8 * size)
    return data[:at] + value.to_bytes(size, order) + data[at + size :]


def _head_number(data: bytes, random: Random) -> bytes:
    return _number(data, random, 120)


def _span(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    length = random.choice((1, 4, 16, 100, 1000, max(1, len(data) // 3)))
    return start, min(len(data), start + random.randint(1, length))


def _cut_out(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:start] + data[end:]


def _doubled_span(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    return data[:end] + data[start:end] * random.choice((1, 1, 3)) + data[end:]


def _moved_span(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    rest = data[:start] + data[end:]
    at = random.randrange(len(rest) + 1)
    return rest[:at] + data[start:end] + rest[at:]


def _filled(data: bytes, random: Random) -> bytes:
    start, end = _span(data, random)
    filling = random.choice((b"\0", b"\xff", None))
    piece = random.randbytes(end - start) if filling is None else filling * (end - start)
    return data[:start] + piece + data[end:]


def _truncated(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _followed(data: bytes, random: Random) -> bytes:
    length = random.choice((1, 100, 5000))
    return data + random.choice((bytes(length), random.randbytes(length)))


def _joined(data: bytes, other: bytes, random: Random) -> bytes:
    """Chain two files, so that streams appear late and clocks start anew, or mix them."""
    if random.random() < 0.6:
        return data + other
    at, end = random.randrange(len(data) + 1), random.randrange(len(other) + 1)
    return data[:at] + other[end:]


BYTES: list[Mutator] = [
    *(_bits, _bits, _number, _cut_out, _doubled_span, _moved_span, _filled),
    *(_truncated, _followed),
]


# ------------------------------------------------------------------ parts of containers


def _part_doubled(data: bytes, random: Random) -> bytes:
    part = random.choice(layout_of(data).parts)
    piece = data[part.start : part.end] * random.choice((1, 1, 2, 50))
    return mended(data[: part.end] + piece[: 4 * len(data)] + data[part.end :])


def _part_dropped(data: bytes, random: Random) -> bytes:
    part = random.choice(layout_of(data).parts)
    return mended(data[: part.start] + data[part.end :])


def _parts_dropped(data: bytes, random: Random) -> bytes:
    """Drop many parts, so that what begins the streams may be gone or come late."""
    fraction, kept, at = random.choice((0.05, 0.2, 0.5)), [], 0
    for part in layout_of(data).parts:
        if part.start >= at and random.random() < fraction:
            kept.append(data[at : part.start])
            at = part.end
    return mended(b"".join([*kept, data[at:]]))


def _part_moved(data: bytes, random: Random) -> bytes:
    parts = layout_of(data).parts
    part, place = random.choice(parts), random.choice(parts)
    piece, at = data[part.start : part.end], random.choice((place.start, place.end))
    if part.start < at < part.end:
        return mended(data[:at] + piece + data[at:])
    first, second = data[:at], data[at:]
    if at <= part.start:
        second = data[at : part.start] + data[part.end :]
    else:
        first = data[: part.start] + data[part.end : at]
    return mended(first + piece + second)


def _part_cut(data: bytes, random: Random) -> bytes:
    part = random.choice(layout_of(data).parts)
    return mended(data[: random.randint(part.start, part.end)] + data[part.end :])


def _length(data: bytes, random: Random) -> bytes:
    lengths = [part.length for part in layout_of(data).parts if part.length]
    return _changed(data, random, lengths)


def _clock(data: bytes, random: Random) -> bytes:
    found = layout_of(data)
    return _changed(data, random, found.clocks or found.numbers)


def _clocks_moved(data: bytes, random: Random) -> bytes:
    """Move all clocks from some place on, by one amount: a jump, or a start far away."""
    result = bytearray(data)
    amount = random.choice((1, -1)) * random.choice((1000, 90_000, 10**6, 90_000 * 7200, 2**31))
    start = random.choice((0, random.randrange(len(data) + 1)))
    step = random.choice((1, 1, 2))
    for number in [one for one in layout_of(data).clocks if one.start >= start][::step]:
        number.write(result, number.read(result) + amount)
    return mended(bytes(result))


def _other_number(data: bytes, random: Random) -> bytes:
    found = layout_of(data)
    return _changed(data, random, found.numbers or found.clocks)


def _changed(data: bytes, random: Random, numbers: list[Any]) -> bytes:
    if not numbers:
        return data
    result = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        number = random.choice(numbers)
        old = number.read(result)
        values = (*ODD_NUMBERS, old + 1, old - 1, old * 2, old * 1000, old // 2, -old)
        number.write(result, random.choice((*values, random.getrandbits(8 * number.size))))
    return mended(bytes(result))


PARTS: list[Mutator] = [
    *(_part_doubled, _part_dropped, _parts_dropped, _part_moved, _part_cut, _length),
    *(_clock, _clock, _clock, _clocks_moved, _other_number, _other_number),
]


# ------------------------------------------------------------------ JSON

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


def _json_value(data: bytes, random: Random) -> bytes:
    """Put something odd in the place of one value."""
    tree = _parsed(data)
    if tree is None:
        return _bits(data, random)
    places = list(_places(tree))
    holder, key = random.choice(places) if places else (None, None)
    odd = random.choice(ODD_JSON)
    if holder is None:
        return odd.encode()
    holder[key] = "@odd@"
    text = _dumped(tree)
    return _bits(data, random) if text is None else text.replace('"@odd@"', odd).encode()


def _json_shape(data: bytes, random: Random) -> bytes:
    """Drop, double or rename a member, or make one value of another kind."""
    tree = _parsed(data)
    places = list(_places(tree))
    if not places:
        return _bits(data, random)
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
    return _bits(data, random) if text is None else text.encode()


def _dumped(tree: Any) -> str | None:
    """Write JSON; None where an earlier change has nested it too deeply."""
    try:
        return json.dumps(tree)
    except RecursionError:
        return None


def _parsed(data: bytes) -> Any:
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


# ------------------------------------------------------------------ weights

TYPES = ("F32", "F16", "BF16", "F64", "I8", "I64", "U8", "BOOL", "F8_E4M3", "X9")


def _header(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:8], "little")
    return data[8 : 8 + length], data[8 + length :]


def _weights_of(header: bytes, body: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def _weights_settings(data: bytes, random: Random) -> bytes:
    """Change the settings, which are JSON within the JSON of the header."""
    header, body = _header(data)
    tree = _parsed(header)
    told = tree.get("__metadata__") if isinstance(tree, dict) else None
    if not isinstance(told, dict) or not told:
        return _weights_of(_json_value(header, random), body)
    name = random.choice(sorted(told))
    change = random.choice((_json_value, _json_value, _json_shape, _bits))
    told[name] = change(str(told[name]).encode("utf-8", "replace"), random).decode(
        "utf-8", "replace"
    )
    return _weights_of(json.dumps(tree).encode(), body)


def _weights_header(data: bytes, random: Random) -> bytes:
    header, body = _header(data)
    return _weights_of(random.choice((_json_value, _json_shape))(header, random), body)


def _weights_type(data: bytes, random: Random) -> bytes:
    header, body = _header(data)
    tree = _parsed(header)
    arrays = (
        [one for one in tree.values() if isinstance(one, dict) and "dtype" in one]
        if isinstance(tree, dict)
        else []
    )
    if not arrays:
        return _bits(data, random)
    array = random.choice(arrays)
    how = random.randrange(3)
    if how == 0:
        array["dtype"] = random.choice(TYPES)
    elif how == 1 and isinstance(array.get("shape"), list):
        array["shape"] = random.choice(
            ([], [0], [1, *array["shape"]], array["shape"][::-1], [2**40, 2**40], [-1])
        )
    else:
        array["data_offsets"] = random.choice(
            ([0, 0], [0, len(body)], [len(body), 0], [0, 2**63])
        )
    return _weights_of(json.dumps(tree).encode(), body)


def _weights_values(data: bytes, random: Random) -> bytes:
    header, body = _header(data)
    result = bytearray(body)
    for _ in range(random.choice((1, 1, 5, 100))):
        if len(result) >= 4:
            at = 4 * random.randrange(len(result) // 4)
            odd = (float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-40, 1e20, 0.0)
            struct.pack_into("<f", result, at, random.choice(odd))
    return _weights_of(header, bytes(result))


WEIGHTS: list[Mutator] = [_weights_settings, _weights_header, _weights_type, _weights_values]


def _agreeing(files: dict[str, bytes]) -> dict[str, bytes]:
    """Let the files of a recogniser name each other's check sums, so that more is read."""
    header, body = _header(files["model.safetensors"])
    tree, calibration = _parsed(header), _parsed(files["calibration.json"])
    with contextlib.suppress(Exception):  # what it was damaged to may have no sum
        digest = settings_digest(files["model.json"].decode())
        if isinstance(tree, dict):
            header = json.dumps({**tree, "__metadata__": {"settings": digest}}).encode()
    weights = _weights_of(header, body)
    result = {**files, "model.safetensors": weights}
    if isinstance(calibration, dict):
        calibration["weights"] = hashlib.sha256(weights).hexdigest()[:32]
        with contextlib.suppress(UnicodeEncodeError):
            result["calibration.json"] = json.dumps(calibration).encode()
    return result


# ------------------------------------------------------------------ files of streams


def _npz(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except Exception:  # it was damaged before
        return {}


def _npz_of(entries: dict[str, bytes], random: Random) -> bytes:
    buffer = io.BytesIO()
    method = random.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def _array(entries: dict[str, bytes], name: str) -> Any:
    try:
        return np.load(io.BytesIO(entries[name]))
    except Exception:  # it was damaged before
        return None


def _bytes_of(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _stream_times(data: bytes, random: Random) -> bytes:
    """Move clocks: a jump, another rate, a start far away, rows that are too many or few."""
    entries = _npz(data)
    names = [name for name in entries if name.endswith("times_s.npy")]
    for name in random.sample(names, random.randint(1, len(names))) if names else []:
        times_s = _array(entries, name)
        if times_s is None or times_s.ndim != 1 or not len(times_s):
            continue
        times_s = times_s.copy()
        amount = random.choice(
            (1e-9, 0.3, 5.0, 600.0, 1e5, 4e4, 1e6, 1e12, 1e300)
        ) * random.choice((1, -1))
        at = random.randrange(len(times_s))
        how = random.randrange(5)
        if how == 0:
            times_s[at:] += amount
        elif how == 1:
            times_s += amount
        elif how == 2:
            with np.errstate(over="ignore"):
                times_s *= random.choice((1e-12, 1e-3, 0.1, 3.0, 1e3, 8e3, 1e9))
        elif how == 3:
            times_s[at] = random.choice((np.nan, np.inf, -np.inf, 0.0, 1e300))
        else:
            times_s = times_s[at:]
        entries[name] = _bytes_of(times_s)
        if name == "mfcc.times_s.npy" and random.random() < 0.8:
            entries["speech.times_s.npy"] = entries[name]
    return _npz_of(entries, random) if names else _bits(data, random)


def _stream_values(data: bytes, random: Random) -> bytes:
    entries = _npz(data)
    names = [name for name in entries if not name.startswith("header")]
    for _ in range(random.choice((1, 3)) if names else 0):
        name = random.choice(names)
        array = _array(entries, name)
        if array is None or not array.size:
            continue
        array = array.copy()
        how = random.randrange(6)
        with np.errstate(all="ignore"):
            if how == 0:
                odd = random.choice((np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, 0.0, -1.0))
                array.flat[random.randrange(array.size)] = odd
            elif how == 1:
                array[...] = random.choice((0, 1, 1e30, np.nan))
            elif how == 2:
                array = array.astype(
                    random.choice(("<f8", ">f4", "<f2", "<i8", "|u1", "<c8", "<U3"))
                )
            elif how == 3:
                array = array[: random.randrange(len(array))] if array.ndim else array
            elif how == 4:
                array = random.choice((array.T, array.ravel(), array[..., None], array[:, ...]))
            else:
                array = np.array(array * random.choice((1e-20, -1, 1e6, 1e30)), array.dtype)
        entries[name] = _bytes_of(array)
    return _npz_of(entries, random) if names else _bits(data, random)


def _stream_header(data: bytes, random: Random) -> bytes:
    entries = _npz(data)
    text = _array(entries, "header.npy")
    if text is None:
        return _bits(data, random)
    change = random.choice((_json_value, _json_value, _json_shape, _bits))
    told = change(np.asarray(text, np.uint8).tobytes(), random)
    entries["header.npy"] = _bytes_of(np.frombuffer(told, np.uint8))
    return _npz_of(entries, random)


def _stream_entries(data: bytes, random: Random) -> bytes:
    entries = _npz(data)
    if not entries:
        return _bits(data, random)
    name = random.choice(list(entries))
    how = random.randrange(4)
    if how == 0:
        del entries[name]
    elif how == 1:
        entries[random.choice(("../up.npy", "/etc/x.npy", "", name + "x"))] = entries[name]
    elif how == 2:
        entries[name] = random.choice(BYTES)(entries[name], random)
    else:
        shape = random.choice(((10**12,), (2**62, 4), (10**7,), (0,), ()))
        lie = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            lie, {"descr": "<f4", "fortran_order": random.random() < 0.3, "shape": shape}
        )
        entries[name] = lie.getvalue() + bytes(random.choice((0, 40, 4 * 10**7)))
    return _npz_of(entries, random)


STREAMS: list[Mutator] = [
    *(_stream_times, _stream_times, _stream_values, _stream_header, _stream_header),
    _stream_entries,
]


# ------------------------------------------------------------------ text

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


def _parquet_column(data: bytes, random: Random) -> bytes:
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
        return _bits(data, random)
