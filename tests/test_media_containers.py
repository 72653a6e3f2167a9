"""What each container can hold: the rest is encoded again, or refused before it is lost."""

import pytest
from media import Recipe, lag_of, make_clip

from avalign.errors import MediaError, ParameterError
from avalign.media import iter_frames, shift_audio


def test_ten_channels_are_encoded_again_as_something_that_plays(tmp_path):
    source = make_clip(tmp_path / "clip.mkv", Recipe(layout="9.1.4", audio_codec="pcm_s16le"))
    output = tmp_path / "out.mp4"
    result = shift_audio(source, output, audio_lag_s=0.2)
    assert lag_of(output) == pytest.approx(-0.2, abs=0.002)
    assert result.path.exists()


@pytest.mark.parametrize(
    ("suffix", "pictures", "sound"),
    [
        (".ts", "libx264", "flac"),
        (".ts", "mpeg2video", "pcm_s16le"),
        (".mpg", "mpeg2video", "aac"),
    ],
)
def test_sound_that_would_not_be_read_back_is_encoded_again(tmp_path, suffix, pictures, sound):
    source = make_clip(
        tmp_path / "clip.mkv", Recipe(video_codec=pictures, audio_codec=sound, rate_hz=44100)
    )
    output = tmp_path / f"out{suffix}"
    result = shift_audio(source, output, audio_lag_s=0.2)
    (note,) = result.notes
    assert result.method == "re-encoded"
    assert "encoded again, as mp2" in note
    assert lag_of(output) - lag_of(source) == pytest.approx(-0.2, abs=0.002)


@pytest.mark.parametrize(
    ("suffix", "pictures"),
    [(".ts", "libvpx-vp9"), (".m2ts", "mpeg4"), (".mpg", "libx264"), (".wmv", "libx264")],
)
def test_pictures_that_would_not_be_read_back_are_refused(tmp_path, suffix, pictures):
    source = make_clip(tmp_path / "clip.mkv", Recipe(video_codec=pictures))
    with pytest.raises(MediaError, match=r"cannot hold .* pictures .write an \.mkv"):
        shift_audio(source, tmp_path / f"out{suffix}", audio_lag_s=0.1)
    assert list(tmp_path.iterdir()) == [source]


def test_mxf_is_repaired_as_mov(tmp_path):
    recipe = Recipe(format="mxf", video_codec="mpeg2video", audio_codec="pcm_s16le")
    source, output = make_clip(tmp_path / "clip.mxf", recipe), tmp_path / "out.mov"
    with pytest.raises(ParameterError, match=r"-o clip\.mov"):
        shift_audio(source, tmp_path / "out.mxf", audio_lag_s=0.1)
    assert shift_audio(source, output, audio_lag_s=0.1).method == "copied"
    assert lag_of(output) - lag_of(source) == pytest.approx(-0.1, abs=0.002)


def test_a_raw_stream_without_a_clock_is_refused(tmp_path):
    source = make_clip(tmp_path / "raw.h264", Recipe(format="h264"), sound=False)
    sound = make_clip(tmp_path / "sound.wav", Recipe(audio_codec="pcm_s16le"), picture=False)
    with pytest.raises(MediaError, match=r"no times .put them into a container first"):
        shift_audio(source, tmp_path / "out.mp4", audio_lag_s=0.1, audio_file=sound)


@pytest.mark.parametrize("b_frames", [0, 2])
def test_pictures_out_of_order_stay_in_avi(tmp_path, b_frames):
    recipe = Recipe(video_codec="libx264", b_frames=b_frames)
    source, output = make_clip(tmp_path / "clip.avi", recipe), tmp_path / "out.mp4"
    if b_frames:
        with pytest.raises(MediaError, match="stored out of order"):
            shift_audio(source, output, audio_lag_s=0.1)
        output = tmp_path / "out.avi"
    shift_audio(source, output, audio_lag_s=0.1)
    assert lag_of(output) - lag_of(source) == pytest.approx(-0.1, abs=0.003)
    assert len(list(iter_frames(output))) == len(list(iter_frames(source)))


@pytest.mark.parametrize("b_frames", [0, 2])
def test_old_pictures_keep_their_order_where_only_decoding_times_are_told(tmp_path, b_frames):
    recipe = Recipe(b_frames=b_frames, video_codec="mpeg4")
    source, output = make_clip(tmp_path / "clip.mkv", recipe), tmp_path / "out.wmv"
    shift_audio(source, output, audio_lag_s=0.1)
    assert lag_of(output) - lag_of(source) == pytest.approx(-0.1, abs=0.003)
    assert len(list(iter_frames(output))) == len(list(iter_frames(source)))
