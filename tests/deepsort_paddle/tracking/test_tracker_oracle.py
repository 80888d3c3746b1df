"""The tracker against the classic code, frame by frame: same ids, same boxes, same ages.

deep-sort-realtime (a test dependency) runs the classic logic. Two things in it are set right here,
because they are not DeepSORT's: it stores boxes in float32, and it puts each
confirmed track's newest embedding into its gallery again in every frame, so that copies push
the others out. Everything else is compared as it is, coasting tracks included.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.boxes import tlwh_from_xyxy, xyxy_from_tlwh

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
DEFAULTS: dict[str, Any] = {
    "max_cosine_distance": 0.2,
    "max_iou_distance": 0.7,
    "max_age": 30,
    "n_init": 3,
    "gallery_size": 100,
    "gate_position_only": False,
}
NAMES = {"gallery_size": "nn_budget", "gate_position_only": "gating_only_position"}


class Classic:
    """deep-sort-realtime with the two corrections."""

    def __init__(self, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        with warnings.catch_warnings():
            # It imports pkg_resources, which warns about its own age.
            warnings.filterwarnings("ignore", message=".*pkg_resources.*")
            warnings.filterwarnings("ignore", message=".*declare_namespace.*")
            module = pytest.importorskip("deep_sort_realtime.deepsort_tracker")
            from deep_sort_realtime.deep_sort.detection import Detection
        initialise = Detection.__init__

        def in_float64(detection: Any, ltwh: Sequence[float], *rest: Any, **named: Any) -> None:
            initialise(detection, ltwh, *rest, **named)
            detection.ltwh = np.asarray(ltwh, dtype=np.float64)

        monkeypatch.setattr(Detection, "__init__", in_float64)
        named = {NAMES.get(name, name): value for name, value in parameters.items()}
        self._tracker = module.DeepSort(embedder=None, **named)
        metric = self._tracker.tracker.metric
        fit, known = metric.partial_fit, set()

        def fit_once(features: Any, targets: Any, active: Any) -> None:
            """Leave out the first embedding of each track that gave it before."""
            kept, met = [], set()
            for place, target in enumerate(targets):
                if target in met or target not in known:
                    kept.append(place)
                met.add(target)
            known.update(met)
            fit(np.asarray(features)[kept], np.asarray(targets)[kept], active)

        metric.partial_fit = fit_once

    def update(self, detections: Detections) -> tuple[list[int], NDArray[np.float64], list[int]]:
        """Ids, boxes and frames since update of the confirmed tracks."""
        assert detections.embeddings is not None
        raw = [(box, 1.0, 0) for box in tlwh_from_xyxy(detections.boxes).tolist()]
        tracks = [
            track
            for track in self._tracker.update_tracks(raw, embeds=list(detections.embeddings))
            if track.is_confirmed()
        ]
        boxes = np.array([track.to_ltrb() for track in tracks]).reshape(-1, 4)
        return [int(track.track_id) for track in tracks], boxes, [track.time_since_update for track in tracks]


def assert_equal_on(frames: Iterable[Detections], monkeypatch: pytest.MonkeyPatch, **changed: Any) -> int:
    """Run both trackers and compare each frame; return how many boxes were compared."""
    parameters = DEFAULTS | changed
    classic = Classic(parameters, monkeypatch)
    ours = DeepSort(coast=parameters["max_age"], **parameters)
    compared = 0
    for detections in frames:
        ids, boxes, ages = classic.update(detections)
        tracks = ours.update(detections)
        assert tracks.ids.tolist() == ids
        assert tracks.frames_since_update.tolist() == ages
        # Boxes that shrank below nothing while coasting are reported without size here.
        whole = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        np.testing.assert_allclose(tracks.boxes[whole], boxes[whole], rtol=0, atol=1e-6)
        compared += int(whole.sum())
    return compared


@pytest.fixture(autouse=True)
def one_blas_thread() -> Iterator[None]:
    """The classic code's products wake BLAS threads, which stall on a busy machine: 195 s became 17."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="module")
def pets() -> list[Detections]:
    """PETS09-S2L1: public detections, with colour histograms of the upper and lower half as embeddings."""
    import cv2

    folder = DATA / "mot" / "PETS09-S2L1"
    if not (folder / "vtest.avi").is_file():
        pytest.skip("the research data beside the repository is not there")
    rows = np.loadtxt(folder / "det" / "det.txt", delimiter=",")
    video = cv2.VideoCapture(str(folder / "vtest.avi"))
    frames = []
    for number in range(1, 401):
        _, image = video.read()
        boxes = xyxy_from_tlwh(rows[rows[:, 0] == number, 2:6])
        embeddings = np.zeros((len(boxes), 2 * 3 * 16))
        for row, box in enumerate(boxes):
            x1, y1, x2, y2 = np.clip(box, 0, [768, 576, 768, 576]).astype(int)
            halves = (image[y1 : (y1 + y2) // 2, x1:x2], image[(y1 + y2) // 2 : y2, x1:x2])
            counts = [
                np.bincount(half[..., c].ravel() // 16, minlength=16) for half in halves for c in range(3)
            ]
            embeddings[row] = np.sqrt(np.concatenate(counts))
        frames.append(Detections.of(boxes, embeddings=embeddings))
    video.release()
    return frames


@pytest.fixture(scope="module")
def mot17() -> list[Detections]:
    """MOT17-05: public detections with real DeepSORT embeddings."""
    path = DATA / "mot" / "MOT17-half-val" / "MOT17-05" / "det" / "frcnn_deepsort128.npz"
    if not path.is_file():
        pytest.skip("the research data beside the repository is not there")
    with np.load(path) as columns:
        frame, boxes_tlwh, embeddings = columns["frame"], columns["tlwh"], columns["embedding"]
    return [
        Detections.of(
            xyxy_from_tlwh(boxes_tlwh[frame == number].astype(float)), embeddings=embeddings[frame == number]
        )
        for number in range(1, int(frame.max()) + 1)
    ]


def crowd(seed: int, people: int, frames: int) -> Iterable[Detections]:
    """Dense random crowds: misses, false detections, people who look alike, an empty frame."""
    rng = np.random.default_rng(seed)
    centre, speed = rng.uniform(0, 500, (people, 2)), rng.normal(0, 4, (people, 2))
    size = rng.uniform(40, 150, (people, 1)) * [0.4, 1.0]
    look = rng.standard_normal((people // 2, 24))[rng.integers(0, people // 2, people)]
    for number in range(frames):
        centre = (centre + speed) % 500
        there = rng.permutation(np.flatnonzero(rng.random(people) < (0.8 if number % 17 else 0.0)))
        false = rng.integers(0, 5)
        middle = np.concatenate(
            [centre[there] + rng.normal(0, 2, (len(there), 2)), rng.uniform(0, 500, (false, 2))]
        )
        half = np.concatenate([size[there], np.tile([30.0, 80.0], (false, 1))]) / 2
        looks = look[there] + rng.normal(0, 0.4, (len(there), 24))
        yield Detections.of(
            np.hstack([middle - half, middle + half]).reshape(-1, 4),
            embeddings=np.concatenate([looks, rng.standard_normal((false, 24))]),
        )


def test_pets09_equals_the_classic_tracker(pets: list[Detections], monkeypatch: pytest.MonkeyPatch) -> None:
    # The colour histograms of all these people are near to each other: they compete.
    assert assert_equal_on(pets, monkeypatch, max_cosine_distance=0.1) > 1500


def test_mot17_with_deepsort_embeddings_equals_the_classic_tracker(
    mot17: list[Detections], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert assert_equal_on(mot17, monkeypatch) > 3000


def test_mot17_with_wide_gates_and_a_small_gallery_equals_the_classic_tracker(
    mot17: list[Detections], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"max_age": 70, "max_cosine_distance": 0.5, "gallery_size": 5, "gate_position_only": True}
    assert assert_equal_on(mot17[:120], monkeypatch, **changed) > 400


@pytest.mark.parametrize("seed", range(2))
def test_random_crowds_equal_the_classic_tracker(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    changed = {
        "max_age": 10 + 10 * seed,
        "n_init": 2 + seed,
        "gallery_size": 10,
        "max_iou_distance": 0.5 + 0.2 * seed,
    }
    assert assert_equal_on(crowd(seed, 25, 50), monkeypatch, **changed) > 400
