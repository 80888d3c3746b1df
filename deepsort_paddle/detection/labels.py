"""Class names of detectors, and which of them are people."""

from __future__ import annotations

import logging
from collections.abc import Sequence

__all__ = ["COCO_LABELS", "is_person", "label_classes", "person_classes"]

# What detectors and data sets call people: COCO, CityPersons, VisDrone, Open Images.
PEOPLE = ("person", "pedestrian", "people", "human", "persons", "pedestrians")

# The 80 classes of the COCO detection task (Lin et al., arXiv 1405.0312) in the usual order.
_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book, clock,
vase, scissors, teddy bear, hair drier, toothbrush
"""
COCO_LABELS = tuple(name.strip() for name in _COCO.replace("\n", " ").split(","))
# The numbers in COCO's annotations run from 1 to 90 and leave these out.
_COCO_UNUSED = (0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def label_classes(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Class names by number: those of the file, else COCO's for 80 or 91 classes, else numbers.

    Args:
        names: those of the file, empty for none.
        count: classes of the network; 0 where its outputs do not show it.
    """
    if names:
        return tuple(names)
    if count in (0, len(COCO_LABELS)):
        return COCO_LABELS
    if count == len(COCO_LABELS) + len(_COCO_UNUSED):
        labels = iter(COCO_LABELS)
        return tuple("unused" if number in _COCO_UNUSED else next(labels) for number in range(count))
    return tuple(f"class {number}" for number in range(count))


def is_person(label: str) -> bool:
    """Whether a class name means people."""
    return label.casefold() in PEOPLE


def person_classes(labels: Sequence[str], origin: str, *, named: bool) -> list[int]:
    """The classes that are people; the only class, whatever it is called.

    Args:
        labels: class names by number.
        origin: the detector's file, for messages.
        named: whether the names are the file's own; class 0 is taken for people where it names none, and a
            warning is logged.

    Raises:
        ValueError: the file names several classes, none of them people.
    """
    found = [number for number, label in enumerate(labels) if is_person(label)]
    if found or len(labels) == 1:
        return found or [0]
    if named:
        shown = ", ".join(labels[:20]) + (", ..." if len(labels) > 20 else "")
        raise ValueError(f"{origin}: no class is a person; choose classes (--classes) among: {shown}")
    logging.getLogger("deepsort_paddle").warning(
        "%s names none of its %d classes: class 0 is taken for people; --classes chooses another",
        origin,
        len(labels),
    )
    return [0]
