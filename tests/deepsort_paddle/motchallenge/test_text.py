import re
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.motchallenge.text import TrackWriter, read_detections, read_ground_truth, read_tracks
from deepsort_paddle.structures import Tracks

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def tracks_of(*rows: tuple[int, float, float, float, float, float]) -> Tracks:
    array = np.array(rows, dtype=float).reshape(-1, 6)
    count = np.zeros(len(array), np.int64)
    return Tracks(
        array[:, 0].astype(np.int64), array[:, 1:5], array[:, 5].astype(np.float32), count, count, count
    )


def test_detections_become_zero_based_corner_boxes_by_frame(tmp_path: Path) -> None:
    text = "2,-1,11,21,5,10,0.5,-1,-1,-1\n1,-1,1,1,3,4,0.9,-1,-1,-1\n2,-1,101,201,1,2,0.25,-1,-1,-1\n"
    found = read_detections(write(tmp_path / "det.txt", text))
    assert sorted(found) == [1, 2]
    np.testing.assert_array_equal(found[1].boxes, [[0, 0, 3, 4]])
    np.testing.assert_array_equal(found[2].boxes, [[10, 20, 15, 30], [100, 200, 101, 202]])
    np.testing.assert_array_equal(found[2].confidence, np.float32([0.5, 0.25]))
    assert found[2].embeddings is None


def test_six_columns_and_placeholder_scores_mean_full_confidence(tmp_path: Path) -> None:
    for text in ("1,-1,1,1,3,4\n", "1,-1,1,1,3,4,-1,-1,-1,-1\n", "\ufeff1,-1,1,1,3,4\r\n\r\n"):
        assert read_detections(write(tmp_path / "det.txt", text))[1].confidence.tolist() == [1.0]


def test_scores_outside_zero_to_one_are_clipped_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "det.txt", "1,-1,1,1,3,4,-0.5\n1,-1,1,1,3,4,0.4\n1,-1,1,1,3,4,37\n")
    with pytest.warns(UserWarning, match="2 of 3 confidences"):
        found = read_detections(path)
    np.testing.assert_array_equal(found[1].confidence, np.float32([0, 0.4, 1]))


def test_columns_behind_the_tenth_are_an_embedding(tmp_path: Path) -> None:
    found = read_detections(write(tmp_path / "det.txt", "1,-1,1,1,3,4,0.5,-1,-1,-1,3,4\n"))
    np.testing.assert_allclose(found[1].embeddings, [[0.6, 0.8]], rtol=1e-6)


def test_empty_file_holds_no_detections(tmp_path: Path) -> None:
    assert read_detections(write(tmp_path / "det.txt", "\n")) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,-1,1,1,3\n", "line 1: at least 6 columns"),
        ("1,-1,1,1,3,4,1\n\n1,-1,1,1,3,4\n", "line 3: 6 columns, but 7 in line 1"),
        ("1,-1,1,1,3,4,1\n1,-1,1,x,3,4,1\n", "line 2: column 4 is not a number: 'x'"),
        ("1,-1,1,1,3,4,1\n1,-1,1,nan,3,4,1\n", "line 2: NaN or infinity"),
        ("1,-1,1,1,inf,4,1\n", "line 1: NaN or infinity"),
        ("1,-1,1,1,-3,4,1\n", "line 1: negative width or height"),
        ("0,-1,1,1,3,4,1\n", "line 1: frame numbers must be whole numbers from 1"),
        ("1.5,-1,1,1,3,4,1\n", "line 1: frame numbers must be whole numbers from 1"),
        ("1e12,-1,1,1,3,4,1\n", "line 1: frame numbers must be whole numbers from 1"),
        ("1,-1,1,1,3,4,1,-1,-1,-1,0.5\n", "line 1: expected 6 to 10 columns"),
    ],
)
def test_faulty_detections_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "det.txt", text)
    with pytest.raises(ValueError, match=re.escape(f"{path}, {message}")) as caught:
        read_detections(path)
    assert "\n" not in str(caught.value)


def test_missing_folder_and_binary_files_are_one_line_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_detections(tmp_path / "absent.txt")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        read_detections(tmp_path)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="not a text file"):
        read_detections(tmp_path / "binary")


def test_ground_truth_knows_class_and_visibility_but_not_in_the_layout_of_mot15(tmp_path: Path) -> None:
    modern = read_ground_truth(write(tmp_path / "gt.txt", "2,7,1,1,3,4,0,8,0.25\n1,9,5,5,3,4,1,1,1\n"))
    assert modern.frame.tolist() == [1, 2]
    assert modern.ids.tolist() == [9, 7]
    assert modern.confidence.tolist() == [1, 0]
    assert modern.class_id.tolist() == [1, 8]
    assert modern.visibility.tolist() == [1, 0.25]
    old = read_ground_truth(write(tmp_path / "gt.txt", "1,9,5,5,3,4,1,-3.5,2.25,0\n"))
    assert old.class_id.tolist() == [1]
    assert old.visibility.tolist() == [1]


def test_an_id_twice_in_a_frame_names_both_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "out.txt", "1,4,1,1,3,4,1\n1,5,1,1,3,4,1\n1,4,9,9,3,4,1\n")
    with pytest.raises(ValueError, match="line 3: id 4 was in frame 1 already, in line 1"):
        read_tracks(path)
    with pytest.raises(ValueError, match=r"line 1: id 4\.5 is not a whole number"):
        read_tracks(write(path, "1,4.5,1,1,3,4,1\n"))


def test_tracks_survive_writing_and_reading(tmp_path: Path) -> None:
    rows = [(3, 0.0, 0.0, 10.5, 20.25, 0.5), (12, -4.125, 7.0, 30.0, 1e4, 1.0)]
    with TrackWriter(tmp_path / "out.txt") as writer:
        writer.write(1, tracks_of(*rows))
        writer.write(2, Tracks.empty())
        writer.write(5, tracks_of(rows[0]))
    first = (tmp_path / "out.txt").read_text().splitlines()[0]
    assert first == "1,3,1.000,1.000,10.500,20.250,0.5000,-1,-1,-1"
    table = read_tracks(tmp_path / "out.txt")
    assert table.frame.tolist() == [1, 1, 5]
    assert table.ids.tolist() == [3, 12, 3]
    np.testing.assert_allclose(table.boxes[:2], [row[1:5] for row in rows])
    assert len(table[table.frame == 1]) == 2


def test_results_grow_in_a_part_file_and_appear_when_complete(tmp_path: Path) -> None:
    final, part = tmp_path / "out.txt", tmp_path / "out.txt.part"
    final.write_text("old\n")
    writer = TrackWriter(final)
    writer.write(1, tracks_of((1, 0, 0, 1, 1, 1)))
    assert final.read_text() == "old\n"
    assert len(read_tracks(part)) == 1  # what a killed run leaves
    writer.close()
    writer.close()
    assert not part.exists()
    assert len(read_tracks(final)) == 1


@pytest.mark.parametrize(("error", "kept"), [(KeyboardInterrupt, "out.txt"), (RuntimeError, "out.txt.part")])
def test_ctrl_c_completes_the_file_and_a_crash_leaves_the_part(
    tmp_path: Path, error: type[BaseException], kept: str
) -> None:
    def run() -> None:
        with TrackWriter(tmp_path / "out.txt") as writer:
            writer.write(1, tracks_of((1, 0, 0, 1, 1, 1)))
            raise error

    with pytest.raises(error):
        run()
    assert [path.name for path in tmp_path.iterdir()] == [kept]
    assert len(read_tracks(tmp_path / kept)) == 1


def test_a_device_is_written_to_and_not_replaced() -> None:
    with TrackWriter("/dev/null") as writer:
        writer.write(1, tracks_of((1, 0, 0, 1, 1, 1)))
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(not (DATA / "mot").is_dir(), reason="research data is not here")
def test_real_files_are_read_whole() -> None:
    pets = DATA / "mot" / "PETS09-S2L1"
    found = read_detections(pets / "det" / "det.txt")
    assert (len(found), sum(map(len, found.values()))) == (795, 4359)
    np.testing.assert_allclose(found[1].boxes[0], [648.441, 230.502, 692.858, 316.632])
    truth = read_ground_truth(pets / "gt" / "gt.txt")
    assert (len(truth), truth.frame.max(), len(set(truth.ids.tolist()))) == (2396, 400, 10)
