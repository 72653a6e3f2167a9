"""The table of methods: complete, true to the code, and told alike in command and docs."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from avalign_cli.main import main

from avalign.catalogue import find_method, list_methods
from avalign.errors import ParameterError
from avalign.fusion import list_fusions
from avalign.space import list_spaces

ROOT = Path(__file__).parents[1]
EVERY = [method for group in list_methods().values() for method in group]
ROWS = (
    *(f"R{number}" for number in range(1, 11)),
    *(f"A{number}" for number in range(1, 8)),
    *(f"F{number}" for number in range(1, 20)),
    *(f"M{number}" for number in range(1, 5)),
    *(f"X{number}" for number in range(1, 5)),
    *(f"T{number}" for number in range(1, 8)),
    *("D1", "D2"),
)

SLOW = {"onnx", "kernel_cca"}


def test_every_row_is_there_in_order():
    assert tuple(dict.fromkeys(method.row for method in EVERY)) == ROWS


def test_names_are_told_apart():
    names = [method.name for method in EVERY]
    assert len(set(names)) == len(names)
    assert {*list_fusions(), *list_spaces()} <= set(names)


def test_every_entry_says_what_it_must():
    for method in EVERY:
        assert method.when.endswith(".")
        assert re.fullmatch(r"[a-z_0-9]+", method.name)
        assert min(len(method.title), len(method.source)) > 5
        assert not re.search(r"[|\n]", method.when + method.source)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(
            method,
            id=f"{method.row}-{method.name}",
            marks=pytest.mark.slow if method.name in SLOW else (),
        )
        for method in EVERY
    ],
)
def test_the_code_is_there_and_the_snippet_runs(method):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    assert callable(method.load())
    exec(compile(method.snippet, method.name, "exec"), {"__name__": method.name})  # our own


def test_the_page_has_not_fallen_behind():
    made = runpy.run_path(str(ROOT / "docs" / "make_methods.py"))
    told = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert told == made["page"](), "run python docs/make_methods.py"


def test_listing_costs_no_torch():
    code = "import avalign.catalogue, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestFinding:
    @pytest.mark.parametrize("name", ["gmu", "GMU", "f14", " F14 "])
    def test_by_name_or_row(self, name):
        (found,) = find_method(name)
        assert (found.row, found.name) == ("F14", "gmu")

    def test_dashes_will_do(self):
        assert find_method("cross-attention") == find_method("cross_attention")

    def test_a_row_of_several(self):
        assert {method.name for method in find_method("F2")} == {
            "late_average",
            "late_weighted",
        }

    def test_what_is_not_there(self):
        with pytest.raises(ParameterError, match=r"did you mean .*gmu"):
            find_method("gmuu")
        with pytest.raises(ParameterError, match="avalign methods lists all"):
            find_method("zzzzzz")


class TestCommand:
    def test_it_lists_all(self, capsys):
        assert main(["methods"]) == 0
        out = capsys.readouterr().out
        for method in EVERY:
            assert re.search(
                rf"^  {method.row} +{method.name} +{re.escape(method.when)}$", out, re.M
            )

    def test_it_explains_one(self, capsys):
        assert main(["methods", "gmu"]) == 0
        out = capsys.readouterr().out
        (gmu,) = find_method("gmu")
        assert all(part in out for part in (gmu.title, gmu.source, gmu.when))
        _, _, below = out.partition("\n\n")  # what is told, then the snippet
        code = "\n".join(line.removeprefix("    ") for line in below.splitlines())
        assert code.strip() == gmu.snippet.strip()

    def test_json(self, capsys):
        assert main(["methods", "--json"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [line["name"] for line in lines] == [method.name for method in EVERY]
        assert main(["methods", "F14", "--json"]) == 0
        assert (
            json.loads(capsys.readouterr().out)["home"]
            == "avalign.fusion.families.gmu:GatedMultimodalUnit"
        )

    def test_what_is_not_there_is_wrong_usage(self, capsys):
        assert main(["methods", "gmuu"]) == 2
        assert "did you mean" in capsys.readouterr().err
