"""Memory and time of evaluating 3,368 queries against 100,000 gallery images, on synthetic embeddings.

Each row of the table is a fresh process, so its peak is its own: resident memory at its highest, with
Python, numpy and the embeddings. The embeddings imitate persons: noise around a centre for each, a
fifth of the gallery distractors, a twentieth junk.

    python benchmarks/reid/reid_eval_memory.py
    python benchmarks/reid/reid_eval_memory.py --gallery 19732 --sizes 2048
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

PARTS = ("market", "histogram", "recall", "rerank")
LIMIT_GIB = 4.0
SEPARATION = 3.2  # similarity of two images of a person, in standard deviations of that of strangers


def synthetic_set(images: int, size: int, persons: int, seed: int):
    """Unit rows, person ids and camera ids."""
    import numpy as np

    # Alike persons stand as far out of strangers in any number of dimensions.
    noise = (size**0.5 / SEPARATION - 1) ** 0.5

    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((persons + 1, size), dtype=np.float32)
    pids = rng.integers(1, persons + 1, images)
    if seed != 1:  # a gallery
        kind = rng.random(images)
        pids[kind < 0.25] = 0
        pids[kind < 0.05] = -1
    embeddings = np.empty((images, size), np.float32)
    for start in range(0, images, 4096):
        rows = pids[start : start + 4096]
        block = noise * rng.standard_normal((len(rows), size), dtype=np.float32)
        block[rows > 0] += centres[rows[rows > 0]]
        embeddings[start : start + 4096] = block / np.linalg.norm(block, axis=1, keepdims=True)
    return embeddings, pids, rng.integers(1, 7, images)


def measure(part: str, size: int, queries: int, gallery: int) -> dict[str, object]:
    """One part of an evaluation, with its figures."""
    import numpy as np

    from reid_train.evaluation.figures import distance_histogram, market_figures, recall_at
    from reid_train.evaluation.ranking import GalleryRules, rank_queries
    from reid_train.evaluation.reranking import ReRanker

    persons = 1500
    query_rows, query_pids, query_camids = synthetic_set(queries, size, persons, 1)
    rows, pids, camids = synthetic_set(gallery, size, persons, 2)
    started, cpu = time.perf_counter(), time.process_time()
    if part == "market":
        figures = market_figures(query_rows, query_pids, query_camids, rows, pids, camids)
        outcome = f"rank-1 {figures.rank1:.1%}, mAP {figures.mean_ap:.1%}"
    elif part == "histogram":
        rules = GalleryRules(query_pids, query_camids, pids, camids)
        histogram = distance_histogram(query_rows, rows, rules)
        outcome = f"{histogram.same_pairs + histogram.different_pairs:,} pairs"
    elif part == "recall":
        outcome = f"Recall@1 {recall_at(rows, pids):.1%}"
    else:
        kept = np.flatnonzero(pids != -1)
        together = np.concatenate([query_rows, rows[kept]])
        del query_rows, rows
        reranker = ReRanker(together)
        columns = np.arange(len(kept)) + queries
        rules = GalleryRules(query_pids, query_camids, pids[kept], camids[kept])
        ranks = rank_queries(lambda chosen: -reranker.distances(chosen, columns), rules, len(kept))
        figures = ranks.figures()
        outcome = f"rank-1 {figures.rank1:.1%}, mAP {figures.mean_ap:.1%}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "gib": peak / 2**20 if sys.platform != "darwin" else peak / 2**30,
        "outcome": outcome,
    }


def main() -> int:
    """Print a table; exit code 1 when a part needs more than the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--queries", type=int, default=3368)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512], help="embedding sizes")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        part, size = options.child
        print(json.dumps(measure(part, int(size), options.queries, options.gallery)))
        return 0
    print(f"{options.queries:,} queries, {options.gallery:,} gallery images; limit {LIMIT_GIB:g} GiB\n")
    print("| part | embedding | peak GiB | CPU s | wall s | outcome |\n|---|---|---|---|---|---|")
    worst = 0.0
    for size in options.sizes:
        for part in options.parts:
            sizes = ["--queries", str(options.queries), "--gallery", str(options.gallery)]
            command = [
                sys.executable,
                __file__,
                *sizes,
                "--child",
                part,
                str(size),
            ]
            row = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            worst = max(worst, row["gib"])
            print(
                f"| {part} | {size} | {row['gib']:.2f} | {row['cpu_seconds']:.0f} | "
                f"{row['seconds']:.0f} | {row['outcome']} |",
                flush=True,
            )
    return int(worst > LIMIT_GIB)


if __name__ == "__main__":
    sys.exit(main())
