"""Bad input: one clear line, the right exit code, no file left, the original untouched.

Media, sound and vision are the real ones. The aligner is planted where the clip is fine and
the trouble lies elsewhere, because clicks and flashes are no speech.
"""

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from avalign_cli.main import main
from media import Recipe, make_clip
from planted import late, plant

SAMPLES = Path(__file__).parents[1] / "samples"
PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from avalign_cli.main import main; sys.exit(main())",
]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AVALIGN_DEBUG", raising=False)
    return tmp_path


def contents(folder):
    """Every file and what is in it."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refuse(folder, capfd, code, words, *arguments):
    """Expect one line that says what is wrong, and nothing changed."""
    before = contents(folder)
    assert main(["sync", *map(str, arguments)]) == code
    out, err = capfd.readouterr()
    lines = [line for line in (out + err).splitlines() if not line.startswith("hint: ")]
    assert len(lines) == 1, out + err
    assert words in lines[0]
    assert "Traceback" not in out + err
    assert contents(folder) == before
    return lines[0]


def empty(path):
    path.touch()


def text(path):
    path.write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n")


def noise(path):
    path.write_bytes(np.random.default_rng(0).bytes(20_000))


def headless(path):
    whole = make_clip(path.with_name("whole.mp4"))
    path.write_bytes(
        whole.read_bytes()[: whole.stat().st_size // 2]
    )  # its index was at the end
    whole.unlink()


def folder(path):
    path.mkdir()


@pytest.mark.parametrize("make", [empty, text, noise, headless, folder])
def test_what_is_no_video_exits_3(make, here, capfd):
    make(here / "clip.mp4")
    line = refuse(here, capfd, 3, "clip.mp4", "clip.mp4")
    assert line.startswith("avalign: clip.mp4: ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clip.mp4", "clip.mp4: no such file"),
        ("", "no such file"),
        (".", ".: is a folder"),
        ("/", "/: is a folder"),
        ("http://host/clip.mp4", "http://host/clip.mp4: only local files"),
    ],
)
@pytest.mark.parametrize("command", ["sync", "extract"])
def test_a_name_that_is_no_file_exits_3(command, name, words, here, capfd):
    assert main([command, name]) == 3
    assert words in capfd.readouterr().err
    assert not contents(here)


@pytest.mark.parametrize("streams", ["video", "audio"])
def test_one_half_of_a_video_is_no_answer(streams, here, capfd):
    make_clip(here / "clip.mp4", picture=streams == "video", sound=streams == "audio")
    missing = "sound" if streams == "video" else "picture"
    refuse(here, capfd, 4, f"no {missing}", "clip.mp4")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (Recipe(), "no face"),
        (Recipe(duration_s=0.3, events_s=(0.1,)), "too short: 0.3 s"),
        (Recipe(size=(2, 2), video_codec="mpeg4"), "no face"),
        (Recipe(rate_hz=8000), "no face"),
        (Recipe(layout="5.1.4", audio_codec="pcm_s16le"), "no face"),
    ],
    ids=["no face", "0.3 s", "2x2 pixels", "8 kHz", "10 channels"],
)
def test_clips_without_a_face_are_no_answer(recipe, words, here, capfd):
    make_clip(here / "clip.mkv", recipe)
    refuse(here, capfd, 4, words, "clip.mkv")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "words"), [("no-face", "no face"), ("silent", "speech")])
def test_the_samples_without_face_or_speech_are_no_answer(name, words, here, capfd):
    refuse(here, capfd, 4, words, SAMPLES / f"{name}.mp4", "-o", "out.mp4")


def test_a_wrong_sound_track_is_wrong_usage(here, capfd):
    late(here / "clip.mp4")
    refuse(here, capfd, 2, "no sound track 3", "clip.mp4", "--audio-track", 3)


@pytest.mark.parametrize("target", ["no/such/out.mp4", "folder.mp4", "taken.mp4"])
def test_outputs_that_cannot_be_are_told_before_measuring(target, here, capfd):
    late(here / "clip.mp4")
    (here / "folder.mp4").mkdir()
    (here / "taken.mp4").write_text("mine")
    refuse(here, capfd, 3, target.split("/out")[0], "clip.mp4", "-o", target)


def test_the_input_as_output_is_wrong_usage(here, capfd):
    late(here / "clip.mp4")
    refuse(here, capfd, 2, "is the input", "clip.mp4", "-o", "clip.mp4", "-y")


def test_a_folder_that_takes_no_files(here, capfd, monkeypatch):
    plant(monkeypatch)
    late(here / "clip.mp4")
    sealed = here / "sealed"
    sealed.mkdir()
    sealed.chmod(0o500)
    if os.access(sealed, os.W_OK):  # the superuser may write anywhere but here
        sealed = Path("/sys")
    refuse(here, capfd, 3, "not writable", "clip.mp4", "-o", sealed / "out.mp4")


def test_a_disk_that_fills_half_way(here, capfd, monkeypatch):
    plant(monkeypatch)
    clip = late(here / "clip.mp4")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (clip.stat().st_size // 2, hard))
    try:
        refuse(here, capfd, 3, "disk is full", "clip.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def foreign(path):
    np.savez(path, a=np.zeros(3))


def objects(path):
    np.savez(path, header=np.array([{"format": "avalign-streams"}], object))


@pytest.mark.parametrize("make", [foreign, objects, empty, noise])
def test_foreign_stream_files_exit_3(make, here, capfd):
    make(here / "clip.npz")
    refuse(here, capfd, 3, "clip.npz", "clip.npz", "-n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code", "words"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended from outside")],
    ids=["Ctrl-C", "kill"],
)
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_who_ends_it_ends_everything_at_once(jobs, end, code, words, here):
    for number in range(4):
        os.symlink(SAMPLES / "talking.mp4", here / f"{number}.mp4")
    process = subprocess.Popen(
        [*PROGRAM, "check", "missing.mp4", ".", "-j", jobs],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A background job of a shell ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert "missing.mp4" in process.stderr.readline()  # by now the others are being read
    time.sleep(0.5)
    # A terminal sends Ctrl-C to all processes, `kill` ends the one that it names.
    (os.killpg if end == signal.SIGINT else os.kill)(process.pid, end)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err.splitlines()[-1] == f"avalign: {words}"
    assert "Traceback" not in err
    assert "leaked" not in err
    assert _ends(process.pid)


def _ends(group, within_s=10.0):
    """Tell whether the last process of a group goes away."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
