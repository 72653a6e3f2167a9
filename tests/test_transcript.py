"""Transcripts: what files say is what is read, and words land where they are said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avalign.errors import AvalignError, MediaError, ParameterError
from avalign.transcript import (
    Transcript,
    Word,
    read_transcript,
    transcript_stream,
    write_srt,
)

CLIPS = os.environ.get("AVALIGN_CLIPS")
GRID = """0 17000 sil
17000 23250 place
23250 30000 blue
30000 30500 sp
30500 49500 now
49500 74500 sil
"""


def file_of(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_grid_words_have_times_in_seconds_and_silences_are_left_out(tmp_path):
    transcript = read_transcript(file_of(tmp_path, "bbaf2n.align", GRID))
    assert transcript.words == (
        Word("place", 0.68, 0.93),
        Word("blue", 0.93, 1.2),
        Word("now", 1.22, 1.98),
    )
    assert transcript.source == "bbaf2n.align"
    assert transcript.text == "place blue now"
    assert transcript.has_times
    assert len(transcript) == 3


@pytest.mark.skipif(not CLIPS, reason="AVALIGN_CLIPS does not name the folder of real clips")
def test_every_real_grid_file_is_a_sentence_of_six_words():
    files = sorted((Path(CLIPS) / "grid_s1").glob("*.align"))
    assert len(files) > 100
    for file in files:
        transcript = read_transcript(file)
        assert len(transcript) == 6
        # The file's name spells the sentence by the first letters of its words.
        command, colour, preposition, letter, digit, adverb = file.stem
        said = [word.text for word in transcript.words]
        assert [text[0] for text in said[:4]] == [command, colour, preposition, letter]
        assert said[4] in {"z": ["zero"], "1": ["one"]}.get(digit, said)
        assert said[5][0] == adverb
        assert 0 < transcript.words[0].start_s < transcript.words[-1].end_s < 3.1


def test_the_time_of_a_cue_is_shared_by_the_length_of_its_words(tmp_path):
    text = (
        "\ufeff1\r\n00:00:01,000 --> 00:00:02,500 X1:40\r\n<i>set {\\an8}blue</i>\r\nby\r\n\r\n"
        "2\r\n01:00:00.5 --> 01:00:01.25\r\n42\r\n"
    )
    transcript = read_transcript(file_of(tmp_path, "film.srt", text))
    assert [word.text for word in transcript.words] == ["set", "blue", "by", "42"]
    assert [word.start_s for word in transcript.words] == pytest.approx(
        [1.0, 1.5, 1 + 1.5 * 7 / 9, 3600.5]
    )
    assert [word.end_s for word in transcript.words] == pytest.approx(
        [1.5, 1 + 1.5 * 7 / 9, 2.5, 3601.25]
    )


def test_cues_that_overlap_take_turns(tmp_path):
    text = (
        "1\n00:00:02,000 --> 00:00:03,000\nlater\n\n2\n00:00:01,000 --> 00:00:02,500\nsooner\n"
    )
    assert read_transcript(file_of(tmp_path, "a.srt", text)).text == "sooner later"


def test_plain_text_has_words_without_times(tmp_path):
    transcript = read_transcript(file_of(tmp_path, "a.txt", "bin blue\n\tat  é\n"))
    assert transcript.words == (Word("bin"), Word("blue"), Word("at"), Word("é"))
    assert not transcript.has_times


def test_an_empty_file_is_an_empty_transcript(tmp_path):
    for name in ("a.txt", "a.srt", "a.align"):
        # Files of no bytes at all are refused where every file is opened.
        assert read_transcript(file_of(tmp_path, name, "\n")).words == ()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.align", "0 17000\n", "line 1: expected 'start end word'"),
        ("a.align", "0 10 sil\n5 x word\n", "line 2: expected"),
        ("a.align", "-5 10 word\n", "line 1: expected"),
        ("a.align", f"{'9' * 400} {'9' * 401} word\n", "line 1: expected"),
        ("a.align", "20 10 word\n", "line 1: time runs backwards"),
        ("a.align", "20 30 bin\n10 40 blue\n", "line 2: time runs backwards"),
        ("a.srt", "hello\n", "line 1: 'hello' belongs to no cue"),
        ("a.srt", "1\n00:01 --> 00:02\nhi\n", "line 2: not the times of a cue"),
        ("a.srt", "1\n00:00:02,0 --> 00:00:01,0\nhi\n", "line 2: the cue ends before"),
        ("a.txt", b"caf\xe9", "byte 3 is 0xe9"),
        ("a.txt", b"a\0b", "holds zero bytes"),
        ("a.txt", b"a " * 2_200_000, "larger than 4 MiB"),
    ],
)
def test_a_file_that_is_no_transcript_is_refused_with_the_place(tmp_path, name, content, says):
    path = file_of(tmp_path, name, content)
    with pytest.raises(MediaError, match=says):
        read_transcript(path)


def test_an_unknown_ending_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ParameterError, match=r"do not end in '\.doc'"):
        read_transcript(tmp_path / "a.doc")
    with pytest.raises(MediaError, match="absent"):
        read_transcript(tmp_path / "absent.txt")


@given(st.binary(max_size=200), st.sampled_from([".align", ".srt", ".txt"]))
def test_hostile_bytes_are_read_or_refused_and_nothing_else(tmp_path_factory, data, ending):
    path = file_of(tmp_path_factory.mktemp("hostile"), f"a{ending}", data)
    try:
        transcript = read_transcript(path)
    except AvalignError:
        return
    assert all(word.text for word in transcript.words)


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", categories=["L"]), min_size=1, max_size=5),
            st.integers(0, 4_000_000),
        ),
        max_size=6,
    )
)
def test_subtitles_come_back_to_the_millisecond(tmp_path_factory, gaps):
    words, now_ms = [], 0
    for text, gap_ms in gaps:
        words.append(Word(text, now_ms / 1000, (now_ms + gap_ms) / 1000))
        now_ms += gap_ms
    path = tmp_path_factory.mktemp("srt") / "a.srt"
    write_srt(Transcript(tuple(words)), path)
    if not words:
        assert path.read_bytes() == b""
        return
    back = read_transcript(path).words
    assert [word.text for word in back] == [word.text for word in words]
    for word, same in zip(words, back, strict=True):
        assert (same.start_s, same.end_s) == pytest.approx((word.start_s, word.end_s))


def test_subtitles_are_the_bytes_that_players_expect(tmp_path):
    transcript = Transcript((Word("bin", -0.01, 0.5), Word("é", 3661.0, 3661.2)))
    write_srt(transcript, tmp_path / "a.srt")
    assert (tmp_path / "a.srt").read_text("utf-8") == (
        "1\n00:00:00,000 --> 00:00:00,500\nbin\n\n2\n01:01:01,000 --> 01:01:01,200\né\n"
    )
    with pytest.raises(MediaError, match="exists already"):
        write_srt(transcript, tmp_path / "a.srt")
    write_srt(Transcript((Word("new", 0, 1),)), tmp_path / "a.srt", overwrite=True)
    assert read_transcript(tmp_path / "a.srt").text == "new"


def test_words_without_times_are_not_written_or_put_on_a_clock(tmp_path):
    transcript = Transcript((Word("bin", 0, 1), Word("blue")))
    with pytest.raises(ParameterError, match=r"'blue' has no time.*align"):
        write_srt(transcript, tmp_path / "a.srt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ParameterError, match=r"'blue' has no time.*align"):
        transcript_stream(transcript, np.arange(3.0))


def test_json_holds_what_is_known():
    transcript = Transcript((Word("bin", 0.5, 1.0, 0.9), Word("blue")))
    assert json.loads(json.dumps(transcript.as_dict())) == {
        "text": "bin blue",
        "words": [
            {"text": "bin", "start_s": 0.5, "end_s": 1.0, "confidence": 0.9},
            {"text": "blue", "start_s": None, "end_s": None, "confidence": None},
        ],
    }


@pytest.mark.parametrize(
    "arguments",
    [("",), ("two words",), ("a", 1.0), ("a", 2.0, 1.0), ("a", 0.0, np.nan), ("a", -np.inf, 0)],
)
def test_a_word_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(ParameterError):
        Word(*arguments)


def test_words_out_of_order_are_refused():
    with pytest.raises(ParameterError, match=r"'a' starts at 1\.0 s, before 'b' at 2\.0 s"):
        Transcript((Word("b", 2.0, 3.0), Word("x"), Word("a", 1.0, 4.0)))


CLOCK_S = np.arange(20) / 10


def test_characters_are_one_hot_in_their_part_of_the_word():
    stream = transcript_stream(
        Transcript((Word("Aé", 0.45, 0.85),)), CLOCK_S, spread_s=0.0, feature="characters"
    )
    assert stream.kind == "text"
    assert stream.values.shape == (20, 39)
    assert stream.valid.all()
    np.testing.assert_array_equal(stream.times_s, CLOCK_S)
    said = stream.values.argmax(axis=1).tolist()
    # "a" is column 0, what is no plain letter column 37, silence the last.
    assert said == [38] * 5 + [0] * 2 + [37] * 2 + [38] * 11
    np.testing.assert_array_equal(stream.values.sum(axis=1), 1.0)


def test_a_word_spreads_beyond_its_times_and_fades():
    stream = transcript_stream(
        Transcript((Word("i", 0.5, 1.0),)), CLOCK_S, spread_s=0.2, feature="characters"
    )
    column = stream.values[:, "abcdefghi".index("i")]
    np.testing.assert_allclose(
        column[2:14], [0, 0, 0.5, 1, 1, 1, 1, 1, 1, 0.5, 0, 0], atol=1e-6
    )
    np.testing.assert_allclose(stream.values.sum(axis=1), 1.0, atol=1e-6)


def test_words_that_meet_share_the_row():
    words = Transcript((Word("a", 0.0, 0.5), Word("b", 0.5, 1.0)))
    row = transcript_stream(words, [0.5], spread_s=0.1).values[0]
    assert row[:3].tolist() == [0.5, 0.5, 0.0]
    assert row[-1] == 0.0


def test_hashed_words_are_alike_where_the_spelling_is():
    def row(text: str) -> np.ndarray:
        words = Transcript((Word(text, 0.0, 1.0),))
        values = transcript_stream(words, [0.5], feature="words", dim=256).values
        assert values.shape == (1, 257)
        return values[0, :256]

    assert np.linalg.norm(row("happy")) == pytest.approx(1.0)
    np.testing.assert_array_equal(row("happy"), row("HAPPY"))
    assert row("happy") @ row("happily") > 0.3
    assert abs(row("happy") @ row("seven")) < 0.2


def test_hashes_do_not_change_between_runs():
    words = Transcript((Word("a", 0.0, 1.0),))
    values = transcript_stream(words, [0.5], feature="words", dim=8).values[0]
    # BLAKE2b of "<a>" is what models were trained with: its bits choose column and sign.
    assert values.tolist() == [0, 0, -1, 0, 0, 0, 0, 0, 0]


def test_an_empty_transcript_is_silence():
    values = transcript_stream(Transcript(()), CLOCK_S).values
    assert (values[:, -1] == 1).all()
    assert not values[:, :-1].any()


@pytest.mark.parametrize(
    ("clock", "options", "says"),
    [
        ([0.0, 0.0], {}, "increasing"),
        ([[0.0]], {}, "increasing"),
        ([np.nan], {}, "increasing"),
        ([0.0], {"feature": "phones"}, "feature is 'phones'"),
        ([0.0], {"feature": "words", "dim": 0}, "dim is 0"),
        ([0.0], {"spread_s": -1.0}, "spread_s is -1"),
        ([0.0], {"spread_s": np.nan}, "spread_s is nan"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(clock, options, says):
    with pytest.raises(ParameterError, match=says):
        transcript_stream(Transcript((Word("a", 0, 1),)), clock, **options)
