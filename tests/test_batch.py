"""Many files: every one gets its report, whatever happens to the others."""

import gc
import multiprocessing
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from avalign.errors import MediaError, ParameterError
from avalign.reports import SyncReport
from avalign.verbs import many

NAMES = ["a.mp4", "bad.mp4", "odd.mp4", "z.mp4"]


def planted_check(path, **settings):
    """Stand in for `check`: names decide what happens."""
    if path.startswith("bad"):
        raise MediaError(f"{path}: is empty", "copy it again")
    if path.startswith("odd"):
        raise ZeroDivisionError("division by zero")
    return SyncReport(path, "ok", settings["tolerance"].name, verdict="in_sync")


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setattr(many, "check", planted_check)


def test_one_job_runs_here_and_in_order(planted):
    reports = list(many.check_many(NAMES, jobs=1))
    assert [report.file for report in reports] == NAMES
    assert [report.status for report in reports] == ["ok", "error", "error", "ok"]
    assert [report.exit_code for report in reports] == [0, 3, 70, 0]
    assert reports[1].reason == "is empty (copy it again)"
    assert "ZeroDivisionError" in reports[2].reason


@pytest.mark.parametrize("in_order", [False, True])
def test_reports_that_were_taken_are_let_go_of(planted, in_order):
    names = [f"let-go-{number}.mp4" for number in range(50)]
    with ThreadPoolExecutor(1) as executor:
        for count, _ in enumerate(
            many.check_many(names, executor=executor, in_order=in_order), start=1
        ):
            if count == len(names):
                # Not by `isinstance`, which asks dead weak references of other tests, too.
                alive = [one for one in gc.get_objects() if type(one) is SyncReport]
    assert sum(one.file.startswith("let-go-") for one in alive) <= 2


def test_with_one_job_each_file_has_all_cores_and_else_one(monkeypatch):
    seen = []

    def check(path, **settings):
        seen.append(settings.get("jobs"))
        return SyncReport(path, "ok", "itu")

    monkeypatch.setattr(many, "check", check)
    list(many.check_many(["a"], jobs=1))
    with ThreadPoolExecutor(2) as executor:
        list(many.check_many(["a"], executor=executor))
    assert seen == [None, 1]


def test_any_executor_serves_and_stays_open(planted):
    with ThreadPoolExecutor(2) as executor:
        reports = list(many.check_many(NAMES, executor=executor, in_order=True))
        assert [report.file for report in reports] == NAMES
        assert executor.submit(int, "7").result() == 7
        anyhow = list(many.check_many(NAMES, executor=executor))
    assert sorted(report.file for report in anyhow) == NAMES


def test_settings_reach_every_file(monkeypatch):
    seen = []

    def check(path, **settings):
        seen.append(settings | {"tolerance": settings["tolerance"].name})
        return SyncReport(path, "ok", "ebu")

    monkeypatch.setattr(many, "check", check)
    asked = {"max_lag_s": 2, "video_track": 0, "audio_track": 1, "channel": None}
    list(many.check_many(["a", "b"], tolerance="ebu", jobs=1, **asked))
    assert seen == [{"tolerance": "ebu", **asked}] * 2


@pytest.mark.parametrize("settings", [{"tolerance": "bbc"}, {"jobs": 0}])
def test_wrong_arguments_are_told_at_the_call(settings):
    with pytest.raises(ParameterError):
        many.check_many(["a.mp4"], **settings)


def test_no_files_no_reports():
    assert list(many.check_many([])) == []


def test_a_dead_worker_costs_only_its_own_file(monkeypatch):
    def for_each(function, items, *, jobs, caller, in_order):
        for number, file in enumerate(items):
            died = MediaError(f"{file}: the process that worked on it died", "try it alone")
            done = SyncReport(file, "ok", "itu", verdict="in_sync")
            yield number, died if file == "culprit.mp4" else done

    monkeypatch.setattr(many, "for_each", for_each)
    names = ["a.mp4", "culprit.mp4", "b.mp4", "c.mp4", "b.mp4"]
    reports = list(many.check_many(names, jobs=2, in_order=True))
    assert [report.file for report in reports] == names
    failed = [report for report in reports if report.status != "ok"]
    assert [(report.file, report.exit_code) for report in failed] == [("culprit.mp4", 3)]
    assert failed[0].reason == "the process that worked on it died (try it alone)"


@pytest.mark.slow
def test_processes_report_and_leave_nothing_behind(tmp_path):
    empty = tmp_path / "empty.mp4"
    empty.touch()
    paths = [str(empty), str(tmp_path / "missing.mp4")]
    reports = list(many.check_many(paths, jobs=2, in_order=True))
    assert [report.file for report in reports] == paths
    assert [report.exit_code for report in reports] == [3, 3]
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_an_unguarded_script_is_told_what_it_lacks(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import avalign\nprint(list(avalign.check_many(['a', 'b'], jobs=2)))\n")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("Traceback") == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("avalign.errors.ParameterError: check_many starts processes")
    assert 'if __name__ == "__main__"' in last


@pytest.mark.slow
def test_who_stops_listening_stops_the_processes(tmp_path):
    paths = [str(tmp_path / f"{number}.mp4") for number in range(20)]
    reports = many.check_many(paths, jobs=2)
    next(reports)
    reports.close()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("one", ["a.mp4", Path("a.mp4"), b"a.mp4"])
def test_one_name_is_no_list(one):
    with pytest.raises(ParameterError, match=r"one name, 'a.mp4'.*\["):
        many.check_many(one)
