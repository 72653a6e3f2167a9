"""Damage to files of streams (`.npz`): clocks, values, headers."""

from __future__ import annotations

import io
import zipfile
from random import Random
from typing import Any

import numpy as np

from .raw import BYTES, Mutator, bits
from .trees import json_shape, json_value


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
    return _npz_of(entries, random) if names else bits(data, random)


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
    return _npz_of(entries, random) if names else bits(data, random)


def _stream_header(data: bytes, random: Random) -> bytes:
    entries = _npz(data)
    text = _array(entries, "header.npy")
    if text is None:
        return bits(data, random)
    change = random.choice((json_value, json_value, json_shape, bits))
    told = change(np.asarray(text, np.uint8).tobytes(), random)
    entries["header.npy"] = _bytes_of(np.frombuffer(told, np.uint8))
    return _npz_of(entries, random)


def _stream_entries(data: bytes, random: Random) -> bytes:
    entries = _npz(data)
    if not entries:
        return bits(data, random)
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
