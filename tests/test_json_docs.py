"""The page on JSON lists the keys that there are."""

import re
from pathlib import Path

import planted
import pytest

from avalign.recognition import RecognitionReport
from avalign.reports import AlignReport, SyncReport
from avalign.reports.schema import align_to_dict, to_dict

PAGE = Path(__file__).parents[1] / "docs" / "json.md"

SYNC = to_dict(SyncReport("a.mp4", "error", "itu", faces=(planted.face(0, None),)))
ALIGN = align_to_dict(AlignReport("a.wav", "b.wav", "sound", "error"))


@pytest.mark.parametrize(
    ("heading", "value"),
    [
        ("# JSON, schema 1", SYNC),
        ("Each of `faces`:", SYNC["faces"][0]),
        ("## `avalign align --json`", ALIGN),
        ("## `avalign recognize --json`", RecognitionReport("a.mp4", "speech/").as_dict()),
    ],
)
def test_each_table_lists_exactly_the_keys_in_their_order(heading, value):
    _, _, section = PAGE.read_text(encoding="utf-8").partition(f"{heading}\n")
    rows = section.partition("| --- | --- | --- |\n")[2].partition("\n\n")[0].splitlines()
    cells = [re.findall(r"`(\w+)`", row.split("|")[1]) for row in rows]
    assert [key for cell in cells for key in cell] == list(value)
