"""The journal and its words: each decision of a tracker on scenes small enough to know the reason."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle import DeepSort, Detections
from deepsort_paddle.tracking.decision_log import EVENT, KINDS, STAGE_NAMES, Journal
from deepsort_paddle.tracking.explain import explain, write_table
from deepsort_paddle.tracking.kalman import distance, gate, initiate, predict

RED, GREEN, BLUE = np.eye(3)


def person(x: float, height: float = 100.0) -> list[float]:
    """A box, 0.4 as wide as high, centred at x, 100."""
    return [x - 0.2 * height, 100 - 0.5 * height, x + 0.2 * height, 100 + 0.5 * height]


def watched(**options: float) -> tuple[DeepSort, Journal]:
    tracker = DeepSort(**options)  # type: ignore[arg-type]
    tracker.journal = Journal()
    return tracker, tracker.journal


def kinds(journal: Journal, track_id: int) -> list[tuple[int, str, str]]:
    """Frame, kind and stage of each event of an id."""
    return [
        (int(event["frame"]), KINDS[event["kind"]], STAGE_NAMES[event["stage"]])
        for event in journal.events(track_id)
    ]


def test_a_whole_life_is_taken_down() -> None:
    tracker, journal = watched(max_age=3)
    for looks in (RED, RED, RED, RED, None, RED, None, None, None, None):
        found = Detections.empty()
        if looks is not None:
            found = Detections.of([person(100)], [0.9], embeddings=[looks])
        tracker.update(found)
    assert kinds(journal, 1) == [
        (1, "born", ""),
        (2, "matched", "overlap"),
        (3, "matched", "overlap"),
        (3, "confirmed", ""),
        (4, "matched", "appearance"),
        (5, "lost", ""),
        (6, "found", "appearance"),
        (7, "lost", ""),
        (10, "deleted", ""),
    ]
    found_again = journal.events(1)[6]
    assert found_again["gap"] == 2
    assert found_again["cost"] == pytest.approx(0.0, abs=1e-6)
    assert found_again["limit"] == pytest.approx(0.2)
    text = explain(journal, 1)
    assert text.startswith("id 1: frames 1 to 6, 5 detections, lost 2 times\n")
    assert "2 times in the overlap stage" in text
    assert "after 2 frames in the appearance stage: cost 0.00 of 0.20" in text
    assert text.endswith("not matched for 4 frames")


def test_a_birth_names_the_lost_track_and_what_kept_it_from_matching() -> None:
    tracker, journal = watched()
    for _ in range(4):
        tracker.update(Detections.of([person(100), person(600)], embeddings=[RED, BLUE]))
    tracker.update(Detections.empty())
    tracker.update(Detections.of([person(102)], embeddings=[GREEN]))
    birth = journal.events(3)[0]
    assert (birth["rival"], birth["rival_gap"]) == (1, 2)
    assert birth["rival_cosine"] == pytest.approx(1.0)
    assert birth["rival_gate"] < 9.4877
    assert "nearest missing: id 1, not seen for 2 frames" in explain(journal, 3)
    assert "cosine 1.00 of 0.20" in explain(journal, 3)


def test_a_loss_names_who_took_the_detection() -> None:
    tracker, journal = watched()
    for _ in range(4):
        tracker.update(Detections.of([person(100), person(120)], embeddings=[RED, GREEN]))
    tracker.update(Detections.of([person(118)], embeddings=[GREEN]))
    lost = journal.events(1)[-1]
    assert KINDS[lost["kind"]] == "lost"
    assert (lost["detection"], lost["rival"]) == (0, 2)
    assert lost["iou"] == pytest.approx(11 / 29)  # 22 of 40 wide each: 22 / 58
    assert "taken by id 2" in explain(journal, 1)


def test_a_match_says_when_the_detection_is_nearer_to_another_track() -> None:
    # By overlap alone people who cross swap ids; their appearance is in the journal all the same.
    tracker, journal = watched(appearance_weight=0.01)
    for _ in range(4):
        tracker.update(Detections.of([person(100), person(110)], embeddings=[RED, GREEN]))
    tracker.update(Detections.of([person(100), person(110)], embeddings=[GREEN, RED]))
    last = journal.events(1)[-1]
    assert KINDS[last["kind"]] == "matched"
    assert last["rival"] == 2
    assert last["cosine"] == pytest.approx(1.0)
    assert last["rival_cosine"] == pytest.approx(0.0, abs=1e-6)
    assert "may be a switch: nearer to id 2" in explain(journal, 1)


def test_reactivation_low_confidence_and_duplicates_are_named() -> None:
    tracker, journal = watched(reactivate_ratio=1.0, high_confidence=0.5)
    for confidence in (0.9, 0.9, 0.9, 0.3):
        tracker.update(Detections.of([person(100)], [confidence], embeddings=[RED]))
    tracker.update(Detections.empty())
    tracker.update(Detections.of([person(900)], [0.9], embeddings=[RED]))
    assert kinds(journal, 1)[-3:] == [(4, "matched", "low"), (5, "lost", ""), (6, "found", "reactivation")]
    assert "in the stage of low confidence" in explain(journal, 1)

    tracker, journal = watched(max_duplicate_iou=0.8)
    for _ in range(3):
        tracker.update(Detections.of([person(100)]))
    for _ in range(3):
        tracker.update(Detections.of([person(100), person(101)]))
    for _ in range(2):
        tracker.update(Detections.of([person(100)]))
    assert kinds(journal, 2)[-1][1] == "duplicate"
    assert "overlapped a track that has more detections" in explain(journal, 2)


def test_results_are_the_same_with_a_journal_and_reset_starts_a_new_one() -> None:
    rng = np.random.default_rng(0)
    plain, (watcher, journal) = DeepSort(), watched()
    for _ in range(30):
        boxes = [person(x) for x in rng.uniform(0, 300, 6)]
        found = Detections.of(boxes, embeddings=rng.standard_normal((6, 3)))
        one, other = plain.update(found), watcher.update(found)
        assert one.ids.tolist() == other.ids.tolist()
        assert (one.boxes == other.boxes).all()
    assert len(journal.ids) == journal.events()["id"].max()
    watcher.reset()
    assert watcher.journal is not None
    assert len(watcher.journal.events()) == 0
    assert watcher.journal.frame == 0


def test_costs_are_within_limits_and_each_detection_is_taken_once_a_frame() -> None:
    rng = np.random.default_rng(1)
    tracker, journal = watched(iou_max_age=10, high_confidence=0.3, reactivate_ratio=0.5)
    for _ in range(40):
        boxes = [person(x) for x in rng.uniform(0, 500, 8)]
        tracker.update(Detections.of(boxes, rng.uniform(0, 1, 8), embeddings=rng.standard_normal((8, 3))))
    events = journal.events()
    taken = events[np.isin(events["kind"], [KINDS.index("matched"), KINDS.index("found")])]
    assert set(taken["stage"].tolist()) == {1, 2, 3, 4}
    assert (taken["cost"] <= taken["limit"] + 1e-6).all()
    pairs = np.column_stack([taken["frame"], taken["detection"]])
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def test_an_unknown_id_is_an_error_that_says_which_there_were() -> None:
    tracker, journal = watched()
    with pytest.raises(ValueError, match="no id 4 to explain; no id was born"):
        explain(journal, 4)
    tracker.update(Detections.of([person(100), person(300)]))
    with pytest.raises(ValueError, match="no id 4 to explain; there were ids 1 to 2"):
        explain(journal, 4)


def test_the_table_has_a_row_for_each_event(tmp_path: Path) -> None:
    tracker, journal = watched()
    for _ in range(4):
        tracker.update(Detections.of([person(100)], [0.5]))
    write_table(journal, tmp_path / "why.csv")
    with (tmp_path / "why.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(EVENT.names or ())
    assert [row["kind"] for row in rows] == ["born", "matched", "matched", "confirmed", "matched"]
    assert rows[1]["stage"] == "overlap"
    assert rows[1]["cosine"] == ""
    assert rows[1]["confidence"] == "0.5"


def test_the_distance_of_all_pairs_is_that_of_the_gate() -> None:
    rng = np.random.default_rng(2)
    boxes = np.column_stack([rng.uniform(0, 60, (2, 20)).T, np.full(20, 0.4), rng.uniform(90, 110, 20)])
    states = predict(initiate(boxes[:8]))
    rows, columns, squared = gate(states, boxes)
    assert 8 < len(rows) < 160
    assert distance(states, boxes)[rows, columns] == pytest.approx(squared)
