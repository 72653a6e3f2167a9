"""The program as a whole: help, versions, wrong usage, errors, pipes."""

import json
import os
import subprocess
import sys

import pytest
from avalign_cli.main import main

from avalign import __version__
from avalign.errors import MediaError, MissingDependencyError

COMMANDS = ["sync", "check", "extract", "doctor", "train"]


def run(*arguments, **options):
    """Run the program in a process of its own."""
    code = "import sys; from avalign_cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def test_help_imports_typer_and_nothing_heavy():
    # Some systems' Python imports modules of its own before anything else.
    code = (
        "import sys; before = {*sys.modules};"
        "from avalign_cli.main import main; code = main(['--help']);"
        "import json; sys.stderr.write(json.dumps([code, sorted({*sys.modules} - before)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert all(command in done.stdout for command in COMMANDS)
    packages = {name.split(".")[0] for name in modules}
    installed = packages - set(sys.stdlib_module_names)
    allowed = {"avalign", "avalign_cli", "typer", "rich", "shellingham", "annotated_doc"}
    allowed |= {"lazy_loader"}
    assert {name for name in installed if not name.startswith("_")} <= allowed


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize("command", [["sync"], ["check"], ["extract"], ["train", "space"]])
def test_every_help_has_examples(command, flag, capsys):
    assert main([*command, flag]) == 0
    help_text = capsys.readouterr().out
    assert f"avalign {' '.join(command)} " in help_text.split("Example")[1]


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("sync", "sync [OPTIONS] VIDEO\n"),
        ("check", "check [OPTIONS] PATH...\n"),
        ("extract", "extract [OPTIONS] VIDEO\n"),
    ],
)
def test_usage_names_arguments_as_people_write_them(command, usage, capsys):
    assert main([command, "--help"]) == 0
    help_text = capsys.readouterr().out
    assert help_text.startswith(f"Usage: avalign {usage}")
    assert not set("{}<") & set(help_text)


def test_the_json_of_doctor_is_not_called_schema_1(capsys):
    assert main(["doctor", "--help"]) == 0
    assert "schema" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["sync", "check", "extract"])
@pytest.mark.parametrize("name", ["-dash.mp4", "-old.mp4", "-jack.mp4", "--cut.mov"])
def test_a_name_that_begins_with_a_dash_gets_a_hint(
    command, name, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert main([command, name]) == 2
    assert f"is written ./{name}, or after --" in capsys.readouterr().err
    for arguments in ([f"./{name}"], ["--", name]):
        assert main([command, *arguments]) == 3
        assert "is empty" in capsys.readouterr().err


def test_the_exit_codes_are_in_the_help(capsys):
    for command in ("sync", "check"):
        main([command, "--help"])
        assert "4  " in capsys.readouterr().out.split("Exit codes")[1]


def test_without_a_command_comes_the_help(capsys):
    assert main([]) == 2
    assert "Usage: avalign" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"avalign {__version__}\n"


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "avalign_cli", "snyc"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("avalign: No such command 'snyc'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["snyc", "x.mp4"], "No such command 'snyc'"),
        (["sync"], "Missing argument 'VIDEO'"),
        (["sync", "a.mp4", "b.mp4"], "b.mp4"),
        (["sync", "a.mp4", "--nope"], "--nope"),
        (["sync", "a.mp4", "--max-lag", "soon"], "--max-lag"),
        (["sync", "a.mp4", "--max-lag", "16"], "16"),
        (["sync", "a.mp4", "--tolerance", "bbc"], "bbc"),
        (["sync", "a.mp4", "--audio-track", "-1"], "--audio-track"),
        (["sync", "a.mp4", "-j", "0"], "--jobs"),
        (["train"], "Missing command"),
        (["train", "space"], "--data"),
    ],
)
def test_wrong_usage_is_one_line_and_a_hint(arguments, words, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    first, hint = err.rstrip("\n").split("\n")
    assert first.startswith("avalign: ")
    assert words in first
    assert hint.startswith("hint: ")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MediaError("x: is empty", "copy it again"), 3, "avalign: x: is empty\nhint: copy it"),
        (
            MissingDependencyError("no torch", "pip install it"),
            5,
            "avalign: no torch\nhint: pip",
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            5,
            "'torch'\nhint: avalign ",
        ),
        (
            ImportError("no such name", name="avalign.align"),
            70,
            "a defect in avalign: ImportError",
        ),
        (MediaError(f"x: row 1: {'y' * 10**6} is odd"), 3, "avalign: x: row 1: yyy"),
        (OSError(28, "No space left on device", "y.mp4"), 3, "avalign: y.mp4: No space left"),
        (KeyboardInterrupt(), 130, "avalign: interrupted\n"),
        (ZeroDivisionError("oops"), 70, "a defect in avalign: ZeroDivisionError: oops\nhint: "),
    ],
)
def test_errors_become_a_line_and_an_exit_code(error, code, words, capsys, monkeypatch):
    def fail(*arguments, **settings):
        raise error

    monkeypatch.setattr("avalign.verbs.sync", fail)
    monkeypatch.delenv("AVALIGN_DEBUG", raising=False)
    assert main(["sync", "x.npz", "-n"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err
    assert len(err) < 1100


def test_debug_shows_the_traceback(capsys, monkeypatch):
    def fail(*arguments, **settings):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("avalign.verbs.sync", fail)
    monkeypatch.setenv("AVALIGN_DEBUG", "1")
    assert main(["sync", "x.npz", "-n"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_while_it_starts_shows_no_traceback():
    code = """
import sys
class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Impatient())
from avalign_cli.main import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (130, "avalign: interrupted\n")


def test_a_reader_who_leaves_is_no_error(tmp_path):
    names = "\n".join(str(tmp_path / f"{number}.mp4") for number in range(50))
    code = "import sys; from avalign_cli.main import main; sys.exit(main())"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "-", "--json", "-j", "1"],
        input=names, stdout=writer, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["two\nlines.mp4", "red\x1b[31m.mp4", "\udcff.mp4"])
def test_strange_names_stay_on_one_line(name, tmp_path, capsys):
    path = str(tmp_path / name)
    assert main(["check", path]) == 3
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert len([line for line in err.splitlines() if line.startswith("avalign: ")]) == 1
    assert main(["check", path, "--json"]) == 3
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert os.path.basename(json.loads(out)["file"]) == name


def test_shell_completion_knows_commands_and_tolerances():
    def complete(line):
        words = {"_AVALIGN_COMPLETE": "complete_bash", "COMP_WORDS": line}
        index = {"COMP_CWORD": str(len(line.split(" ")) - 1)}
        return run(env={**os.environ, **words, **index}).stdout.split()

    assert complete("avalign extr") == ["extract"]
    assert set(complete("avalign sync x.mp4 --tolerance itu")) == {"itu", "itu-accept"}


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_closed_standard_streams_change_no_exit_code(streams, tmp_path):
    """As daemons and schedulers start programs; what is opened takes no closed one's place."""
    kept = tmp_path / "kept.npz"
    kept.write_bytes(b"kept")
    code = "import sys; from avalign_cli.main import main; sys.exit(main())"

    def run_in_shell(*arguments):
        words = [sys.executable, "-c", code, *arguments]
        return subprocess.run(
            ["sh", "-c", f'"$0" "$@" {streams}', *words],
            capture_output=True,
            text=True,
            check=False,
        )

    done = run_in_shell("check", "--json", str(kept), "missing.mp4")
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert len(lines) == (0 if ">&- 2" in streams or streams == ">&-" else 2)
    assert all(json.loads(line)["status"] == "error" for line in lines)
    assert run_in_shell("--version").returncode == 0
    assert run_in_shell("check", "-").returncode == 2
    assert kept.read_bytes() == b"kept"
