"""Track indexes: what is written is read again, and nothing else is taken for one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deepsort_paddle.people.index_file import TrackIndex, save_people
from deepsort_paddle.people.index_writer import TrackIndexWriter
from deepsort_paddle.people.model import ReidModel
from deepsort_paddle.tracked_frame import TrackedFrame

Frames = Callable[..., TrackedFrame]


def embeddings(generator: np.random.Generator, count: int) -> Any:
    rows = generator.normal(size=(count, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_run_is_read_as_it_was_written(tmp_path: Path, write_run: Callable[..., TrackIndex]) -> None:
    seen = {frame: (10.0 + frame, 1) for frame in (1, 2, 3, 7, 8)}
    index = write_run(tmp_path / "a.sqlite", {3: seen, 5: {4: (90.0, 2)}}, name="door")
    assert (index.meta.name, index.meta.frames, index.meta.finished) == ("door", 8, True)
    assert (index.meta.width, index.meta.height, index.meta.fps) == (200, 120, 10.0)
    assert index.ids.tolist() == [3, 5]
    assert index.frames.tolist() == [[1, 8], [4, 4]]
    np.testing.assert_allclose(index.seconds, [[0, 0.7], [0.3, 0.3]])
    assert index.frame_count.tolist() == [5, 1]
    assert [run.tolist() for run in index.runs] == [[[1, 3], [7, 8]], [[4, 4]]]
    np.testing.assert_allclose(index.end_boxes[0], [[11, 20, 41, 100], [18, 20, 48, 100]])
    assert index.persons.tolist() == [3, 5]
    assert np.isnan(index.probability).all()
    # A crop at most every 0.2 seconds.
    assert index.moment_frames.tolist() == [1, 3, 7, 4]
    assert index.owner.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(np.linalg.norm(index.embeddings, axis=1), 1, atol=1e-6)
    assert index.moments(index.row(5)) == slice(3, 4)


def test_embeddings_in_float16_keep_distances(
    tmp_path: Path, tracked_frame: Frames, model: ReidModel
) -> None:
    rows = embeddings(np.random.default_rng(0), 6)
    with TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a") as writer:
        writer.write(tracked_frame(1, range(1, 7), [0, 30, 60, 90, 120, 150], rows))
    read = TrackIndex.read(tmp_path / "a.sqlite").embeddings
    np.testing.assert_allclose(read @ read.T, rows @ rows.T, atol=1e-3)


def test_thumbnails_are_small_images(tmp_path: Path, write_run: Callable[..., TrackIndex]) -> None:
    index = write_run(tmp_path / "a.sqlite", {1: {1: (10.0, 0)}})
    found = index.thumbnails([(1, 1), (1, 2)])
    assert list(found) == [(1, 1)]
    image = cv2.imdecode(np.frombuffer(found[1, 1], np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (80, 30, 3)


def test_tracks_put_aside_and_read_back_are_the_same(
    tmp_path: Path, tracked_frame: Frames, model: ReidModel
) -> None:
    indexes = []
    for memory in (1, 512):
        generator = np.random.default_rng(1)
        path = tmp_path / f"{memory}.sqlite"
        with TrackIndexWriter(
            path, model=model, name="a", fps=4, moments_per_track=2, tracks_in_memory=memory
        ) as writer:
            for number in range(1, 9):
                writer.write(tracked_frame(number, [1, 2, 3], [0, 50, 100], embeddings(generator, 3)))
        indexes.append(TrackIndex.read(path))
    few, many = indexes
    for name in ("ids", "frames", "seconds", "frame_count", "owner", "end_boxes"):
        np.testing.assert_array_equal(getattr(few, name), getattr(many, name))
    assert [run.tolist() for run in few.runs] == [run.tolist() for run in many.runs]
    assert len(few.embeddings) == 6
    # What was read back is rounded to float16, which may decide between two crops of the same worth.
    assert (few.moment_frames == many.moment_frames).mean() > 0.6


def test_tracks_without_embedding_are_in_the_index_without_moments(
    tmp_path: Path, tracked_frame: Frames, model: ReidModel
) -> None:
    with TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a") as writer:
        writer.write(tracked_frame(1, [1, 2], [0, 50], np.eye(2, dtype=np.float32) * [[1.0], [0.0]]))
        writer.write(tracked_frame(2, [3], [100], None))
    index = TrackIndex.read(tmp_path / "a.sqlite")
    assert index.ids.tolist() == [1, 2, 3]
    assert index.owner.tolist() == [0]


def test_a_run_without_images_has_no_thumbnails(
    tmp_path: Path, tracked_frame: Frames, model: ReidModel
) -> None:
    with TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a", width=200, height=120) as writer:
        writer.write(tracked_frame(1, [1], [0], np.eye(1, 16, dtype=np.float32), image=False))
    index = TrackIndex.read(tmp_path / "a.sqlite")
    assert len(index.embeddings) == 1
    assert index.thumbnails([(1, 1)]) == {}


def test_a_run_without_frames_has_an_index(tmp_path: Path, model: ReidModel) -> None:
    with TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a"):
        pass
    index = TrackIndex.read(tmp_path / "a.sqlite")
    assert len(index) == 0
    assert index.embeddings.shape == (0, 0)
    with pytest.raises(ValueError, match="no track 1, it has no tracks"):
        index.row(1)


def test_a_stopped_run_is_refused_unless_it_is_asked_for(
    tmp_path: Path, tracked_frame: Frames, model: ReidModel
) -> None:
    path = tmp_path / "a.sqlite"
    with pytest.raises(KeyboardInterrupt), TrackIndexWriter(path, model=model, name="a") as writer:
        writer.write(tracked_frame(1, [1], [0], np.eye(1, 16, dtype=np.float32)))
        raise KeyboardInterrupt
    with pytest.raises(ValueError, match="stopped before the end"):
        TrackIndex.read(path)
    assert len(TrackIndex.read(path, unfinished=True)) == 1


def test_a_stopped_camera_is_finished(tmp_path: Path, model: ReidModel) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a", live=True),
    ):
        raise KeyboardInterrupt
    assert TrackIndex.read(tmp_path / "a.sqlite").meta.finished


def test_a_failed_run_leaves_the_older_index(
    tmp_path: Path, write_run: Callable[..., TrackIndex], model: ReidModel
) -> None:
    path = tmp_path / "a.sqlite"
    write_run(path, {7: {1: (0.0, 0)}})
    with pytest.raises(RuntimeError), TrackIndexWriter(path, model=model, name="a"):
        raise RuntimeError
    assert TrackIndex.read(path).ids.tolist() == [7]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.sqlite", "a.sqlite.part"]
    write_run(path, {8: {1: (0.0, 0)}})
    assert [file.name for file in tmp_path.iterdir()] == ["a.sqlite"]


def test_closing_twice_is_fine_and_writing_afterwards_is_not(
    tmp_path: Path, tracked_frame: Frames, model: ReidModel
) -> None:
    writer = TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a")
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="is closed"):
        writer.write(tracked_frame(1, [], [], None))


def test_any_file_name_can_be_an_index(tmp_path: Path, write_run: Callable[..., TrackIndex]) -> None:
    index = write_run(tmp_path / "50% off? #1.sqlite", {1: {1: (0.0, 0)}})
    assert len(index) == 1
    assert len(index.thumbnails([(1, 1)])) == 1


def test_people_are_saved_into_an_index(tmp_path: Path, write_run: Callable[..., TrackIndex]) -> None:
    path = tmp_path / "a.sqlite"
    index = write_run(path, {1: {1: (0.0, 0)}, 2: {2: (0.0, 0)}, 4: {2: (80.0, 1)}})
    save_people(path, index.ids, np.array([1, 1, 4]), np.array([0.9, 0.9, np.nan]))
    read = TrackIndex.read(path)
    assert read.persons.tolist() == [1, 1, 4]
    np.testing.assert_allclose(read.probability, [0.9, 0.9, np.nan])


def test_what_is_no_index_is_refused_in_one_line(
    tmp_path: Path, write_run: Callable[..., TrackIndex]
) -> None:
    path = tmp_path / "a.sqlite"
    with pytest.raises(FileNotFoundError, match=r"a\.sqlite: no such file"):
        TrackIndex.read(path)
    for content in (b"", b"no database, but long enough to be read as one" * 10):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not a track index"):
            TrackIndex.read(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE meta (key, value)")
    other.close()
    with pytest.raises(ValueError, match="not a track index"):
        TrackIndex.read(path)
    write_run(path, {1: {1: (0.0, 0)}})
    with sqlite3.connect(path) as other:
        other.execute("UPDATE moments SET embedding = x'00'")
    other.close()
    with pytest.raises(ValueError, match="damaged track index"):
        TrackIndex.read(path)
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 9")
    other.close()
    with pytest.raises(ValueError, match="format 9 of the track index, expected 2"):
        TrackIndex.read(path)


def test_a_pipe_or_a_wrong_number_is_refused(tmp_path: Path, model: ReidModel) -> None:
    with pytest.raises(ValueError, match="must be a file"):
        TrackIndexWriter(tmp_path, model=model, name="a")
    with pytest.raises(ValueError, match="moments_per_track must be 1 or more, got 0"):
        TrackIndexWriter(tmp_path / "a.sqlite", model=model, name="a", moments_per_track=0)


def test_a_camera_forgets_who_was_not_seen_for_long(
    tmp_path: Path, tracked_frame: Frames, model: ReidModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepsort_paddle.people.index_writer._COMMIT_FRAMES", 5)
    sizes = []
    rows = embeddings(np.random.default_rng(0), 2)
    path = tmp_path / "a.sqlite"
    with TrackIndexWriter(
        path, model=model, name="a", fps=10.0, live=True, keep_seconds=20, tracks_in_memory=2
    ) as writer:
        for number in range(1, 2001):  # somebody new each second, beside one who stays
            ids = [1, 2 + number // 10]
            writer.write(tracked_frame(number, ids, [0, 60], rows))
            sizes.append((tmp_path / "a.sqlite.part").stat().st_size)
    index = TrackIndex.read(path)
    assert index.ids.tolist() == [1, *range(182, 203)]
    assert index.frames[0].tolist() == [1, 2000]
    assert set(index.owner.tolist()) == set(range(len(index)))
    assert sizes[-1] < 1.3 * sizes[500]
    with pytest.raises(ValueError, match="no track 100"):
        index.row(100)
