"""Results whole or not at all, and what runs that were killed leave."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from avalign.errors import MediaError, ParameterError
from avalign.files import atomic as files
from avalign.files import scratch
from avalign.files.atomic import atomic_folder, atomic_output, atomic_outputs
from avalign.files.scratch import scratch_folder
from avalign.files.targets import check_target


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fill(folder, text):
    (folder / "weights").write_text(text)


# ------------------------------------------------------------------ links and inputs


@pytest.mark.parametrize("leads", ["nowhere", "file"])
def test_a_link_counts_as_a_file_and_is_itself_replaced(tmp_path, leads):
    far = tmp_path / "far"
    if leads == "file":
        far.write_text("precious")
    link = tmp_path / "out.json"
    link.symlink_to(far)
    for refused in (lambda: check_target((), link), lambda: atomic_output(link).__enter__()):
        with pytest.raises(MediaError, match="exists already"):
            refused()
    assert link.is_symlink()
    check_target((), link, overwrite=True)
    with atomic_output(link, overwrite=True) as temporary:
        temporary.write_text("new")
    assert not link.is_symlink()
    assert link.read_text() == "new"
    assert far.exists() == (leads == "file")
    assert leads == "nowhere" or far.read_text() == "precious"


def test_no_input_is_written_over_by_whatever_name(tmp_path):
    source = tmp_path / "model.json"
    source.write_text("settings")
    (tmp_path / "link.json").symlink_to(source)
    os.link(source, tmp_path / "twin.json")
    (tmp_path / "sub").mkdir()
    others = ("link.json", "twin.json", "sub/../model.json")
    for name in ("model.json", *others):
        with pytest.raises(ParameterError, match="is the input"):
            check_target((source,), tmp_path / name, overwrite=True)
    with pytest.raises(ParameterError, match=r"model.json: is the input"):
        check_target((source,), tmp_path / "m.onnx", beside=("model.json",), overwrite=True)
    with pytest.raises(MediaError, match=r"model.json: exists already"):
        check_target((), tmp_path / "m.onnx", beside=("model.json",))


# ------------------------------------------------------------------ several files


def test_files_that_belong_together_appear_together(tmp_path, monkeypatch):
    first, second = tmp_path / "space.bin", tmp_path / "calibration.json"
    second.write_text("old calibration")
    with pytest.raises(MediaError, match=r"calibration.json: exists already"):
        atomic_outputs(first, second).__enter__()

    move, moved = files._move, []

    def fail_at_second(temporary, target, overwrite):
        if moved:
            raise OSError(28, "No space left on device")
        moved.append(target)
        move(temporary, target, overwrite)

    def write(text):
        with atomic_outputs(first, second, overwrite=True) as temporaries:
            for each in temporaries:
                each.write_text(text)

    monkeypatch.setattr(files, "_move", fail_at_second)
    with pytest.raises(MediaError, match="disk is full"):
        write("new")
    assert names(tmp_path) == ["calibration.json"]
    assert second.read_text() == "old calibration"
    monkeypatch.undo()
    write("new")
    assert names(tmp_path) == ["calibration.json", "space.bin"]
    assert first.read_text() == second.read_text() == "new"


# ------------------------------------------------------------------ folders


def test_a_folder_is_swapped_in_whole(tmp_path, monkeypatch):
    target = tmp_path / "model"
    with atomic_folder(target) as built:
        fill(built, "first")
        assert not target.exists()
    with pytest.raises(MediaError, match="exists already"):
        atomic_folder(target).__enter__()
    with (
        pytest.raises(ZeroDivisionError),
        atomic_folder(target, overwrite=True) as built,
        (built / "weights").open("w") as file,
    ):
        file.write(1 / 0)
    assert (target / "weights").read_text() == "first"

    rename = os.rename

    def fail_into_place(source, place):
        if os.path.basename(source) == "new":
            raise OSError(5, "Input/output error")
        rename(source, place)

    monkeypatch.setattr(files.os, "rename", fail_into_place)
    with (
        pytest.raises(MediaError, match="Input/output"),
        atomic_folder(target, overwrite=True) as built,
    ):
        fill(built, "second")
    monkeypatch.undo()
    assert (target / "weights").read_text() == "first"
    with atomic_folder(target, overwrite=True) as built:
        fill(built, "second")
    assert (target / "weights").read_text() == "second"
    assert names(tmp_path) == ["model"]


def test_an_old_folder_that_cannot_be_put_back_is_not_removed(tmp_path, monkeypatch):
    target = tmp_path / "model"
    with atomic_folder(target) as built:
        fill(built, "the only one")
    rename, calls = os.rename, []

    def fail_after_the_first(source, place):
        calls.append(place)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        rename(source, place)

    monkeypatch.setattr(files.os, "rename", fail_after_the_first)
    with (
        pytest.raises(MediaError, match="Input/output"),
        atomic_folder(target, overwrite=True) as built,
    ):
        fill(built, "second")
    monkeypatch.undo()
    assert not target.exists()
    write(tmp_path / "result")  # the next run that writes there
    assert (target / "weights").read_text() == "the only one"
    assert names(tmp_path) == ["model", "result"]


def test_folders_of_others_and_links_are_no_place_for_a_folder(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    with atomic_folder(mine) as built:  # empty: nothing is lost
        fill(built, "x")
    (tmp_path / "link").symlink_to(mine)
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "file").write_text("x")
    for name in ("link", "dangling", "file", "mine"):
        with pytest.raises(MediaError, match="something else than a model"):
            atomic_folder(
                tmp_path / name, overwrite=True, replaceable=lambda _: False, kind="a model"
            ).__enter__()
    assert names(tmp_path) == ["dangling", "file", "link", "mine"]


# ------------------------------------------------------------------ runs that were killed

WRITER = """
    import sys, time
    from pathlib import Path
    from avalign.files import atomic_folder, atomic_output, scratch_folder
    target = Path(sys.argv[2])
    with {"file": atomic_output, "folder": atomic_folder}[sys.argv[1]](target) as built:
        (built if sys.argv[1] == "file" else built / "weights").write_text("half")
        print("writing", flush=True)
        time.sleep(60)
"""


@pytest.fixture
def writer(tmp_path):
    """Start another process that writes, and is in the middle of it."""
    started = []

    def start(kind, target):
        command = [sys.executable, "-c", textwrap.dedent(WRITER), kind, str(target)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()


def write(target):
    scratch._swept_at_s.clear()  # as a new process
    with atomic_output(target, overwrite=True) as temporary:
        temporary.write_text("whole")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, writer, kind):
    dead, alive = writer(kind, tmp_path / "dead"), writer(kind, tmp_path / "alive")
    kill(dead)
    assert len(names(tmp_path)) == 2
    write(tmp_path / "result")
    left = names(tmp_path)
    assert len(left) == 2  # what is still being written stays
    assert left[1] == "result"
    kill(alive)
    write(tmp_path / "result")
    assert names(tmp_path) == ["result"]


def test_killed_between_two_renames_the_old_folder_comes_back(tmp_path):
    with scratch_folder(tmp_path) as scratch:
        name = scratch.name
    left = tmp_path / name
    (left / "old" / "model").mkdir(parents=True)
    fill(left / "old" / "model", "the only one")
    write(tmp_path / "result")
    assert names(tmp_path) == ["model", "result"]
    assert (tmp_path / "model" / "weights").read_text() == "the only one"


def test_what_other_hosts_build_is_left_until_it_is_old(tmp_path):
    foreign = tmp_path / ".avalign-00000000-12345678"
    foreign.mkdir()
    (foreign / "0.mp4").write_text("half")
    earlier = tmp_path / ".avalign-1a2b3c4d.mp4"  # of a release without locks
    earlier.write_text("half")
    other = tmp_path / ".avalign-notes.txt"
    other.write_text("mine")
    write(tmp_path / "result")
    assert names(tmp_path) == sorted([foreign.name, earlier.name, other.name, "result"])
    long_ago = time.time() - 7 * 86400
    for path in (foreign / "0.mp4", foreign, earlier, other):
        os.utime(path, (long_ago, long_ago))
    if (foreign / "lock").exists():
        os.utime(foreign / "lock", (long_ago, long_ago))
        os.utime(foreign, (long_ago, long_ago))
    write(tmp_path / "result")
    assert names(tmp_path) == [other.name, "result"]


def test_many_write_into_a_folder_at_once_and_sweep_nothing_of_each_other(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from avalign.files import atomic as files
        from avalign.files import scratch
        folder, name = Path(sys.argv[1]), sys.argv[2]
        for number in range(150):
            scratch._swept_at_s.clear()
            with files.atomic_output(folder / f"{name}-{number}") as temporary:
                temporary.write_text("whole")
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    running = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert len(names(tmp_path)) == 450
    assert all(path.read_text() == "whole" for path in tmp_path.iterdir())
