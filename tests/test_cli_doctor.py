"""`avalign doctor`: finds what is there, says how to get what is not."""

import json
from importlib import metadata

import pytest
from avalign_cli import doctor
from avalign_cli.main import main


def findings(capsys):
    value = json.loads(capsys.readouterr().out)
    return value, {finding["name"]: finding for finding in value["findings"]}


def test_what_is_installed_is_found(capsys):
    main(["doctor", "--json"])
    _, found = findings(capsys)
    for package in ("avalign", "numpy", "mediapipe", "av"):
        assert found[package]["found"] == metadata.version(package)
    assert int(found["cores"]["found"]) >= 1
    assert "landmarks" in found["face models"]["found"]


def test_the_shipped_installation_works(capsys):
    assert main(["doctor"]) == 0
    assert "avalign works" in capsys.readouterr().out


@pytest.fixture
def without(monkeypatch):
    """Make imports of some modules fail."""

    def hide(*modules, error):
        real = doctor.import_module

        def fail(name):
            if name in modules:
                raise error
            return real(name)

        monkeypatch.setattr(doctor, "import_module", fail)

    return hide


def test_a_bare_server_is_told_about_libgl(capsys, without):
    without("cv2", error=ImportError("libGL.so.1: cannot open shared object file"))
    assert main(["doctor", "--json"]) == 5
    value, found = findings(capsys)
    assert value["works"] is False
    assert found["cv2"]["found"] is None
    assert "apt-get install libgl1 libglib2.0-0" in found["cv2"]["remedy"]
    assert "libGL.so.1" in found["cv2"]["remedy"]


def test_optional_packages_are_not_missed(capsys, without):
    main(["doctor", "--json"])
    before, _ = findings(capsys)
    without("torch", "matplotlib", error=OSError("libcudart.so.12: no such file"))
    main(["doctor", "--json"])
    value, found = findings(capsys)
    assert value["works"] == before["works"]
    assert found["torch"]["found"] is None
    assert "training" in found["torch"]["remedy"]


def test_a_package_that_is_not_there_is_named(capsys, without, monkeypatch):
    without("soxr", error=ImportError("No module named 'soxr'"))
    version = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: None if name == "soxr" else version(name)
    )
    assert main(["doctor"]) == 5
    out = capsys.readouterr().out
    assert "missing soxr          pip install soxr" in out
    assert "avalign cannot work yet" in out
