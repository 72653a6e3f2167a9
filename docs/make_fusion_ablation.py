"""Make docs/fusion-ablation.md, its figure and the ranks anew, from what was measured.

    python docs/make_fusion_ablation.py FOLDER/results.json [OTHER/results.json ...]

`python -m benchmarks fusion` writes the results; those of other corpora follow those of the
first, in short. Run docs/make_methods.py afterwards: the
page of the methods shows the ranks.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.fusion.figure import draw  # noqa: E402 (the benchmarks are not installed)
from benchmarks.fusion.page import other_corpus, page, ranks  # noqa: E402


def main(*paths: str, root: Path = ROOT) -> int:
    """Write the page, the figure and the ranks; return 0."""
    results, *others = (json.loads(Path(path).read_text(encoding="utf-8")) for path in paths)
    written = "\n".join([page(results), *map(other_corpus, others)])
    (root / "docs" / "fusion-ablation.md").write_text(written, encoding="utf-8")
    draw(results, root / "docs" / "images" / "fusion-ablation.png")
    told = json.dumps(ranks(results), indent=1) + "\n"
    (root / "avalign" / "fusion" / "ranks.json").write_text(told, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
