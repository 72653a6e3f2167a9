"""The samples for real: nothing planted, from the command to the repaired file."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from avalign_cli.main import main
from media import packet_hashes

SAMPLES = Path(__file__).parents[1] / "samples"
PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from avalign_cli.main import main; sys.exit(main())",
]


def measure(*arguments, capsys):
    code = main([*map(str, arguments), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_late_sample_is_found_late_and_repaired(tmp_path, capsys):
    clip = shutil.copy(SAMPLES / "talking-late160.mp4", tmp_path / "talk.mp4")
    code, [found] = measure("sync", clip, capsys=capsys)
    assert (code, found["status"], found["verdict"]) == (0, "ok", "noticeable")
    assert found["audio_lag_ms"] == pytest.approx(160, abs=20)
    assert found["interval_ms"][0] < found["audio_lag_ms"] < found["interval_ms"][1]
    assert found["confidence"] > 0.9
    assert abs(found["residual_ms"]) <= 10
    assert found["faces"][0]["matched"]
    assert packet_hashes(Path(found["output"])) == packet_hashes(clip)
    assert main(["extract", found["output"], "-q"]) == 0
    streams = tmp_path / "talk.synced.npz"
    code, [again] = measure("check", streams, capsys=capsys)
    assert (code, again["verdict"]) == (0, "in_sync")
    assert again["audio_lag_ms"] == pytest.approx(found["residual_ms"], abs=2)


@pytest.mark.slow
def test_the_sample_in_sync_is_left_alone(tmp_path, capsys):
    clip = shutil.copy(SAMPLES / "talking.mp4", tmp_path / "talk.mp4")
    code, [found] = measure("sync", clip, capsys=capsys)
    assert (code, found["verdict"], found["output"]) == (0, "in_sync", None)
    assert found["audio_lag_ms"] == pytest.approx(0, abs=20)
    assert found["frame_rate"] == pytest.approx(30.0, abs=0.01)
    assert os.listdir(tmp_path) == ["talk.mp4"]


@pytest.mark.slow
def test_evidence_can_be_drawn(tmp_path, capsys):
    plot, overlay = tmp_path / "lag.png", tmp_path / "lips.mp4"
    clip = SAMPLES / "talking-late160.mp4"
    assert main(["sync", "-n", str(clip), "--plot", str(plot), "--overlay", str(overlay)]) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert len(packet_hashes(overlay)[0][1]) >= 230
    assert main(["sync", "-n", str(clip), "--plot", str(plot)]) == 3
    assert "exists already" in capsys.readouterr().err


@pytest.mark.slow
def test_a_folder_on_two_processes(tmp_path):
    for name in ("talking-late160.mp4", "no-face.mp4"):
        (tmp_path / name).symlink_to(SAMPLES / name)
    done = subprocess.run(
        [*PROGRAM, "check", str(tmp_path), "--json", "-j", "2"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {
        Path(value["file"]).stem: value for value in map(json.loads, done.stdout.splitlines())
    }
    assert done.returncode == 1
    assert found["talking-late160"]["verdict"] == "noticeable"
    assert found["no-face"]["status"] == "no_answer"
    assert "no face" in found["no-face"]["reason"]
    assert done.stderr == "1 noticeable, 1 no answer\n"


@pytest.mark.slow
def test_one_clean_line_in_a_process_of_its_own(tmp_path):
    clip = SAMPLES / "talking-late160.mp4"
    done = subprocess.run(
        [*PROGRAM, "sync", str(clip), "-o", "out.mp4"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Viewers notice (ITU-R BT.1359: 125 ms). Wrote out.mp4, residual" in done.stdout


@pytest.mark.slow
def test_measuring_loads_neither_torch_nor_librosa():
    done = subprocess.run(
        [
            *PROGRAM[:2],
            "import sys; from avalign_cli.main import main;"
            "code = main(sys.argv[1:]);"
            "heavy = {'torch', 'librosa', 'sklearn'} & set(sys.modules);"
            "sys.exit(f'{code} {heavy}' if code or heavy else 0)",
            *("check", str(SAMPLES / "talking.mp4")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
