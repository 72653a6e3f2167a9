"""Damage to files of weights: their header, types and values."""

from __future__ import annotations

import contextlib
import hashlib
import json
import struct
from random import Random

from avalign.recognition.model.settings import settings_digest

from .raw import Mutator, bits
from .trees import json_shape, json_value, parsed

TYPES = ("F32", "F16", "BF16", "F64", "I8", "I64", "U8", "BOOL", "F8_E4M3", "X9")


def _header(data: bytes) -> tuple[bytes, bytes]:
    length = int.from_bytes(data[:8], "little")
    return data[8 : 8 + length], data[8 + length :]


def _weights_of(header: bytes, body: bytes) -> bytes:
    return len(header).to_bytes(8, "little") + header + body


def _weights_settings(data: bytes, random: Random) -> bytes:
    """Change the settings, which are JSON within the JSON of the header."""
    header, body = _header(data)
    tree = parsed(header)
    told = tree.get("__metadata__") if isinstance(tree, dict) else None
    if not isinstance(told, dict) or not told:
        return _weights_of(json_value(header, random), body)
    name = random.choice(sorted(told))
    change = random.choice((json_value, json_value, json_shape, bits))
    told[name] = change(str(told[name]).encode("utf-8", "replace"), random).decode(
        "utf-8", "replace"
    )
    return _weights_of(json.dumps(tree).encode(), body)


def _weights_header(data: bytes, random: Random) -> bytes:
    header, body = _header(data)
    return _weights_of(random.choice((json_value, json_shape))(header, random), body)


def _weights_type(data: bytes, random: Random) -> bytes:
    header, body = _header(data)
    tree = parsed(header)
    arrays = (
        [one for one in tree.values() if isinstance(one, dict) and "dtype" in one]
        if isinstance(tree, dict)
        else []
    )
    if not arrays:
        return bits(data, random)
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


def agreeing(files: dict[str, bytes]) -> dict[str, bytes]:
    """Let the files of a recogniser name each other's check sums, so that more is read."""
    header, body = _header(files["model.safetensors"])
    tree, calibration = parsed(header), parsed(files["calibration.json"])
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
