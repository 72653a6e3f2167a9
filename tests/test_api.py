"""The verbs: what is measured, what is decided, what is written."""

import hashlib
import inspect
import json
import re
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import planted
import pytest
from media import Recipe, make_clip, packet_hashes
from planted import late, plant

import avalign
from avalign import verbs
from avalign.align import ClipAlignment
from avalign.align.stability import LagChange
from avalign.errors import MediaError, NoAnswerError, ParameterError
from avalign.reports import SyncReport
from avalign.reports.schema import to_dict, to_json

SCHEMA_KEYS = [
    "schema", "file", "status", "reason", "audio_lag_ms", "interval_ms", "confidence",
    "at_edge", "verdict", "tolerance", "output", "planned", "residual_ms",
    "residual_quarters_ms", "duration_s", "speech_s", "face_coverage", "frame_rate",
    "video_track", "audio_track", "channel", "faces", "segments", "drift_ppm", "notes",
    "versions", "elapsed_s",
]  # fmt: skip
FACE_KEYS = [
    "track_id", "place", "box", "coverage", "audio_lag_ms", "interval_ms", "confidence",
    "matched",
]  # fmt: skip


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@pytest.fixture
def one_face(monkeypatch):
    plant(monkeypatch)


class TestMeasure:
    def test_the_sign_is_positive_when_the_audio_is_late(self, tmp_path, one_face):
        report = verbs.check(late(tmp_path / "late.mp4", 0.2))
        assert report.status == "ok"
        assert report.audio_lag_ms == pytest.approx(200, abs=25)
        report = verbs.check(late(tmp_path / "early.mp4", -0.2))
        assert report.audio_lag_ms == pytest.approx(-200, abs=25)

    def test_check_writes_nothing_and_exits_1_out_of_tolerance(self, tmp_path, one_face):
        clip = late(tmp_path / "late.mp4", 0.3)
        assert verbs.check(clip).verdict == "unacceptable"
        assert verbs.check(clip).exit_code == 1
        assert verbs.check(clip, tolerance="400/400").exit_code == 0
        assert list(tmp_path.iterdir()) == [clip]

    def test_the_report_says_what_there_was(self, tmp_path, one_face):
        report = verbs.check(late(tmp_path / "late.mp4"))
        assert report.duration_s == pytest.approx(3.0, abs=0.05)
        assert report.frame_rate == pytest.approx(25.0, abs=0.01)
        assert report.face_coverage == 0.98
        assert report.speech_s == 1.5
        assert report.elapsed_s > 0

    def test_the_chosen_sound_is_measured(self, tmp_path, one_face):
        clip = make_clip(tmp_path / "mute.mp4", Recipe(), sound=False)
        sound = make_clip(
            tmp_path / "sound.mka",
            Recipe(events_s=(1.3, 2.3), audio_codec="aac", format="matroska"),
            picture=False,
        )
        assert verbs.check(clip, audio=sound).audio_lag_ms == pytest.approx(300, abs=25)

    def test_saved_streams_give_the_same_answer(self, tmp_path, one_face):
        clip = late(tmp_path / "late.mp4")
        streams = avalign.extract(clip)
        avalign.save_streams(streams, tmp_path / "late.npz")
        again = verbs.check(tmp_path / "late.npz")
        assert again.audio_lag_ms == verbs.check(clip).audio_lag_ms
        assert again.duration_s == pytest.approx(3.0, abs=0.05)

    def test_streams_and_a_sound_track_cannot_be_named_together(self, tmp_path):
        with pytest.raises(ParameterError, match="holds streams"):
            verbs.check(tmp_path / "x.npz", audio_track=1)

    @pytest.mark.parametrize("max_lag_s", [0.0, -1.0, 0.09, 15.1, float("nan")])
    def test_an_impossible_range_is_refused_before_anything_is_read(self, max_lag_s):
        with pytest.raises(ParameterError, match="largest lag"):
            verbs.check("does-not-exist.mp4", max_lag_s=max_lag_s)

    def test_no_sound_is_no_answer(self, tmp_path, one_face):
        report = verbs.check(make_clip(tmp_path / "mute.mp4", sound=False))
        assert (report.status, report.exit_code) == ("no_answer", 4)
        assert "no sound" in report.reason
        assert "mute.mp4" not in report.reason  # the line names the file already

    def test_a_file_cut_short_is_told(self, tmp_path, one_face):
        whole = late(tmp_path / "whole.mkv", duration_s=6.0, audio_codec="pcm_s16le")
        assert verbs.check(whole).notes == ()
        cut = tmp_path / "cut.mkv"
        cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        (note,) = verbs.check(cut).notes
        assert "of 6.0 s could be read" in note

    def test_a_missing_sound_track_is_a_wrong_argument(self, tmp_path, one_face):
        with pytest.raises(ParameterError, match="no sound track 7"):
            verbs.check(late(tmp_path / "late.mp4"), audio_track=7)

    def test_no_face_and_no_picture_are_no_answers(self, tmp_path, monkeypatch):
        nobody = ClipAlignment((), None, None, "no face")
        plant(monkeypatch, lambda streams, **_: nobody, faces=())
        report = verbs.check(late(tmp_path / "late.mp4"))
        assert (report.status, report.reason, report.exit_code) == ("no_answer", "no face", 4)
        assert report.face_coverage == 0.0
        assert report.audio_lag_ms is None

    def test_a_guess_is_not_an_answer(self, tmp_path, one_face, monkeypatch):
        doubtful = planted.answer(0.5, reason="too short", confidence=0.3)
        plant(monkeypatch, lambda streams, **_: doubtful)
        report = verbs.check(late(tmp_path / "late.mp4"))
        assert (report.status, report.verdict, report.alignment) == ("no_answer", None, None)
        assert report.exit_code == 4


class TestSync:
    def test_a_late_clip_is_repaired_beside_the_original(self, tmp_path, one_face):
        clip = late(tmp_path / "talk.mp4", 0.2)
        before = digest(clip)
        report = verbs.sync(clip)
        assert report.output == str(tmp_path / "talk.synced.mp4")
        assert report.exit_code == 0
        assert report.residual_ms == pytest.approx(0, abs=20)
        assert report.audio_lag_ms == pytest.approx(200, abs=25)
        assert digest(clip) == before
        assert packet_hashes(Path(report.output)) == packet_hashes(clip)

    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts", ".mpg", ".avi"])
    @pytest.mark.parametrize("lag_s", [0.3, -0.3])
    def test_the_residual_is_right_where_zero_is_the_start_of_the_sound(
        self, suffix, lag_s, tmp_path, monkeypatch
    ):
        # The picture starts half a second after the sound; the flashes with it.
        plant(monkeypatch, partial(planted.align_clicks, flashes_s=(1.48, 2.48)))
        clip = late(tmp_path / f"talk{suffix}", 0.48 + lag_s, video_start_s=0.48)
        report = verbs.sync(clip)
        assert report.audio_lag_ms == pytest.approx(1000 * lag_s, abs=30)
        assert report.residual_ms == pytest.approx(0, abs=15)

    def test_in_sync_writes_nothing(self, tmp_path, one_face):
        clip = late(tmp_path / "talk.mp4", 0.0)
        report = verbs.sync(clip)
        assert (report.verdict, report.output) == ("in_sync", None)
        assert list(tmp_path.iterdir()) == [clip]

    def test_sound_of_its_own_is_written_in_sync_or_not(self, tmp_path, one_face):
        clip = late(tmp_path / "talk.mp4", 0.5)
        sound = make_clip(
            tmp_path / "sound.m4a", Recipe(events_s=(1.05, 2.05), format="mp4"), picture=False
        )
        report = verbs.sync(clip, audio=sound)
        assert report.verdict == "in_sync"
        assert report.output == str(tmp_path / "talk.synced.mp4")
        assert report.residual_ms == pytest.approx(0, abs=20)

    def test_a_lag_that_changes_moves_nothing_unless_forced(
        self, tmp_path, one_face, monkeypatch
    ):
        clip = late(tmp_path / "talk.mp4", 0.2)
        change = LagChange("jump", (0.02, 0.31), 1.5, (0.0, 3.0), 20.0)
        changing = planted.answer(0.31, change=change)
        plant(monkeypatch, lambda streams, **_: changing)
        report = verbs.sync(clip)
        assert (report.status, report.verdict, report.output) == ("ok", None, None)
        assert report.exit_code == 4
        assert (
            report.reason == "the lag changes over the clip: 20 ms until 1.5 s, 310 ms after it"
        )
        assert verbs.check(clip).exit_code == 4
        assert list(tmp_path.iterdir()) == [clip]
        forced = verbs.sync(clip, force=True)
        assert forced.output is not None
        assert (forced.exit_code, forced.reason) == (0, report.reason)

    def test_what_leaves_a_quarter_out_of_sync_is_not_written(
        self, tmp_path, one_face, monkeypatch
    ):
        clip = late(tmp_path / "talk.mp4", 0.3)
        answers = iter(
            [planted.answer(0.3), planted.answer(0.0, quarters_s=(0.0, None, 0.0, -0.289))] * 2
        )
        plant(monkeypatch, lambda streams, **_: next(answers))
        report = verbs.sync(clip)
        assert (report.output, report.exit_code) == (None, 4)
        assert "a quarter of the file has a lag of -289 ms" in report.reason
        assert list(tmp_path.iterdir()) == [clip]
        forced = verbs.sync(clip, force=True)
        assert to_dict(forced)["residual_quarters_ms"] == [0.0, None, 0.0, -289.0]

    def test_nothing_is_forced_without_speech(self, tmp_path, one_face, monkeypatch):
        clip = late(tmp_path / "talk.mp4", 0.2)
        silent = planted.answer(0.2, reason="too little speech", confidence=0.0)
        plant(monkeypatch, lambda streams, **_: silent)
        report = verbs.sync(clip, force=True)
        assert (report.status, report.verdict, report.output) == ("no_answer", None, None)
        assert report.exit_code == 4

    def test_a_dry_run_writes_nothing(self, tmp_path, one_face):
        clip = late(tmp_path / "talk.mp4", 0.2)
        report = verbs.sync(clip, dry_run=True)
        assert (report.verdict, report.output) == ("unacceptable", None)
        assert list(tmp_path.iterdir()) == [clip]

    def test_a_separate_sound_is_put_into_the_repaired_file(self, tmp_path, one_face):
        clip = late(tmp_path / "talk.mp4", 0.0)
        sound = make_clip(
            tmp_path / "sound.m4a", Recipe(events_s=(1.3, 2.3), format="mp4"), picture=False
        )
        report = verbs.sync(clip, audio=sound)
        assert report.residual_ms == pytest.approx(0, abs=20)
        assert verbs.check(report.output).audio_lag_ms == pytest.approx(0, abs=20)

    def test_without_trust_nothing_is_written_unless_forced(
        self, tmp_path, one_face, monkeypatch
    ):
        clip = late(tmp_path / "talk.mp4", 0.2)
        doubtful = planted.answer(0.2, reason="too short", confidence=0.3)
        plant(monkeypatch, lambda streams, **_: doubtful)
        report = verbs.sync(clip)
        assert (report.status, report.output, report.exit_code) == ("no_answer", None, 4)
        report = verbs.sync(clip, force=True)
        assert (report.status, report.reason, report.exit_code) == ("ok", "too short", 0)
        assert Path(report.output).exists()

    def test_an_answer_more_likely_wrong_than_right_has_no_verdict(
        self, tmp_path, one_face, monkeypatch
    ):
        clip = late(tmp_path / "talk.mp4", 0.3)
        plant(monkeypatch, lambda streams, **_: planted.answer(0.3, confidence=0.3))
        report = avalign.sync(clip)
        assert (report.status, report.verdict, report.exit_code) == ("ok", None, 4)
        assert report.audio_lag_ms == pytest.approx(300)
        assert "too weak" in report.reason
        assert report.output is None
        assert avalign.check(clip).exit_code == 4

    def test_changing_a_file_asks_for_more_confidence_than_telling(
        self, tmp_path, one_face, monkeypatch
    ):
        clip = late(tmp_path / "talk.mp4", 0.2)
        plant(monkeypatch, lambda streams, **_: planted.answer(0.2, confidence=0.6))
        assert verbs.check(clip).verdict == "unacceptable"
        for dry_run in (True, False):
            report = verbs.sync(clip, dry_run=dry_run)
            assert (report.status, report.output, report.exit_code) == ("ok", None, 4)
            assert "0.60 is too low" in report.reason
        report = verbs.sync(clip, force=True)
        assert (report.exit_code, Path(report.output).exists()) == (0, True)

    def test_an_interval_that_reaches_into_the_tolerance_does_not_decide(
        self, tmp_path, one_face, monkeypatch
    ):
        clip = late(tmp_path / "talk.mp4", 0.2)
        for confidence, verdict in ((0.65, None), (0.9, "unacceptable")):
            wide = planted.answer(0.2, confidence=confidence, half_width_s=0.12)
            plant(monkeypatch, lambda streams, wide=wide, **_: wide)
            report = verbs.check(clip)
            assert (report.status, report.verdict) == ("ok", verdict)
            assert report.exit_code == (1 if verdict else 4)
        narrow = planted.answer(0.2, confidence=0.65, half_width_s=0.05)
        plant(monkeypatch, lambda streams, **_: narrow)
        assert verbs.check(clip).verdict == "unacceptable"

    def test_the_answer_is_about_the_face_that_was_chosen(self, tmp_path, monkeypatch):
        shared = planted.alignment(0.2, confidence=0.53)
        rival = planted.alignment(0.3, confidence=1.0, score=9.0)
        found = ClipAlignment(
            faces=(planted.face(0, rival), planted.face(1, planted.alignment(0.2))),
            face=1,
            alignment=shared,
            reason=None,
        )
        plant(monkeypatch, lambda streams, **_: found, faces=(planted.lips(), planted.lips(1)))
        report = verbs.check(late(tmp_path / "two.mp4"))
        assert (report.face, report.alignment) == (1, shared)

    def test_what_may_be_in_sync_as_it_is_is_not_changed(self, tmp_path, one_face, monkeypatch):
        clip = late(tmp_path / "talk.mp4", 0.2)
        plant(monkeypatch, lambda streams, **_: planted.answer(0.2, half_width_s=0.3))
        for dry_run in (True, False):
            report = verbs.sync(clip, dry_run=dry_run)
            assert (report.status, report.output, report.exit_code) == ("ok", None, 4)
            assert "a lag of 200 ms fits hardly better than none" in report.reason
        # Nor is it called out of tolerance: a curator would drop the clip.
        assert (verbs.check(clip).verdict, verbs.check(clip).exit_code) == (None, 4)
        assert Path(verbs.sync(clip, force=True).output).exists()

    def test_a_lag_that_is_surely_beyond_a_strict_tolerance_is_repaired(
        self, tmp_path, one_face, monkeypatch
    ):
        """27 ms early, 17 more or less: 15 ms early may be true, 1 ms may not."""
        clip = late(tmp_path / "talk.mp4", -0.027)
        plant(monkeypatch, lambda streams, **_: planted.answer(-0.027, half_width_s=0.017))
        assert verbs.check(clip, tolerance="atsc").verdict is None
        assert verbs.check(clip, tolerance="1/1").verdict == "noticeable"

    @pytest.mark.parametrize("again", [planted.answer(0.1), planted.answer(1.0, at_edge=True)])
    def test_a_repair_that_did_not_help_is_taken_back(
        self, tmp_path, one_face, monkeypatch, again
    ):
        clip = late(tmp_path / "talk.mp4", 0.2)
        for force in (False, True):
            answers = iter([planted.answer(0.2), again])
            plant(monkeypatch, lambda streams, answers=answers, **_: next(answers))
            report = verbs.sync(clip, force=force)
            assert report.exit_code == (0 if force else 4)
            assert ("after the shift" in (report.reason or "")) is not force
            assert (tmp_path / "talk.synced.mp4").exists() is force

    @pytest.mark.parametrize("trouble", [KeyboardInterrupt, NoAnswerError("unreadable"), None])
    def test_an_earlier_file_stays_until_the_new_one_is_verified(
        self, tmp_path, one_face, monkeypatch, trouble
    ):
        clip = late(tmp_path / "talk.mp4", 0.2)
        earlier = tmp_path / "talk.synced.mp4"
        earlier.write_text("mine")
        answers = iter([planted.answer(0.2), planted.answer(0.1)])

        def align(streams, **_):
            found = next(answers)
            if trouble is not None and found.alignment.audio_lag_s < 0.2:
                raise trouble
            return found

        plant(monkeypatch, align)
        if trouble is None:
            assert verbs.sync(clip, overwrite=True).output is None
        else:
            with pytest.raises((KeyboardInterrupt, MediaError)):
                verbs.sync(clip, overwrite=True)
        assert earlier.read_text() == "mine"
        assert sorted(tmp_path.iterdir()) == [clip, earlier]

    def test_a_peak_at_the_edge_is_never_forced(self, tmp_path, one_face, monkeypatch):
        clip = late(tmp_path / "talk.mp4", 0.2)
        edge = planted.answer(1.0, reason="at the edge", confidence=0.3, at_edge=True)
        plant(monkeypatch, lambda streams, **_: edge)
        report = verbs.sync(clip, force=True)
        assert (report.status, report.output) == ("no_answer", None)
        assert list(tmp_path.iterdir()) == [clip]

    def test_existing_output_is_refused_before_measuring(self, tmp_path, monkeypatch):
        clip = late(tmp_path / "talk.mp4")
        taken = tmp_path / "talk.synced.mp4"
        taken.write_text("mine")

        def never(path, **_):
            raise AssertionError("measured in vain")

        monkeypatch.setattr("avalign.vision.lip_streams", never)
        with pytest.raises(MediaError, match="exists already"):
            verbs.sync(clip)
        assert taken.read_text() == "mine"

    def test_overwrite_replaces_it(self, tmp_path, one_face):
        clip = late(tmp_path / "talk.mp4", 0.2)
        (tmp_path / "talk.synced.mp4").write_text("old")
        report = verbs.sync(clip, overwrite=True)
        assert Path(report.output).stat().st_size > 1000

    def test_the_input_is_never_the_output(self, tmp_path):
        clip = late(tmp_path / "talk.mp4")
        (tmp_path / "link.mp4").symlink_to(clip)
        for name in ("talk.mp4", "link.mp4"):
            with pytest.raises(ParameterError, match="is the input"):
                verbs.sync(clip, tmp_path / name, overwrite=True)

    def test_streams_can_be_measured_but_not_repaired(self, tmp_path, one_face):
        streams = avalign.extract(late(tmp_path / "talk.mp4", 0.2))
        saved = tmp_path / "talk.npz"
        avalign.save_streams(streams, saved)
        assert verbs.sync(saved, dry_run=True).verdict == "unacceptable"
        with pytest.raises(ParameterError, match="no video to repair"):
            verbs.sync(saved)


class TestSchema:
    def test_the_keys_are_those_of_schema_1_in_order(self):
        value = to_dict(SyncReport("a.mp4", "error", "itu", faces=(planted.face(0, None),)))
        assert list(value) == SCHEMA_KEYS
        assert list(value["faces"][0]) == FACE_KEYS

    def test_an_answer_in_numbers(self):
        found = planted.alignment(0.1602)
        report = SyncReport(
            "a.mp4", "ok", "itu", alignment=found, face=0, faces=(planted.face(0, found),)
        )
        value = json.loads(to_json(report))
        assert value["audio_lag_ms"] == 160.2
        assert value["interval_ms"] == [151.2, 169.2]
        assert value["confidence"] == 0.97
        assert value["at_edge"] is False
        assert value["faces"][0]["matched"] is True
        assert value["segments"] is None
        assert value["versions"]["avalign"] == avalign.__version__

    def test_without_an_answer_the_guess_is_in_the_faces_only(self):
        faces = (
            planted.face(0, planted.alignment(0.3, confidence=0.2)),
            planted.face(1, planted.alignment(1.0, confidence=0.4, at_edge=True, score=3.0)),
            planted.face(2, None),
        )
        report = SyncReport("a.mp4", "no_answer", "itu", reason="x", faces=faces, best_face=1)
        value = to_dict(report)
        assert value["audio_lag_ms"] is None
        assert value["interval_ms"] is None
        assert (value["confidence"], value["at_edge"]) == (0.4, True)
        assert [face["audio_lag_ms"] for face in value["faces"]] == [300.0, 1000.0, None]
        assert not any(face["matched"] for face in value["faces"])

    def test_nothing_is_ever_nan(self):
        nan = float("nan")
        found = replace(planted.alignment(nan), confidence=nan, interval_s=(nan, float("inf")))
        report = SyncReport(
            "a.mp4", "ok", "itu", alignment=found, face=0, faces=(planted.face(0, found),),
            residual_ms=nan, duration_s=nan, face_coverage=nan, elapsed_s=nan,
        )  # fmt: skip
        text = to_json(report)
        assert "NaN" not in text
        assert "Infinity" not in text
        assert json.loads(text)["interval_ms"] == [None, None]

    def test_one_line_whatever_the_name(self):
        text = to_json(SyncReport("a\nb\u2028.mp4", "error", "itu"))
        assert "\n" not in text
        assert json.loads(text)["file"] == "a\nb\u2028.mp4"


PUBLIC = """
    AlignReport AlignedPair Alignment AvalignError ClipStreams FeatureStream LipStream
    Measurement MediaError MissingDependencyError NoAnswerError ParameterError SyncReport
    TimeWarp Tolerance align_files align_streams check check_many compare dtw extract
    lip_streams load_streams measure mfcc plot_sync plot_warp probe read_audio repair retime
    save_streams sync to_dict to_json
"""


class TestPublicNames:
    def test_no_name_gets_lost(self):
        assert sorted(avalign.__all__) == sorted(PUBLIC.split())

    def test_every_name_resolves_and_is_documented(self):
        for name in avalign.__all__:
            assert getattr(avalign, name).__doc__, name

    def test_an_unknown_name_is_an_attribute_error(self):
        with pytest.raises(AttributeError, match="attribute syncc"):
            avalign.syncc  # noqa: B018
        assert not hasattr(avalign, "os")
        assert set(avalign.__all__) <= set(dir(avalign))

    def test_importing_avalign_imports_nothing_else(self):
        code = (
            "import sys; before = set(sys.modules); import avalign;"
            "print(*sorted(m for m in set(sys.modules) - before))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        packages = {m.split(".")[0] for m in done.stdout.split()}
        assert packages <= {"avalign", "importlib", "lazy_loader", "warnings", *PARSER}

    def test_errors_survive_a_worker_process(self):
        import pickle

        error = pickle.loads(pickle.dumps(NoAnswerError("no face", "turn round")))
        assert (error.message, error.hint, error.exit_code) == ("no face", "turn round", 4)


# What reads the stub of a room; lazy_loader before 0.6 has a lock of its own.
PARSER = {"_ast", "ast", "threading", "_weakrefset"}


def described(function):
    """The text of each parameter of a docstring, by name."""
    section = re.search(
        r"Parameters\n-+\n(.*?)\n\n(?:[A-Z]\w+\n-+|\Z)", inspect.getdoc(function), re.DOTALL
    )[1]
    entries = re.findall(r"^(\w.*)((?:\n(?: +.*)?)*)", section, re.MULTILINE)
    return {head.partition(" :")[0]: (head, body) for head, body in entries}


def test_verbs_say_the_same_of_the_parameters_they_share():
    shared = (
        avalign.extract,
        verbs.measure,
        verbs.check,
        verbs.sync,
        verbs.repair,
        avalign.check_many,
    )
    told = {}
    for verb in shared:
        for name, text in described(verb).items():
            told.setdefault(name, {}).setdefault(text, []).append(verb.__name__)
    tracks = ("video_track", "audio_track", "channel")
    for name in ("path", "tolerance", "max_lag_s", "audio", *tracks, "overwrite"):
        assert len(told[name]) == 1, told[name]
    assert described(avalign.extract)["jobs"] == described(verbs.measure)["jobs"]
    # Whoever only points elsewhere names every parameter that is there.
    for verb in (verbs.check, verbs.sync):
        listed = ", ".join(described(verb)).split(", ")
        assert set(listed) == set(inspect.signature(verb).parameters)


def test_sync_opens_its_input_for_probing_once(tmp_path, one_face, monkeypatch):
    from avalign.media.reading import probe as probing

    clip = late(tmp_path / "late.mp4", 0.3)
    probed, real = [], probing.probe

    def counted(path):
        probed.append(Path(path).name)
        return real(path)

    for module in (probing, avalign.media):
        monkeypatch.setattr(module, "probe", counted)
    assert verbs.sync(clip).output is not None
    assert probed.count("late.mp4") == 1
