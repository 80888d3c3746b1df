"""Harmless variants of MOTChallenge text are read; for others the message names the cause."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from deepsort_paddle.motchallenge.text import read_detections, read_ground_truth, read_tracks
from deepsort_paddle.research.evaluate import main

ROWS = "1,-1,11,21,5,10,0.5,-1,-1,-1\n2,-1,101,201,1,2,0.25,-1,-1,-1\n"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "text",
    [
        ROWS.replace("\n", ",\n"),  # VisDrone, and pandas with an empty last column
        ROWS.replace("\n", ",,\n"),
        ROWS.replace("\n", " , \r\n"),
        ROWS.replace("\n", ",\n", 1),  # on one line only
        ROWS.replace(",", ", "),
        ROWS.replace(",", " "),
        ROWS.replace(",", "\t"),
        ROWS.replace(",", "   "),
        ROWS.replace(",", ";"),
        ROWS.replace("\n", ";\n").replace(",", ";"),
        "# frame,id,left,top,width,height\n" + ROWS,
        "\n" + ROWS + "\n\n",
    ],
)
def test_separators_comments_and_blank_lines_are_read(tmp_path: Path, text: str) -> None:
    found = read_detections(write(tmp_path / "det.txt", text))
    np.testing.assert_array_equal(found[1].boxes, [[10, 20, 15, 30]])
    np.testing.assert_array_equal(found[2].boxes, [[100, 200, 101, 202]])
    np.testing.assert_array_equal(found[2].confidence, np.float32([0.25]))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_text_of_powershell_is_read(tmp_path: Path, encoding: str) -> None:
    assert sorted(read_detections(write(tmp_path / "det.txt", ROWS, encoding))) == [1, 2]


def test_a_comma_at_the_end_leaves_class_and_visibility_where_they_are(tmp_path: Path) -> None:
    full = read_ground_truth(write(tmp_path / "gt.txt", "1,7,1,1,3,4,0,8,0.25,\n"))
    assert (full.class_id.tolist(), full.visibility.tolist()) == ([8], [0.25])
    empty_last = read_ground_truth(write(tmp_path / "gt.txt", "1,7,1,1,3,4,1,8,\n"))
    assert (empty_last.class_id.tolist(), empty_last.visibility.tolist()) == ([8], [1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,-1,1,1,3,4,,-1,-1,-1\n", "line 1: column 7 is empty"),
        ("1,-1,1,1,3\n", "line 1: at least 6 columns"),
        ("1 -1 1 1 3\n", "line 1: at least 6 columns"),
        ("frame,id,left\n", "line 1: column 1 is not a number: 'frame' (the format has no header)"),
        (
            "1 1 pedestrian 0 0 -10 1 2 3 4\n",
            "line 1: column 3 is not a number: 'pedestrian' (is this a KITTI",
        ),
        (
            "0,-1,1,1,3,4,1\n",
            "line 1: frame numbers must be whole numbers from 1 to 10000000 (this file counts",
        ),
        ("1,-1,1,1,3,4,1\n2,-1,1,1,3,4\n", "line 2: 6 columns, but 7 in line 1"),
    ],
)
def test_a_message_names_the_cause(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "det.txt", text)
    with pytest.raises(ValueError, match=re.escape(f"{path}, {message}")):
        read_detections(path)


def test_rows_of_paddledetection_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "det.txt", "1,10.5,20,5,12,0.9,0\n2,100,200,30,40,0.25,0\n")
    with pytest.warns(UserWarning, match=r"read as rows of PaddleDetection \(frame,left,top.*class\)$"):
        found = read_detections(path)
    np.testing.assert_array_equal(found[1].boxes, [[10.5, 20, 15.5, 32]])
    np.testing.assert_array_equal(found[2].confidence, np.float32([0.25]))
    write(path, "1,10.5,20,5,12,0.9,0\n2,100,200,30,40,0.25,2\n")
    with pytest.warns(UserWarning, match="classes 0, 2 all count as people"):
        read_detections(path)


@pytest.mark.parametrize("row", ["1,-1,11,21,5,10,1", "1,-1,0.1,0.2,0.3,0.4,1", "1,3,11,21,5,10,0.9"])
def test_seven_columns_of_motchallenge_stay_what_they_are(tmp_path: Path, row: str) -> None:
    found = read_detections(write(tmp_path / "det.txt", row + "\n"))
    left, top, width, height = (float(value) for value in row.split(",")[2:6])
    np.testing.assert_allclose(found[1].boxes, [[left - 1, top - 1, left - 1 + width, top - 1 + height]])


def test_results_of_paddledetection_are_read(tmp_path: Path) -> None:
    table = read_tracks(write(tmp_path / "o.txt", "1,1,11,21,5,10,0.9,0,-1,-1\n"))
    np.testing.assert_array_equal(table.boxes, [[10, 20, 15, 30]])
    several = write(tmp_path / "o.txt", "1,1,11,21,5,10,0.9,0,-1,-1\n1,1,50,21,5,10,0.9,2,-1,-1\n")
    with pytest.raises(
        ValueError, match=r"id 1 was in frame 1 already.*\(ids of several classes\? column 8 is 0"
    ):
        read_tracks(several)


def test_visdrone_categories_become_classes(tmp_path: Path) -> None:
    rows = [
        "1,1,11,21,5,10,1,1,0,0",
        "1,2,11,21,5,10,1,2,0,1",
        "1,3,11,21,5,10,1,4,1,2",
        "1,0,1,1,9,9,0,0,0,0",
    ]
    with pytest.warns(UserWarning, match="read as VisDrone annotation, of which pedestrians count"):
        truth = read_ground_truth(write(tmp_path / "gt.txt", "\n".join(rows)))
    assert truth.class_id.tolist() == [1, 7, 3, 8]
    assert truth.visibility.tolist() == [1, 0.75, 0.25, 1]


@pytest.mark.parametrize(
    ("last", "class_id"),
    [("3,0.5,-1", 3), ("-1,-1,-1", 1), ("0,0,0", 1), ("2.5,-7.1,0", 1), ("1,0.5,-1", 1)],
)
def test_ten_columns_have_a_class_only_where_they_say_so(tmp_path: Path, last: str, class_id: int) -> None:
    truth = read_ground_truth(write(tmp_path / "gt.txt", f"1,9,5,5,3,4,1,{last}\n"))
    assert truth.class_id.tolist() == [class_id]


def test_the_evaluation_takes_variants_and_says_how_it_read_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    visdrone = "".join(f"{f},{i},{100 * i},50,20,40,1,{i},0,0,\n" for f in range(1, 6) for i in (1, 2, 4))
    truth = write(tmp_path / "gt.txt", visdrone)
    results = write(tmp_path / "o.txt", "".join(f"{f} 1 100 50 20 40 1 -1 -1 -1\n" for f in range(1, 6)))
    assert main([str(truth), str(results)]) == 0
    output = capsys.readouterr()
    assert output.err == f"deepsort-eval: {truth}: read as VisDrone annotation, of which pedestrians count\n"
    header, line = (text.split() for text in output.out.splitlines())
    assert dict(zip(header, line[1:], strict=True))["MOTA"] == "100.00"


@pytest.mark.parametrize("end", ["{}", "{},1", "{},-1,-1"])
def test_several_classes_in_a_detection_file_are_said(tmp_path: Path, end: str) -> None:
    rows = [f"1,-1,{10 * number},21,5,10,0.9,{end.format(number)}" for number in (0, 2, 5)]
    with pytest.warns(UserWarning, match="column 8 holds classes 0, 2, 5: all count as people"):
        assert len(read_detections(write(tmp_path / "det.txt", "\n".join(rows)))[1]) == 3
    read_detections(write(tmp_path / "det.txt", rows[1]))  # one class is people
