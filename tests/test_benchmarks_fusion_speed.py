"""The cost of a training step: counted memory and time, and what the table says of it."""

import csv

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from avalign.errors import ParameterError
from avalign.fusion import build_fusion, list_fusions
from benchmarks.fusion_speed import (
    SCALING_ROWS,
    _peak_bytes,
    _step_of,
    growth_exponent,
    measure_cost,
    run_fusion_speed,
)

CPU = torch.device("cpu")
SHORT = (4, 8)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_memory_is_counted_by_the_tensors_that_are_alive():
    def step():
        for _ in range(3):  # each dies before the next
            torch.zeros(1000).add(1.0).view(10, 100)

    assert _peak_bytes(step, CPU) == 2 * 4000


def test_a_family_costs_what_it_costs():
    cost = measure_cost("early", CPU, items=2, rows=4, columns=3, scaling_rows=SHORT, steps=1)
    fusion = build_fusion("early", dims={"audio": 3, "lips": 3}, out_dim=3)
    assert cost.parameters == sum(weights.numel() for weights in fusion.parameters())
    assert cost.family == "early"
    assert cost.device == "cpu"
    assert cost.step_ms > 0
    assert 0 < cost.peak_mib < 1


def test_more_rows_take_more_memory():
    small, large = (
        measure_cost(
            "self_attention", CPU, items=2, rows=rows, columns=8, scaling_rows=SHORT, steps=1
        )
        for rows in (20, 80)
    )
    assert 2 * small.peak_mib < large.peak_mib


def test_growth_is_the_power_of_the_rows():
    rows = (250, 500, 1000)
    assert growth_exponent(rows, [3e-5 * n**2 for n in rows]) == pytest.approx(2.0)
    assert growth_exponent(rows[::2], [0.1 * n for n in rows[::2]]) == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_fusions())
def test_no_family_costs_more_than_the_square_of_the_rows(name):
    """By multiplications and memory, which no busy machine can blur."""
    flops, peaks = [], []
    for rows in SCALING_ROWS:
        fusion = build_fusion(name, dims={"audio": 8, "lips": 8}, out_dim=8)
        step = _step_of(fusion, 1, rows, CPU)
        # The kernels of attention would count as nothing.
        with sdpa_kernel(SDPBackend.MATH):
            with FlopCounterMode(display=False) as counter:
                step()
            peaks.append(_peak_bytes(step, CPU))
        flops.append(counter.get_total_flops())
    for counted in (flops, peaks):
        assert 0.5 < growth_exponent(SCALING_ROWS, counted) <= 2.0


def test_the_table_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        "benchmarks.fusion_speed.measure_cost",
        lambda name, device: measure_cost(
            name, device, items=2, rows=4, columns=4, scaling_rows=SHORT, steps=1
        ),
    )
    run_fusion_speed(out=tmp_path, device="cpu", families=("early", "gmu"))
    with open(tmp_path / "fusion-speed-cpu.csv", encoding="utf-8") as file:
        assert [row["family"] for row in csv.DictReader(file)] == ["early", "gmu"]
    assert "gmu" in capsys.readouterr().out


def test_what_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="no device 'cuda'"):
        run_fusion_speed(out=tmp_path, device="cuda")
    with pytest.raises(ParameterError, match="no fusion family 'glue'"):
        run_fusion_speed(out=tmp_path, device="cpu", families=("glue",))
