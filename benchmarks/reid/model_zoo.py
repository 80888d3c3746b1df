"""Every figure of weights/README.md and of the model cards' section "On other data".

    python benchmarks/reid/model_zoo.py weights/* --dev data/multi --pku PKU-Reid --data shared/data
    python benchmarks/reid/model_zoo.py weights/osnet_ain_x0_5 --official Market-1501

Figures are kept in tables/NAME.json, so parts can be measured one after the other, and are measured anew when
the weights change. Then tables/zoo.md, the table in weights/README.md and the section in each MODEL_CARD.md
(with its checksum) are written from all of them. The official test is for the end: choose nothing by it.

All figures are of the exported files, as the encoder runs them. Speed is crops in a CPU second on one thread,
best of several rounds; tracking is the faithful preset on PETS09-S2L1, frames 1 to 400, public detections,
with each network's own threshold.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from reid_models import count_macs, crops_per_second
from tracker_pairs import tracker_pairs

from deepsort_paddle import AppearanceEncoder
from reid_train.config import config_from_dict
from reid_train.data.evaluation_sets import read_evaluation_set
from reid_train.evaluation.report import evaluate
from reid_train.export.export import write_checksums
from reid_train.models import parameter_count
from reid_train.training.trainer import build
from reid_train.training.transforms import Preprocessing

sys.path.append(str(Path(__file__).parents[1] / "accuracy"))
from pets09 import embedded, ours, scores

REPOSITORY = Path(__file__).resolve().parents[2]
TABLES = Path(__file__).parent / "tables"
BATCHES = (1, 16, 64)
BEGIN, END = "<!-- model_zoo.py begins -->", "<!-- model_zoo.py ends -->"
# Published, not measured here: network, input, training set, rank-1 and mAP on Market-1501's official test.
PUBLIC = (
    (
        "OSNet x1.0, from scratch ([paper](https://arxiv.org/abs/1905.00953))",
        "256 x 128",
        "Market-1501",
        93.6,
        81.0,
    ),
    ("OSNet x0.25, ImageNet start (torchreid's model zoo)", "256 x 128", "Market-1501", 91.2, 75.0),
    ("MobileNetV2 x1.0, ImageNet start (torchreid's model zoo)", "256 x 128", "Market-1501", 85.6, 67.3),
    ("OSNet-AIN x1.0 (torchreid's model zoo)", "256 x 128", "MSMT17", 70.1, 43.3),
)


def evaluation(
    encoder: AppearanceEncoder, source: Path, casts: tuple[float, ...] = (0.15, 0.3)
) -> dict[str, Any]:
    """Rank-1, mAP, Recall@1, ROC and colour casts of one set."""
    spec, data = encoder.spec, read_evaluation_set(source)
    prepare = Preprocessing(spec.height, spec.width, spec.resize_mode, spec.interpolation)
    found = evaluate(encoder, data.query, data.gallery, prepare, rerank=False, casts=casts, progress=True)
    if found.market is None or found.roc is None:
        raise SystemExit(f"{source}: nobody is in two cameras")
    return {
        "ids": found.query_ids,
        "queries": found.market.queries,
        "rank1": found.market.rank1,
        "mean_ap": found.market.mean_ap,
        "recall1": found.recall.recall1,
        "tar_at_far_0_01": found.roc.tar_at_far_0_01,
        "casts": [asdict(one) for one in found.casts],
    }


def size_and_speed(folder: Path, rounds: int) -> dict[str, Any]:
    """Parameters, multiply-adds, file size and crops per CPU second."""
    description = json.loads((folder / "encoder.json").read_text())
    config = config_from_dict(description["provenance"]["config"], folder.name)
    height, width = description["input"]["height"], description["input"]["width"]
    network = build(config)
    network.eval()
    blank = np.zeros((max(BATCHES), height, width, 3), np.uint8)
    encoder = AppearanceEncoder(folder, device="cpu", threads=1)
    speeds = [crops_per_second(encoder._predictor, blank[:batch], rounds) for batch in BATCHES]
    return {
        "model": config.model,
        "parameters": parameter_count(network),
        "macs": count_macs(network, paddle.to_tensor(blank[:1])),
        "input": [height, width],
        "embedding_size": description["output"]["embedding_size"],
        "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "threshold": description["max_cosine_distance"],
        "speed": dict(zip(map(str, BATCHES), speeds, strict=True)),
        "computed_by": encoder.computed_by,
    }


def tracking(folder: Path, pets: Path) -> dict[str, float]:
    """HOTA and IDF1 of the faithful preset."""
    encoder = AppearanceEncoder(folder, device="cpu")
    frames = list(embedded(pets, encoder, 0.3))
    with tempfile.TemporaryDirectory() as results:
        found = scores(folder.name, pets, ours(frames, encoder.max_cosine_distance, 0), Path(results))
    return {"hota": found.hota, "idf1": found.idf1}


def weights_digest(folder: Path) -> str:
    """Of the network's files; the card and the description may change."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("inference*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pair(figures: Mapping[str, Any] | None) -> str:
    """Rank-1 / mAP in percent."""
    return "-" if figures is None else f"{100 * figures['rank1']:.1f} / {100 * figures['mean_ap']:.1f}"


def under_casts(figures: Mapping[str, Any] | None) -> str:
    """Rank-1 under each cast."""
    casts = [] if figures is None else figures["casts"]
    return ", ".join(f"{100 * one['rank1']:.1f}" for one in casts) or "-"


def zoo_table(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lines of both tables: accuracy, with public networks, and cost."""
    heads = (
        *(
            "model",
            "input",
            "60 ids",
            "rank-1 under ±15 %, ±30 %",
            "PKU-Reid",
            "tracker's crops, 1 to 3 s: rank-1 / accepted",
        ),
        *("Market-1501 official", "PETS09 HOTA / IDF1"),
    )
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, of in found.items():
        size, crops, mot = of.get("size"), of.get("crops"), of.get("tracking")
        cells = (
            f"[{name}]({name}/MODEL_CARD.md)",
            "-" if size is None else "{} x {}".format(*size["input"]),
            pair(of.get("dev")),
            under_casts(of.get("dev")),
            pair(of.get("pku")),
            "-" if crops is None else f"{100 * crops['rank1']:.1f} / {100 * crops['accepted']:.1f}",
            pair(of.get("official")),
            "-" if mot is None else f"{100 * mot['hota']:.1f} / {100 * mot['idf1']:.1f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    for title, size, data, rank1, mean_ap in PUBLIC:
        lines.append(
            f"| {title}, published, trained on {data} | {size} | - | - | - | - | {rank1} / {mean_ap} | - |"
        )
    heads = (
        "model",
        "backbone",
        "parameters",
        "GMACs",
        "dimension",
        "files",
        "`max_cosine_distance`",
        "crops/s at 1, 16, 64",
    )
    lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, of in found.items():
        if (size := of.get("size")) is not None:
            cells = (
                name,
                size["model"],
                f"{size['parameters'] / 1e6:.2f} M",
                f"{size['macs'] / 1e9:.3f}",
                str(size["embedding_size"]),
                f"{size['bytes'] / 1e6:.1f} MB",
                f"{size['threshold']:g}",
                f"{', '.join(f'{speed:.0f}' for speed in size['speed'].values())} ({size['computed_by']})",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def card_lines(of: Mapping[str, Any]) -> list[str]:
    """The section of a model card."""
    rows = {
        "Market-1501 official test": of.get("official"),
        "60 persons kept out of training": of.get("dev"),
        "PKU-Reid, never trained on": of.get("pku"),
    }
    lines = [
        "| | persons, queries | rank-1 / mAP | Recall@1 | accepted at 1 % false "
        "| rank-1 under a cast of ±15 %, ±30 % per camera |",
        "|---|---|---|---|---|---|",
    ]
    for title, figures in rows.items():
        if figures is not None:
            lines.append(
                f"| {title} | {figures['ids']}, {figures['queries']:,} | {pair(figures)} | "
                f"{100 * figures['recall1']:.1f} | {100 * figures['tar_at_far_0_01']:.1f} | "
                f"{under_casts(figures)} |"
            )
    if crops := of.get("crops"):
        lines += [
            "",
            "In a tracker (YOLOX-nano boxes of PETS09-S2L1, ADL-Rundle-6 and TUD-Stadtmitte, people 1 to 3 s "
            f"apart): rank-1 {crops['rank1']:.1%}, accepted at 1 % false {crops['accepted']:.1%}; the "
            f"threshold accepts {crops['accepts']:.1%} of pairs of one person and "
            f"{crops['false_accepts']:.1%} of pairs of different people.",
        ]
    return [*lines, "", "Made by `benchmarks/reid/model_zoo.py`."]


def between_marks(text: str, lines: list[str], path: Path) -> str:
    """The text with other lines between the marks."""
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{path}: expected the marks {BEGIN} and {END}")
    before, _, rest = text.partition(BEGIN)
    return "\n".join([before + BEGIN, *lines, END]) + rest.partition(END)[2]


def write_card(folder: Path, of: Mapping[str, Any]) -> None:
    """Put the section into the card; other text of its earlier form is replaced."""
    card = folder / "MODEL_CARD.md"
    text = card.read_text(encoding="utf-8")
    if BEGIN not in text:
        before, mark, training = text.partition("\n## Training\n")
        before = before.partition("\n## On other data\n")[0]
        text = f"{before}\n## On other data\n\n{BEGIN}\n{END}\n{mark}{training}"
    card.write_text(between_marks(text, card_lines(of), card), encoding="utf-8")
    write_checksums(folder)


def main() -> None:
    """Measure what the options name, then write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, nargs="+", help="folders that export wrote")
    parser.add_argument("--dev", type=Path, help="folder made by prepare, with dev.txt")
    parser.add_argument("--pku", type=Path, help="folder of PKU-Reid's images")
    parser.add_argument("--data", type=Path, help="folder of the research data, for crops and tracking")
    parser.add_argument("--official", type=Path, help="folder of Market-1501, for the official test")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the measurement of speed; 0: none")
    parser.add_argument(
        "--write", action="store_true", help="write weights/README.md and the model cards too"
    )
    options = parser.parse_args()
    TABLES.mkdir(exist_ok=True)
    folders = {
        folder.resolve().name: folder for folder in options.weights if (folder / "encoder.json").is_file()
    }
    found: dict[str, dict[str, Any]] = {}
    for name, folder in folders.items():
        kept, digest = TABLES / f"{name}.json", weights_digest(folder)
        known = json.loads(kept.read_text()) if kept.is_file() else {}
        of = known if known.get("weights") == digest else {"weights": digest}
        if options.rounds:
            of["size"] = size_and_speed(folder, options.rounds)
        encoder = AppearanceEncoder(folder, device="cpu")
        for key, source in (("dev", options.dev), ("pku", options.pku), ("official", options.official)):
            if source is not None:
                of[key] = evaluation(encoder, source, () if key == "official" else (0.15, 0.3))
        if options.data is not None:
            of["tracking"] = tracking(folder, options.data / "mot" / "PETS09-S2L1")
        found[name] = of
    if options.data is not None:
        encoders = {name: AppearanceEncoder(folder, device="cpu") for name, folder in folders.items()}
        for name, figures in tracker_pairs(options.data, encoders).items():
            found[name]["crops"] = asdict(figures)
    for name, of in found.items():
        (TABLES / f"{name}.json").write_text(json.dumps(of, indent=2) + "\n")
    every = {path.stem: json.loads(path.read_text()) for path in sorted(TABLES.glob("*.json"))}
    lines = zoo_table(every)
    (TABLES / "zoo.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    if options.write:
        readme = REPOSITORY / "weights" / "README.md"
        readme.write_text(between_marks(readme.read_text(encoding="utf-8"), lines, readme), encoding="utf-8")
        for name, folder in folders.items():
            write_card(folder, found[name])


if __name__ == "__main__":
    main()
