"""The model card of an export, written from its ``encoder.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reid_train.evaluation.colour_cast import CASTS

__all__ = ["model_card", "with_figures", "with_precisions"]

RANKING = {"rank1": "Rank-1", "rank5": "Rank-5", "rank10": "Rank-10", "mean_ap": "mAP", "mean_inp": "mINP"}
RECALL = {"recall1": "Recall@Rank-1 (all against all)"}
ROC = {"tar_at_far_0_001": "accepted at 0.1 % false", "tar_at_far_0_01": "accepted at 1 % false"}
OFFICIAL_IDS = 750

MARKET_LIMITS = """The weights were trained on Market-1501, which its authors provide for research; check
that licence before any other use. All its images were taken by six cameras in front of one supermarket,
by day, of mostly young adults; expect lower accuracy at night, from above, for children, and for groups
that are rare in the data."""
OTHER_LIMITS = """The weights were trained on {data}; its licence determines how they may be used. They fit
the places, cameras and people of its images and may fail on others."""
RESEARCH = """
Provided by their authors for research only: {names}. Check their terms before any other use."""
# These data sets are, of those in `reid_train.data.readers.naming`.
RESEARCH_SETS = (
    *("Market-1501", "PKU-Reid", "DukeMTMC-reID", "MSMT17", "VeRi-776", "VehicleID", "MARS", "CUHK01"),
    *("CUHK03", "CUHK03-NP"),
)
LIMITS = """The network distinguishes clothing more than faces: it confuses people in uniforms or similar
clothes, and does not recognise someone who changed clothes. Do not use it to establish identities or to
make decisions about people."""


def model_card(description: Mapping[str, Any], parameters: int) -> str:
    """Return the card as Markdown.

    Args:
        description: the content of ``encoder.json``.
        parameters: trainable parameters of the exported network.
    """
    origin, size = description["provenance"], description["input"]
    config = origin["config"]
    resize = (
        "stretched" if description["resize"]["mode"] == "stretch" else "resized by its short side and cut"
    )
    limits = (MARKET_LIMITS if _data(origin) == "Market-1501" else OTHER_LIMITS).format(data=_data(origin))
    bound = [name for name in origin.get("datasets", ()) if name in RESEARCH_SETS]
    if bound and limits != MARKET_LIMITS:
        limits += RESEARCH.format(names=", ".join(bound))
    return f"""# {description["name"]}

Person re-identification network: a crop of a person in, a unit vector of
{description["output"]["embedding_size"]} numbers out. The cosine distance of two vectors measures
how different two persons look.

| | |
|---|---|
| backbone | {config["model"]}, last stride {config["last_stride"]} |
| trainable parameters | {parameters:,} |
| input | {size["height"]} x {size["width"]} (height x width), uint8 {size["channels"]}, crop {resize} |
| output | {description["output"]["embedding_size"]} float32, unit length |
| `max_cosine_distance` | {description["max_cosine_distance"]} |

## Figures

{_figures_section(description)}
## Training

{_training(origin)}

## Train your own

A network trained on people like yours distinguishes them better. Train one from scratch or from this folder
(`--pretrained_model`) with `reid-train prepare`, `elem` and `export` of deepsort-paddle; see docs/train.md.

## Licence and limits

{limits}

{LIMITS}
"""


def with_figures(card: str, description: Mapping[str, Any]) -> str:
    """Return the card with the metrics and threshold of a new description.

    Args:
        card: Markdown, of `model_card`.
        description: the content of the new ``encoder.json``.
    """
    before, _, after = card.partition("\n## Figures\n")
    _, mark, rest = after.partition("\n## ")
    lines = [
        f"| `max_cosine_distance` | {description['max_cosine_distance']} |"
        if line.startswith("| `max_cosine_distance` |")
        else line
        for line in before.split("\n")
    ]
    return "\n".join(lines) + f"\n## Figures\n\n{_figures_section(description)}{mark}{rest}"


def with_precisions(card: str, description: Mapping[str, Any]) -> str:
    """Return the card with a section on lower precision, after the figures or in place of an earlier one.

    Args:
        card: Markdown.
        description: the content of ``encoder.json`` after quantization.
    """
    name = "Precision" if "\n## Precision\n" in card else "Figures"
    before, title, after = card.partition(f"\n## {name}\n")
    section, mark, rest = after.partition("\n## ")
    if name == "Figures":
        before += title + section
    int8, half = description["int8"], description["bfloat16"]
    plain = int8.get("float32", description["evaluation"])
    names = {name: title for name, title in {**RANKING, **RECALL}.items() if name in int8["evaluation"]}
    rows = {"float32": {"evaluation": plain, "min_cosine": 1.0, "mean_cosine": 1.0}, "int8": int8}
    if "min_cosine" in half:
        rows["bfloat16"] = half
    lines = []
    for name, row in rows.items():
        cells = [f"{row['evaluation'][key]:.1%}" if key in row["evaluation"] else "-" for key in names]
        cells.append(f"{row['min_cosine']:.4f} / {row['mean_cosine']:.4f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    table = "\n".join(
        [
            f"| | {' | '.join(names.values())} | cosine with float32, least / mean |",
            "|---" * (len(names) + 2) + "|",
            *lines,
        ]
    )
    half_text = "is used if the CPU supports it." if half["allowed"] else "is used with `--precision` only."
    measured_on = (
        f"\nMeasured on {int8['images']:,} images of {int8['ids']} persons." if "ids" in int8 else ""
    )
    return f"""{before}
## Precision

{table}

int8: `{description["files"]["int8"]}`, activation ranges from {int8["calibration_images"]} crops of the
training set; it is used with `--precision int8` only. bfloat16 {half_text}{measured_on}
{mark}{rest}"""


def _figures_section(description: Mapping[str, Any]) -> str:
    parity = ", ".join(
        f"{value:.1e} at {name.replace('_', ' ')}"
        for name, value in description["parity"]["max_abs_error"].items()
    )
    stored = description.get("parameters")
    rounding = (
        f"Weights are stored as {stored['dtype']} and computed with in float32: the cosine with the trained\n"
        f"network's embeddings is at least {stored['min_cosine']:.6f} on {stored['images']} images. With the "
        "same rounded weights:\n"
        if stored
        else ""
    )
    return f"""{_figures(description["evaluation"])}

{_threshold(description)}
{rounding}Largest difference of embedding values between exported and trained network: {parity}.
"""


def _threshold(description: Mapping[str, Any]) -> str:
    calibration = description.get("calibration")
    if calibration is None:
        return "Threshold: DeepSORT's default, not calibrated for this network (exported without images).\n"
    across = calibration.get("across_cameras", "rank1" in description["evaluation"])
    note = "Cameras are unknown: some pairs are from one camera; across cameras more would be rejected.\n"
    return f"""Threshold: at a cosine distance of {description["max_cosine_distance"]},
{calibration["false_accept_rate"]:.2%} of {calibration["different_pairs"]:,} pairs of different persons are
accepted, and {calibration["false_reject_rate"]:.1%} of {calibration["same_pairs"]:,} pairs of one person
{"in different cameras " if across else ""}are rejected.
Equal error rate: {calibration["equal_error_rate"]:.1%}.
{"" if across else note}{_conditions(calibration.get("conditions", ()))}"""


def _conditions(conditions: Sequence[Mapping[str, Any]]) -> str:
    """What the threshold does in each set; a tracker's strangers are in one camera."""
    if len(conditions) < 2:
        return ""
    lines = [
        f"| {one['name']}{_cast_of(one['cast'])} | "
        f"{one['false_accept_rate']:.2%} | {_share(one['accept_rate_in_camera'])} | "
        f"{one['accept_rate']:.1%} | {one['limit']:g} |\n"
        for one in conditions
    ]
    return (
        "\n| pairs accepted by the threshold | of different persons in one camera | of one person in one "
        "camera | of one person across cameras | largest threshold allowed here |\n|---|---|---|---|---|\n"
        + "".join(lines)
    )


def _cast_of(strength: float) -> str:
    return f", cast ±{strength:.0%}" if strength else ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _figures(figures: Mapping[str, Any]) -> str:
    if "recall1" not in figures:
        return "Not measured: exported without images."
    ranked = "rank1" in figures
    shown = {**(RANKING if ranked else {}), **RECALL}
    shown |= {name: title for name, title in ROC.items() if name in figures}
    protocol = (
        f"; one query per person and camera,\nwithout images of the same person in the same camera "
        f"({figures['queries']} queries)"
        if ranked
        else ""
    )
    small = (
        f"\n\nThe gallery is small ({figures['ids']} persons): figures on the official Market-1501 test set\n"
        f"({OFFICIAL_IDS} persons) would be lower and are not comparable."
        if figures["ids"] < OFFICIAL_IDS
        else ""
    )
    if ranked and figures.get("unknown_cameras"):
        protocol += (
            f";\nthe camera of {figures['unknown_cameras']} images is unknown, so figures cannot be compared "
            "with published ones"
        )
    return f"""On {figures["images"]:,} images of {figures["ids"]} persons held out of training{protocol}:

| {" | ".join(shown.values())} |
|{"---|" * len(shown)}
| {" | ".join(f"{figures[name]:.1%}" for name in shown)} |{_casts(figures)}{small}{_other_sets(figures)}"""


def _other_sets(figures: Mapping[str, Any]) -> str:
    """The same figures in the other development sets."""
    sets = figures.get("sets") or {}
    if not sets:
        return ""
    shown = {**RANKING, **RECALL, **ROC}
    shown |= {f"±{strength:.0%}": f"Rank-1 under a cast of ±{strength:.0%}" for strength in CASTS}
    lines = []
    for name, of in sets.items():
        cells = {key: of.get(key) for key in shown}
        cells |= {f"±{cast['strength']:.0%}": cast["rank1"] for cast in of.get("casts", ())}
        lines.append(f"| {name}, {of['ids']} persons | {' | '.join(_share(cells[key]) for key in shown)} |")
    head = f"| | {' | '.join(shown.values())} |\n|{'---|' * (len(shown) + 1)}"
    return "\n\nIn other places, none of whose images were trained on:\n\n" + "\n".join([head, *lines])


def _casts(figures: Mapping[str, Any]) -> str:
    casts = "; ".join(
        f"±{cast['strength']:.0%}: rank-1 {cast['rank1']:.1%}, mAP {cast['mean_ap']:.1%}"
        for cast in figures.get("casts", ())
    )
    return (
        f"\n\nWith a different colour cast in each camera (`v * gain` per channel): {casts}." if casts else ""
    )


def _data(origin: Mapping[str, Any]) -> str:
    return str(origin.get("data", "unnamed data"))


def _training(origin: Mapping[str, Any]) -> str:
    """Return the section on training; a checkpoint made by a library call has little information."""
    config = origin["config"]
    images = (
        f": {origin['train_images']:,} images of {origin['train_ids']} persons"
        if "train_ids" in origin
        else ""
    )
    where = f" on {origin['machine']}" if "machine" in origin else ""
    hours = f", {origin['hours']:.1f} hours{where}" if "hours" in origin else ""
    command = f"\n\n    {origin['command']}" if "command" in origin else ""
    start = f"{origin.get('start', 'Start unknown')}, {origin['iteration']:,} iterations"
    return (
        f"{_data(origin)}{images}.\n{start} of {config['train_batch_size']} images,\n"
        f"{config['loss_name']} loss, seed {config['seed']}{hours}.{command}"
    )
