"""`avalign train space`: what reaches the training."""

from pathlib import Path

from avalign_cli.main import main

from avalign.errors import MissingDependencyError


def test_the_options_reach_the_training(monkeypatch, capsys):
    seen = {}

    def fit(manifest, output, **settings):
        seen.update(settings, manifest=manifest, output=output)
        settings["progress"](1.0)
        for name in ("a.mp4", "b.mp4"):
            settings["left_out"](f"{name}: is empty")

    monkeypatch.setattr("avalign.train.space.train_space", fit)
    arguments = ["--data", "m.csv", "--output", "o.safetensors", "--seed", "3", "--cache", "c"]
    assert main(["train", "space", *arguments, "-j", "2"]) == 0
    told = capsys.readouterr()
    assert told.out == "Wrote o.safetensors.\n"
    assert "note: 2 clips left out: a.mp4: is empty" in told.err
    assert (seen["manifest"], seen["output"]) == (Path("m.csv"), Path("o.safetensors"))
    assert (seen["plan"].seed, seen["cache_dir"], seen["overwrite"]) == (3, Path("c"), False)
    assert seen["jobs"] == 2


def test_without_torch_it_exits_5(monkeypatch, capsys):
    def fit(manifest, output, **settings):
        raise MissingDependencyError("training needs torch", "pip install 'avalign[torch]'")

    monkeypatch.setattr("avalign.train.space.train_space", fit)
    assert main(["train", "space", "--data", "m.csv", "-o", "o.safetensors"]) == 5
    assert "avalign[torch]" in capsys.readouterr().err


def test_a_missing_manifest_exits_3(tmp_path, capsys):
    output = tmp_path / "o.safetensors"
    assert main(["train", "space", "--data", str(tmp_path / "no.csv"), "-o", str(output)]) == 3
    assert "no.csv" in capsys.readouterr().err
    assert not output.exists()
