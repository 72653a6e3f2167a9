"""Of several pictures, sounds and channels, the one with a face and the one with speech."""

import json
import re

import av
import numpy as np
import pytest
from avalign_cli.main import main
from media import Recipe, lag_of, make_clip
from several import (
    FACE,
    NO_FACE,
    build,
    music,
    noise,
    programmes,
    silence,
    time_code,
    voice,
    with_unknown_picture,
    with_unknown_sound,
)

import avalign
from avalign import verbs
from avalign.errors import MediaError, ParameterError
from avalign.media import probe, read_audio, shift_audio
from avalign.media import programmes as programmes_of
from avalign.streams.choice import choose_tracks

LATE_MS = 200


def eight():
    soft = noise(0.001)
    return [soft, silence(), voice(), soft, silence(), silence(), silence(), noise()]


def face_and_programme(path):
    """Say which tracks belong to the programme with the face, whatever order FFmpeg likes."""
    (own,) = (each for each in programmes_of(path) if each.number == 2)
    return own.video_tracks[0], own.audio_tracks[0], None


def two_programmes(path):
    return programmes(path, [((NO_FACE,), (music(),)), ((FACE,), (voice(),))])


CASES = {
    "programmes.ts": (two_programmes, face_and_programme),
    "eight.mov": (lambda path: build(path, sounds=eight(), codec="pcm_s24le"), (None, 2, None)),
    "eight.mxf": (lambda path: build(path, sounds=eight(), codec="pcm_s16le"), (None, 2, None)),
    "eight.mkv": (lambda path: build(path, sounds=eight(), codec="pcm_s16le"), (None, 2, None)),
    "silent.mp4": (
        lambda path: build(path, sounds=[np.stack([silence()] * 2), voice()]),
        (None, 1, None),
    ),
    "noise.mp4": (lambda path: build(path, sounds=[noise(), voice()]), (None, 1, None)),
    "music.mp4": (lambda path: build(path, sounds=[music(), voice()]), (None, 1, None)),
    "second.mp4": (lambda path: build(path, (NO_FACE, FACE), [voice()]), (1, None, None)),
    "right.mp4": (
        lambda path: build(path, sounds=[np.stack([time_code(), voice()])]),
        (None, None, 1),
    ),
    "centre.mp4": (
        lambda path: build(
            path,
            sounds=[np.stack([music(), music(1), voice(), silence(), music(2), music(3)])],
            layouts={0: "5.1"},
        ),
        (None, None, 2),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_face_and_the_voice_are_found(tmp_path, name):
    make, expected = CASES[name]
    path = make(tmp_path / name)
    if callable(expected):
        expected = expected(path)
    report = verbs.check(path)
    assert (report.video_track, report.audio_track, report.channel) == expected
    assert report.audio_lag_ms == pytest.approx(LATE_MS, abs=25)
    assert report.notes  # there was a choice, and it is told
    plain = avalign.to_dict(report)
    assert [plain[key] for key in ("video_track", "audio_track", "channel")] == list(expected)
    assert plain["notes"] == list(report.notes)


@pytest.mark.parametrize("channels", [1, 2])
def test_where_there_is_no_choice_nothing_is_told_and_next_to_nothing_read(
    tmp_path, monkeypatch, channels
):
    path = build(tmp_path / "plain.mp4", sounds=[np.stack([voice()] * channels)])
    monkeypatch.setattr("avalign.audio.speech_activity", None)  # would not be called
    monkeypatch.setattr("avalign.vision.FaceFinder", None)
    if channels == 1:
        monkeypatch.setattr("avalign.media.iter_channels", None)
    tracks = choose_tracks(probe(path))
    assert (tracks.video, tracks.audio.track, tracks.audio.channel) == (0, 0, None)
    assert tracks.notes == tracks.others == ()


@pytest.mark.slow
def test_named_tracks_are_obeyed_and_the_reason_names_the_others(tmp_path):
    path = build(tmp_path / "two.mkv", (NO_FACE, FACE), [silence(), voice()])
    report = verbs.check(path, video_track=0, audio_track=1)
    assert (report.video_track, report.audio_track) == (0, 1)
    assert "picture track 1 has a face: try --video-track 1" in report.reason
    report = verbs.check(path, video_track=1, audio_track=0)
    assert (report.video_track, report.audio_track) == (1, 0)
    assert "sound track 1 has speech: try --audio-track 1" in report.reason
    assert verbs.check(path, video_track=1, audio_track=1).reason is None
    for wrong in ({"video_track": 2}, {"audio_track": 2}, {"channel": 1}):
        with pytest.raises(ParameterError, match="no "):
            verbs.check(path, **wrong)


@pytest.mark.slow
def test_a_named_channel_is_read_alone(tmp_path):
    path = build(tmp_path / "two.mkv", sounds=[np.stack([voice(), noise()])], codec="pcm_s16le")
    left, both = read_audio(path, channel=0), read_audio(path)
    heard = read_audio(FACE).samples
    assert np.corrcoef(left.samples[3200:], heard[: len(left.samples) - 3200])[0, 1] > 0.99
    assert np.corrcoef(both.samples[3200:], heard[: len(both.samples) - 3200])[0, 1] < 0.9
    report = verbs.check(path, channel=1)
    assert report.channel == 1
    assert "channel 0 has speech: try --channel 0" in report.reason


def test_a_commentary_is_not_taken_for_the_scene(tmp_path):
    talk = voice()
    path = build(
        tmp_path / "film.mkv",
        sounds=[np.roll(talk, 100_000), talk],
        dispositions={0: av.stream.Disposition.comment, 1: av.stream.Disposition.default},
    )
    tracks = choose_tracks(probe(path))
    assert tracks.audio.track == 1
    assert "there is speech on track 0, too" in tracks.audio_note


@pytest.mark.slow
def test_everything_after_the_choice_keeps_to_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = build(tmp_path / "two.mp4", (NO_FACE, FACE), [noise(), voice()])
    assert main(["sync", "two.mp4", "--json", "--overlay", "drawn.mp4"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["video_track"], told["audio_track"]) == (1, 1)
    assert abs(told["residual_ms"]) < 15
    assert any("--move-track 1 moves that one alone" in note for note in told["notes"])
    assert len(probe("two.synced.mp4").video_tracks) == 2
    # Drawn on the face's picture, not on the first.
    shown, face = (next(avalign.media.iter_frames(name)) for name in ("drawn.mp4", FACE))
    side = shown.image.shape[1]
    pixels = np.linspace(0, side - 1, face.image.shape[0]).astype(int)
    drawn = shown.image[np.ix_(pixels, pixels)]
    assert np.corrcoef(drawn.ravel(), face.image.ravel())[0, 1] > 0.8
    streams = avalign.extract(path)
    assert streams.lips
    assert float((streams.speech.values > 0.5).mean()) > 0.3


@pytest.mark.slow
def test_one_track_can_be_moved_alone(tmp_path):
    path = build(tmp_path / "two.mkv", sounds=[voice(0.0), voice(0.3)], codec="pcm_s16le")
    output = tmp_path / "out.mkv"
    (note,) = verbs.sync(path, audio_track=1, dry_run=True).notes
    assert re.fullmatch(
        r"all sound tracks are moved, though track 0 is \d+ ms (late|early); "
        "--move-track 1 moves that one alone",
        note,
    )
    report = verbs.sync(path, output, move_track=1)
    assert report.audio_track == 1
    assert report.audio_lag_ms == pytest.approx(300, abs=25)
    assert abs(report.residual_ms) < 15
    before, after = (read_audio(each, track=0).samples for each in (path, output))
    np.testing.assert_array_equal(before, after[: len(before)])
    with pytest.raises(ParameterError, match="no sound track 2"):
        verbs.sync(path, tmp_path / "b.mkv", move_track=2)


@pytest.mark.slow
def test_programmes_that_become_one_are_told(tmp_path):
    path = two_programmes(tmp_path / "two.ts")
    report = verbs.sync(path)
    assert abs(report.residual_ms) < 15
    assert "the tracks of its 2 programmes were put into one" in report.notes
    before, after = probe(path), probe(report.output)
    assert len(after.video_tracks) == len(before.video_tracks) == 2
    assert len(after.audio_tracks) == len(before.audio_tracks) == 2


@pytest.mark.slow
@pytest.mark.parametrize("unknown", [0, 1])
def test_a_sound_without_a_decoder_is_left_out_and_told(tmp_path, unknown):
    plain = build(tmp_path / "plain.mov", sounds=[voice(), voice()])
    path = with_unknown_sound(tmp_path / "phone.mov", plain, unknown)
    report = verbs.sync(path)
    assert report.audio_track == 1 - unknown
    assert abs(report.residual_ms) < 15
    assert any(f"sound track {unknown} was left out" in note for note in report.notes)
    assert len(probe(report.output).audio_tracks) == 1
    with pytest.raises(MediaError, match=rf"not known .try --audio-track {1 - unknown}"):
        verbs.check(path, audio_track=unknown)


@pytest.mark.slow
def test_a_picture_without_a_decoder_is_left_out_and_told(tmp_path):
    plain = build(tmp_path / "plain.mov", (NO_FACE, FACE), [voice()])
    path = with_unknown_picture(tmp_path / "odd.mov", plain)
    assert [track.codec for track in probe(path).video_tracks] == ["unknown", "h264"]
    report = verbs.sync(path)
    assert report.video_track == 1
    assert abs(report.residual_ms) < 15
    assert any("video stream 0 was left out" in note for note in report.notes)
    assert len(probe(report.output).video_tracks) == 1


@pytest.mark.slow
def test_what_is_only_read_is_measured_and_told_what_to_write(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    build(tmp_path / "talk.mxf", sounds=[voice()], codec="pcm_s16le")
    assert main(["sync", "-n", "talk.mxf"]) == 0
    line = capsys.readouterr().out
    assert "audio is" in line
    assert "-o talk.mov" in line
    assert "Would write" not in line
    assert verbs.sync("talk.mxf", dry_run=True).verdict == "unacceptable"
    monkeypatch.setattr("avalign.vision.lip_streams", None)  # before anything is measured
    assert main(["sync", "talk.mxf"]) == 2
    assert "-o talk.mov" in capsys.readouterr().err


@pytest.mark.slow
def test_align_takes_the_track_with_speech(tmp_path):
    camera = build(tmp_path / "camera.mp4", sounds=[noise(), voice()])
    recorder = build(tmp_path / "recorder.mka", (), [np.stack([noise(), voice(0.5)])])
    report = verbs.align_files(camera, recorder, dry_run=True)
    assert report.alignment.audio_lag_s == pytest.approx(0.3, abs=0.03)
    assert [note.split(":")[0] for note in report.notes] == [str(camera), str(recorder)]


class TestSamplesOfCameras:
    """What the source of the same family holds is copied, and read back the same."""

    @pytest.mark.parametrize("codec", ["pcm_s16be", "pcm_s24be", "pcm_s16le"])
    def test_pcm_of_an_mp4_stays(self, tmp_path, codec):
        recipe = Recipe(audio_codec=codec, format="mp4", audio_start_s=0.0)
        source = make_clip(tmp_path / "camera.MP4", recipe)
        output = tmp_path / "out.MP4"
        result = shift_audio(source, output, audio_lag_s=-0.1)
        assert (result.method, result.notes) == ("copied", ())
        assert probe(output).audio_tracks[0].codec == codec
        assert lag_of(output) - lag_of(source) == pytest.approx(0.1, abs=0.001)
        before, after = (read_audio(each, rate_hz=48000).samples for each in (source, output))
        np.testing.assert_array_equal(before, after)

    def test_quicktimes_names_of_pcm_are_put_into_the_standards(self, tmp_path):
        """A .MP4 with a sample entry of QuickTime's, as cameras write it."""
        made = make_clip(tmp_path / "made.mov", Recipe(audio_codec="pcm_s16be"))
        source = tmp_path / "camera.MP4"
        source.write_bytes(made.read_bytes().replace(b"ftypqt  ", b"ftypmp42", 1))
        with av.open(str(source)) as container:
            assert container.streams.audio[0].codec_context.codec_tag == "twos"
            picture = container.streams.video[0].codec_context.codec_tag
        output = tmp_path / "out.MP4"
        assert shift_audio(source, output, audio_lag_s=-0.1).method == "copied"
        with av.open(str(output)) as container:
            assert container.streams.video[0].codec_context.codec_tag == picture
        before, after = (read_audio(each, rate_hz=48000).samples for each in (source, output))
        np.testing.assert_array_equal(before, after)

    @pytest.mark.parametrize("suffix", [".m2ts", ".MTS"])
    def test_pcm_of_avchd_stays(self, tmp_path, suffix):
        recipe = Recipe(
            audio_codec="pcm_bluray",
            format="mpegts",
            container_options={"mpegts_m2ts_mode": "1"},
        )
        source = make_clip(tmp_path / f"camera{suffix}", recipe)
        output = tmp_path / f"out{suffix}"
        result = shift_audio(source, output, audio_lag_s=-0.1)
        assert (result.method, result.notes) == ("copied", ())
        assert probe(output).audio_tracks[0].codec == "pcm_bluray"
        assert output.read_bytes()[4] == source.read_bytes()[4] == 0x47  # a time in front
        assert lag_of(output) - lag_of(source) == pytest.approx(0.1, abs=0.001)
        before, after = (read_audio(each, rate_hz=48000).samples for each in (source, output))
        np.testing.assert_array_equal(before, after)

    @pytest.mark.parametrize("suffix", [".mkv", ".mov"])
    def test_where_it_has_another_name_no_sample_changes(self, tmp_path, suffix):
        recipe = Recipe(
            audio_codec="pcm_bluray",
            format="mpegts",
            container_options={"mpegts_m2ts_mode": "1"},
        )
        source, output = make_clip(tmp_path / "a.m2ts", recipe), tmp_path / f"out{suffix}"
        (note,) = shift_audio(source, output, audio_lag_s=-0.1).notes
        assert "nothing is lost" in note
        before, after = (read_audio(each, rate_hz=48000) for each in (source, output))
        start = round((before.start_s + 0.1 - after.start_s) * 48000)
        kept = after.samples[max(0, start) :][: len(before.samples)]
        np.testing.assert_array_equal(before.samples[: len(kept)], kept)

    def test_a_loss_is_told_with_the_ending_that_avoids_it(self, tmp_path):
        source = make_clip(tmp_path / "a.mkv", Recipe(audio_codec="pcm_s16le"))
        (note,) = shift_audio(source, tmp_path / "out.mp4", audio_lag_s=0.1).notes
        assert "as aac: mp4 cannot hold pcm_s16le sound, and a .mov can" in note


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("first", [b"moov", b"mdat"])
def test_an_index_in_front_stays_in_front(tmp_path, suffix, first):
    options = {"movflags": "faststart"} if first == b"moov" else {}
    source = make_clip(tmp_path / f"a{suffix}", Recipe(container_options=options))
    output = tmp_path / f"out{suffix}"
    shift_audio(source, output, audio_lag_s=0.1)
    for path in (source, output):
        data = path.read_bytes()
        assert min((b"moov", b"mdat"), key=data.index) == first
    assert lag_of(output) - lag_of(source) == pytest.approx(-0.1, abs=0.002)
