"""Tolerances and the verdict on a lag."""

import pytest

from avalign.errors import ParameterError
from avalign.types import TOLERANCES, Tolerance


@pytest.mark.parametrize(
    ("name", "early", "late"),
    [("itu", 45, 125), ("itu-accept", 90, 185), ("ebu", 40, 60), ("atsc", 15, 45)],
)
def test_the_named_limits_are_those_of_the_standards(name, early, late):
    tolerance = Tolerance.parse(name)
    assert (tolerance.early_ms, tolerance.late_ms) == (early, late)
    assert tolerance.accepts(late)
    assert tolerance.accepts(-early)
    assert not tolerance.accepts(late + 0.1)
    assert not tolerance.accepts(-early - 0.1)


@pytest.mark.parametrize(
    ("name", "lag_ms", "verdict"),
    [
        ("itu", 0.0, "in_sync"),
        ("itu", 125.0, "in_sync"),
        ("itu", 126.0, "noticeable"),
        ("itu", 185.0, "noticeable"),
        ("itu", 186.0, "unacceptable"),
        ("itu", -46.0, "noticeable"),
        ("itu", -91.0, "unacceptable"),
        ("itu-accept", 186.0, "unacceptable"),
        ("ebu", 61.0, "noticeable"),
        ("atsc", -16.0, "noticeable"),
        ("300/300", 250.0, "in_sync"),
        ("300/300", 301.0, "unacceptable"),
        ("10/20", -11.0, "noticeable"),
    ],
)
def test_verdicts_lie_on_the_right_side_of_every_limit(name, lag_ms, verdict):
    assert Tolerance.parse(name).judge(lag_ms) == verdict


def test_the_limit_named_is_the_one_on_the_side_of_the_lag():
    assert TOLERANCES["itu"].limit_ms(160.0) == 125.0
    assert TOLERANCES["itu"].limit_ms(-60.0) == 45.0


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "excluded"),
    [
        (-60, -46, True),
        (-60, -45, False),
        (126, 140, True),
        (125, 140, False),
        (-90, 200, False),
    ],
)
def test_an_interval_is_excluded_where_all_of_it_lies_beyond_one_limit(
    low_ms, high_ms, excluded
):
    assert TOLERANCES["itu"].excludes(low_ms, high_ms) is excluded


def test_a_pair_of_numbers_is_a_tolerance_of_its_own():
    tolerance = Tolerance.parse(" 22.5/80")
    assert (tolerance.name, tolerance.early_ms, tolerance.late_ms) == ("22.5/80", 22.5, 80.0)
    assert Tolerance.parse(tolerance) is tolerance


def test_every_tolerance_can_be_read_again_as_an_option():
    house = Tolerance("house", 10.0, 22.5, "our rules")
    assert (house.option, TOLERANCES["ebu"].option) == ("10/22.5", "ebu")
    again = Tolerance.parse(house.option)
    assert (again.early_ms, again.late_ms) == (10.0, 22.5)


@pytest.mark.parametrize(
    "text", ["", "bbc", "40", "40/", "/40", "-40/60", "0/0", "nan/5", "1/2/3"]
)
def test_anything_else_is_refused_with_the_names(text):
    with pytest.raises(ParameterError) as caught:
        Tolerance.parse(text)
    assert repr(text) in caught.value.message
    assert "itu-accept" in caught.value.hint
