"""Two streams in the shared space, and the path that lines them up."""

from avalign.align.canonical_warping import CanonicalWarping, canonical_time_warping
from avalign.align.clip import (
    ANSWER_CONFIDENCE,
    REPAIR_CONFIDENCE,
    VERDICT_CONFIDENCE,
    ClipAlignment,
    align_streams,
)
from avalign.align.common_space import level_db
from avalign.align.confidence import Calibration, load_calibration
from avalign.align.evidence import Evidence, gather_evidence
from avalign.align.lag import in_sync_probability, may_be_in_sync, rigid_alignment
from avalign.align.pairs import (
    MATCH_CONFIDENCE,
    EmbeddedPair,
    exchange_other,
    pair_lips,
    pair_sounds,
)
from avalign.align.recordings import WarpModel, align_pair, lag_map, residuals_s
from avalign.align.segments import (
    Segment,
    active_segments,
    match_segments,
    mouth_movement,
)
from avalign.align.similarity import nearest_rows, similarity_matrix, similarity_path
from avalign.align.voices import assign_voices, voice_evidence

__all__ = [
    "ANSWER_CONFIDENCE",
    "MATCH_CONFIDENCE",
    "REPAIR_CONFIDENCE",
    "VERDICT_CONFIDENCE",
    "Calibration",
    "CanonicalWarping",
    "ClipAlignment",
    "EmbeddedPair",
    "Evidence",
    "Segment",
    "WarpModel",
    "active_segments",
    "align_pair",
    "align_streams",
    "assign_voices",
    "canonical_time_warping",
    "exchange_other",
    "gather_evidence",
    "in_sync_probability",
    "lag_map",
    "level_db",
    "load_calibration",
    "match_segments",
    "may_be_in_sync",
    "mouth_movement",
    "nearest_rows",
    "pair_lips",
    "pair_sounds",
    "residuals_s",
    "rigid_alignment",
    "similarity_matrix",
    "similarity_path",
    "voice_evidence",
]
