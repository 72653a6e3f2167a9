"""What the page on fusion shows, run; and the families that its table names."""

import re
from pathlib import Path

import torch

from avalign.fusion import list_fusions

PAGE = (Path(__file__).parents[1] / "docs" / "fusion.md").read_text(encoding="utf-8")


def test_the_page_runs():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) > 1
    names = {}
    exec(compile("\n".join(blocks), "fusion.md", "exec"), names)  # our own page
    assert names["fused"].sequence.shape == (2, len(names["clip"]), 64)


def test_the_table_names_every_family():
    assert tuple(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == list_fusions()
