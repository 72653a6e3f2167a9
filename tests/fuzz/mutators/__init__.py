"""Ways to damage a file; each is a pure function of its bytes and of a `random.Random`."""

from __future__ import annotations

from random import Random

from ..layouts import layout_of
from ..seeds import Seed
from .parts import PARTS
from .raw import BYTES, Mutator, head_bits, head_number, joined
from .streams import STREAMS
from .text import TEXTS, parquet_column
from .trees import json_shape, json_value
from .weights import WEIGHTS, agreeing

__all__ = ["mutate"]


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
            name, data = "joined", joined(data, random.choice(kin).data, random)
        else:
            mutator = random.choice(choices)
            name, data = mutator.__name__.strip("_"), mutator(data, random)
        names.append(name)
    files = {**seed.files, seed.name: data}
    if seed.target == "recognizer" and random.random() < 0.7:
        files, names = agreeing(files), [*names, "agreeing"]
    return files, " ".join(names)


def _mutators(seed: Seed, data: bytes) -> list[Mutator]:
    suffix = seed.name.rpartition(".")[2]
    if suffix == "npz":
        return [*STREAMS, *STREAMS, *BYTES]
    if suffix == "safetensors":
        return [*WEIGHTS, *WEIGHTS, *BYTES]
    if suffix == "json":
        return [json_value] * 10 + [json_shape] * 4 + BYTES
    if suffix == "parquet":
        return [parquet_column] * 5 + BYTES
    if seed.target in ("transcript", "manifest"):
        return [*TEXTS, *TEXTS, *BYTES]
    if layout_of(data).parts:
        return [*PARTS, *PARTS, *BYTES]
    return [head_bits, head_number, head_number, *BYTES]
