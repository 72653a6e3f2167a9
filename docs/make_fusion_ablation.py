"""Make docs/fusion-ablation.md, its figure and the ranks anew, from what was measured.

    python docs/make_fusion_ablation.py FOLDER/results.json

`python -m benchmarks fusion` writes the results. Run docs/make_methods.py afterwards: the
page of the methods shows the ranks.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.fusion.figure import draw  # noqa: E402 (the benchmarks are not installed)
from benchmarks.fusion.page import page, ranks  # noqa: E402


def main(results_path: str, root: Path = ROOT) -> int:
    """Write the page, the figure and the ranks; return 0."""
    results = json.loads(Path(results_path).read_text(encoding="utf-8"))
    (root / "docs" / "fusion-ablation.md").write_text(page(results), encoding="utf-8")
    draw(results, root / "docs" / "images" / "fusion-ablation.png")
    told = json.dumps(ranks(results), indent=1) + "\n"
    (root / "avalign" / "fusion" / "ranks.json").write_text(told, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
