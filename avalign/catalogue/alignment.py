"""Rows A1 to A7: what lines two streams up."""

from avalign.catalogue.entry import Method

METHODS = (
    Method(
        "A1",
        "dtw",
        "Dynamic time warping and its kin",
        "Two recordings of the same thing at different paces, with rows that can be compared.",
        "H. Sakoe and S. Chiba, IEEE Transactions on Acoustics, Speech and Signal Processing "
        "26(1), 1978",
        "avalign.dtw:path",
        """\
import numpy as np
from avalign import dtw

seconds = np.linspace(0, 10, 300)
found = dtw.path(np.sin(seconds), np.sin(seconds + 0.3 * np.sin(seconds)), radius=40)
print(found.distance, found.path.shape)
""",
    ),
    Method(
        "A2",
        "similarity",
        "Similarity-based alignment",
        "Rows live in one space already, and each has a clear partner.",
        "M. Müller, Information Retrieval for Music and Motion, Springer 2007, chapter 4",
        "avalign.align:similarity_path",
        """\
import numpy as np
from avalign.align import nearest_rows, similarity_path

rows = np.random.default_rng(0).normal(size=(40, 6))
print(nearest_rows(rows, rows[::-1])[:3])  # 39, 38, 37
print(similarity_path(rows, np.repeat(rows, 2, axis=0)).path[:4])
""",
    ),
    Method(
        "A3",
        "segment_graph",
        "Graph-based alignment of segments",
        "Streams lie far apart in time, or pauses tell more than rows do.",
        "S. B. Needleman and C. D. Wunsch, Journal of Molecular Biology 48(3), 1970",
        "avalign.align:match_segments",
        """\
from avalign.align import Segment, match_segments

speech = [Segment(0.0, 0.5), Segment(1.0, 1.8), Segment(3.0, 3.2)]
mouth = [Segment(7.0, 7.5), Segment(10.0, 10.2)]  # the middle one was not seen
print(match_segments(speech, mouth))  # ((0, 0), (2, 1))
""",
    ),
    Method(
        "A4",
        "speaker_assignment",
        "Spatial alignment: which face belongs to which voice",
        "Several people are seen, and several voices recorded.",
        "H. W. Kuhn, Naval Research Logistics Quarterly 2, 1955",
        "avalign.align:assign_voices",
        """\
import numpy as np
from avalign.align import assign_voices

evidence = np.array([[9.0, 1.0], [2.0, 7.0], [0.5, 0.4]])  # faces by voices
print(assign_voices(evidence))
""",
    ),
    Method(
        "A5",
        "forced_alignment",
        "Transcript alignment: CTC forced alignment",
        "The text is known, and the time of each word is wanted.",
        "L. Kürzinger et al., SPECOM 2020",
        "avalign.recognition.ctc.forced_alignment:align_transcript",
        """\
import numpy as np
from avalign.recognition.ctc.alphabet import Alphabet
from avalign.recognition.ctc.forced_alignment import align_transcript

emitted = np.full((6, 3), 0.05)  # blank, a, b
emitted[np.arange(6), [0, 1, 0, 0, 2, 0]] = 0.9
words = align_transcript(np.log(emitted), np.arange(6) / 50, "ab", Alphabet("ab")).words
print(words[0].start_s, words[0].end_s)
""",
    ),
    Method(
        "A6",
        "canonical_warping",
        "Canonical time warping",
        "Streams have no columns in common, and run at different paces.",
        "F. Zhou and F. de la Torre, NIPS 2009",
        "avalign.align:canonical_time_warping",
        """\
import numpy as np
from avalign.align import canonical_time_warping

generator = np.random.default_rng(0)
hidden = np.cumsum(generator.normal(size=(80, 2)), axis=0)
x = hidden @ generator.normal(size=(2, 5))
y = np.repeat(hidden, 2, axis=0) @ generator.normal(size=(2, 4))
print(canonical_time_warping(x, y).path[:5])
""",
    ),
    Method(
        "A7",
        "attention_lag",
        "Soft attention as alignment",
        "A cross-attention model is there, and the lag that it has learnt is wanted.",
        "D. Bahdanau, K. Cho and Y. Bengio, ICLR 2015",
        "avalign.fusion:attention_lag",
        """\
import numpy as np
import torch
from avalign.fusion import attention_lag

times_s = np.arange(50) / 50
attention = torch.eye(50).roll(5, dims=1)[None, None]  # each row looks 5 rows ahead
print(attention_lag(attention, times_s, times_s).lag_s)  # 0.1
""",
    ),
)
