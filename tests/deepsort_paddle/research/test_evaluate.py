from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from deepsort_paddle.research.evaluate import find_sequences, main

TRUTH = "".join(f"{f},{i},{100 * i},50,20,40,1,1,1\n" for f in range(1, 11) for i in (1, 2))
# Person 1 in all frames; person 2 with a new id from frame 6 on; one false positive in frame 3.
RESULTS = (
    "".join(
        f"{f},{i + 7 * (i == 2 and f > 5)},{100 * i},50,20,40,0.9,-1,-1,-1\n"
        for f in range(1, 11)
        for i in (1, 2)
    )
    + "3,99,900,50,20,40,0.9,-1,-1,-1\n"
)


def make_sequence(folder: Path, length: int | None = 10) -> Path:
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(TRUTH)
    if length is not None:
        (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={folder.name}\nseqLength={length}\n")
    return folder


@pytest.fixture
def data(tmp_path):
    """Two sequences and their results."""
    for name in ("a", "b"):
        make_sequence(tmp_path / "truth" / name)
    (tmp_path / "results").mkdir()
    for name in ("a", "b"):
        (tmp_path / "results" / f"{name}.txt").write_text(RESULTS)
    return tmp_path


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_a_ground_truth_file_takes_the_one_result_of_a_folder(data, capsys):
    (data / "gt.txt").write_text(TRUTH)
    (data / "one").mkdir()
    (data / "one" / "street.txt").write_text(RESULTS)
    assert main([str(data / "gt.txt"), str(data / "one")]) == 0
    assert rows(capsys.readouterr().out)[1][0] == "gt"


@pytest.mark.parametrize(
    ("folder", "message"),
    [("results", "results has several (a.txt, b.txt)"), ("truth", "truth has no .txt file")],
)
def test_a_folder_with_no_or_several_results_for_one_file_is_named(data, capsys, folder, message):
    (data / "gt.txt").write_text(TRUTH)
    assert main([str(data / "gt.txt"), str(data / folder)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert f"expected a folder with one result for {data / 'gt.txt'}" in error


def test_a_folder_of_sequences_gives_one_line_per_sequence_and_one_overall(data, capsys):
    assert main([str(data / "truth"), str(data / "results")]) == 0
    output = capsys.readouterr()
    header, *lines = rows(output.out)
    assert [line[0] for line in lines] == ["a", "b", "overall"]
    columns = dict(zip(header, lines[2][1:], strict=True))
    # Twice: no misses, 1 false positive and 1 switch in 20 boxes.
    assert columns["MOTA"] == "90.00"
    assert columns["IDSW"] == "2"
    assert columns["FP"] == "2"
    # Track 1 and one half of person 2: 15 of 20 boxes, 21 results.
    assert columns["IDF1"] == f"{100 * 2 * 15 / 41:.2f}"
    assert output.err == ""


def test_columns_are_aligned(data, capsys):
    main([str(data / "truth"), str(data / "results")])
    lines = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in lines}) == 1


def test_counts_go_below_the_ratios_on_a_narrow_terminal(data, capsys, monkeypatch):
    arguments = [str(data / "truth"), str(data / "results")]
    assert main(arguments) == 0
    whole = rows(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    assert main(arguments) == 0
    assert rows(capsys.readouterr().out) == whole
    monkeypatch.setenv("COLUMNS", "80")
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    above, below = (rows(part) for part in text.split("\n\n"))
    assert [above[0] + below[0]] == whole[:1]
    assert [first + second[1:] for first, second in zip(above[1:], below[1:], strict=True)] == whole[1:]


def test_one_sequence_has_no_overall_line(data, capsys):
    for truth in (data / "truth" / "a", data / "truth" / "a" / "gt" / "gt.txt"):
        for results in (data / "results", data / "results" / "a.txt"):
            assert main([str(truth), str(results)]) == 0
            assert [line[0] for line in rows(capsys.readouterr().out)[1:]] == ["a"]


def test_two_files_are_paired_whatever_their_names(data, tmp_path, capsys):
    truth = tmp_path / "street_truth.txt"
    truth.write_text(TRUTH)
    assert main([str(truth), str(data / "results" / "a.txt")]) == 0
    assert rows(capsys.readouterr().out)[1][0] == "street_truth"


def test_a_result_file_is_paired_by_name_within_a_folder_of_sequences(data):
    pairs, left_out = find_sequences(data / "truth", data / "results" / "b.txt")
    assert [pair.name for pair in pairs] == ["b"]
    assert left_out == []


def test_sequences_without_results_are_named(data, capsys):
    (data / "results" / "b.txt").unlink()
    assert main([str(data / "truth"), str(data / "results")]) == 0
    assert capsys.readouterr().err == "deepsort-eval: no results for b: skipped\n"


def test_json_and_csv_hold_full_precision(data, capsys):
    json_path, csv_path = data / "scores.json", data / "scores.csv"
    assert (
        main([str(data / "truth"), str(data / "results"), "--json", str(json_path), "--csv", str(csv_path)])
        == 0
    )
    report = json.loads(json_path.read_text())
    assert [scores["name"] for scores in report["sequences"]] == ["a", "b"]
    assert report["overall"]["idf1"] == pytest.approx(2 * 15 / 41)
    with csv_path.open() as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["a", "b", "overall"]
    assert float(lines[2]["idf1"]) == report["overall"]["idf1"]
    assert int(lines[2]["id_switches"]) == 2


def test_a_ratio_that_does_not_exist_is_a_dash_and_null(data, capsys):
    (data / "results" / "a.txt").write_text("")
    json_path = data / "scores.json"
    assert main([str(data / "truth" / "a"), str(data / "results"), "--json", str(json_path)]) == 0
    header, line = rows(capsys.readouterr().out)
    assert dict(zip(header, line[1:], strict=True))["MOTP"] == "-"
    assert json.loads(json_path.read_text())["overall"]["motp"] is None


def test_metrics_of_matches_are_undefined_without_a_match(data, capsys):
    """TrackEval reports a LocA of 100 without a match."""
    for results in ("", "".join(f"{f},1,600,400,20,40,1,-1,-1,-1\n" for f in range(1, 11))):
        (data / "results" / "a.txt").write_text(results)
        json_path = data / "scores.json"
        assert main([str(data / "truth" / "a"), str(data / "results"), "--json", str(json_path)]) == 0
        header, line = rows(capsys.readouterr().out)
        columns = dict(zip(header, line[1:], strict=True))
        assert (columns["HOTA"], columns["LocA"], columns["MOTP"]) == ("0.00", "-", "-")
        assert json.loads(json_path.read_text())["overall"]["loca"] is None


@pytest.mark.parametrize("length", [10, 24, 395, None])
def test_a_sequence_that_starts_late_is_counted_from_there(data, capsys, length):
    late = make_sequence(data / "late", length)

    def moved(text: str) -> str:
        lines = (line.split(",", 1) for line in text.splitlines())
        return "".join(f"{int(frame) + 371},{rest}\n" for frame, rest in lines)

    (late / "gt" / "gt.txt").write_text(moved(TRUTH))
    (data / "results" / "late.txt").write_text(moved(RESULTS))
    assert main([str(late), str(data / "results")]) == 0
    output = capsys.readouterr()
    header, line = rows(output.out)
    columns = dict(zip(header, line[1:], strict=True))
    assert (columns["MOTA"], columns["IDSW"], columns["FP"]) == ("90.00", "1", "1")
    assert columns["Frames"] == str(length or 10)
    assert output.err == ""


def test_sequences_without_objects_are_skipped(data, capsys):
    (data / "truth" / "a" / "gt" / "gt.txt").write_text("")
    assert main([str(data / "truth"), str(data / "results")]) == 0
    output = capsys.readouterr()
    assert [line[0] for line in rows(output.out)[1:]] == ["b"]
    assert output.err.endswith("gt.txt holds no boxes: skipped\n")
    (data / "truth" / "b" / "gt" / "gt.txt").write_text("1,1,5,5,10,10,0,1,1\n")
    assert "has no objects to evaluate" in error_of(capsys, data / "truth", data / "results")


def test_results_outside_the_ground_truth_are_ignored_with_a_note(data, capsys):
    (data / "truth" / "a" / "seqinfo.ini").unlink()
    beyond = "".join(f"{f},1,100,50,20,40,1,-1,-1,-1\n" for f in (11, 12))
    (data / "results" / "a.txt").write_text(RESULTS + beyond)
    assert main([str(data / "truth" / "a"), str(data / "results")]) == 0
    output = capsys.readouterr()
    assert output.err.startswith(
        "deepsort-eval: a: 2 of 23 results lie outside frames 1 to 10 and were ignored"
    )
    header, line = rows(output.out)
    assert dict(zip(header, line[1:], strict=True))["FP"] == "1"
    assert main([str(data / "truth" / "a"), str(data / "results"), "--frames", "1-12"]) == 0
    header, line = rows(capsys.readouterr().out)
    assert dict(zip(header, line[1:], strict=True))["FP"] == "3"


def test_results_that_end_early_give_a_note(data, capsys):
    first = "".join(line + "\n" for line in RESULTS.splitlines() if int(line.split(",")[0]) <= 6)
    (data / "results" / "a.txt").write_text(first)
    assert main([str(data / "truth" / "a"), str(data / "results")]) == 0
    assert capsys.readouterr().err == (
        "deepsort-eval: a: results end at frame 6 of 10, 8 true boxes after it count as missed "
        "(--frames 1-6 excludes them)\n"
    )
    assert main([str(data / "truth" / "a"), str(data / "results"), "--frames", "1-10"]) == 0
    assert capsys.readouterr().err == ""


def test_ground_truth_that_ends_early_gives_a_note(data, capsys):
    make_sequence(data / "truth" / "c", length=50)
    (data / "results" / "c.txt").write_text(RESULTS + "40,1,100,50,20,40,1,-1,-1,-1\n")
    assert main([str(data / "truth" / "c"), str(data / "results")]) == 0
    output = capsys.readouterr()
    assert "c: ground truth ends at frame 10 of 50, 1 results after it count as false positives" in output.err
    assert "(--frames 1-10 excludes them)" in output.err


def test_swapped_ground_truth_and_results_give_a_note(data, capsys):
    truth, results = data / "truth" / "a" / "gt" / "gt.txt", data / "results" / "a.txt"
    assert main([str(results), str(truth)]) == 0
    error = capsys.readouterr().err
    assert error.startswith(f"deepsort-eval: a: 21 of 21 flags in {results} (7th column) are fractions")
    assert error.endswith("pass the ground truth first, the results second\n")


def test_empty_results_give_a_note(data, capsys):
    (data / "results" / "a.txt").write_text("")
    assert main([str(data / "truth" / "a"), str(data / "results")]) == 0
    assert "a.txt holds no boxes, so all true boxes count as missed" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_a_report_does_not_replace_an_input(data, capsys, option):
    truth = data / "truth" / "a" / "gt" / "gt.txt"
    link = data / "link.txt"
    link.symlink_to(truth)
    for path in (truth, link, data / "results" / "a.txt"):
        error = error_of(capsys, truth, data / "results" / "a.txt", option, path)
        assert f"{option} {path} would replace an input" in error
    assert truth.read_text() == TRUTH
    assert (data / "results" / "a.txt").read_text() == RESULTS


def test_two_reports_in_one_file_are_one_line_and_exit_2(data, capsys):
    both = data / "scores"
    arguments = (data / "truth", data / "results", "--json", both, "--csv", both)
    assert "--json and --csv name the same file" in error_of(capsys, *arguments)
    assert not both.exists()


def test_a_range_of_frames_and_a_benchmark_can_be_chosen(data, capsys):
    arguments = [str(data / "truth" / "a"), str(data / "results"), "--frames", "6-10", "--benchmark", "MOT15"]
    assert main([*arguments, "--clear", "trackeval"]) == 0
    header, line = rows(capsys.readouterr().out)
    scores = dict(zip(header, line[1:], strict=True))
    assert (scores["Frames"], scores["IDSW"], scores["MOTA"]) == ("5", "0", "100.00")


def error_of(capsys, *arguments: object) -> str:
    """Return the error line of a failing call; check that it is the only output."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        code = stop.code
    output = capsys.readouterr()
    assert code == 2
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert output.err.startswith("deepsort-eval: error: ")
    return output.err


def test_missing_files_are_one_line_and_exit_2(data, capsys):
    assert "no such file or folder: " in error_of(capsys, data / "nowhere", data / "results")
    assert "no such file or folder: " in error_of(capsys, data / "truth", data / "nowhere.txt")
    assert "holds no gt/gt.txt and no folder that does" in error_of(capsys, data, data / "results")
    assert "there is no folder" in error_of(
        capsys, data / "truth", data / "results", "--json", data / "nowhere" / "scores.json"
    )


def test_files_without_a_common_sequence_are_one_line_and_exit_2(data, capsys):
    (data / "empty").mkdir()
    message = error_of(capsys, data / "truth", data / "empty")
    assert "has no results of any sequence, expected a.txt, b.txt" in message
    (data / "z.txt").write_text(RESULTS)
    assert "has no sequence z, the name of z.txt" in error_of(capsys, data / "truth", data / "z.txt")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,1,nan,0,10,10,1,-1,-1,-1\n", "line 1"),
        ("1,1,5,5\n", "line 1"),
        ("one,1,5,5,10,10,1,-1,-1,-1\n", "line 1"),
        ("1,1,5,5,10,10,1,-1,-1,-1\n1,1,6,6,10,10,1,-1,-1,-1\n", "id 1"),
        ("1,-1,5,5,10,10,1\n1,-1,6,6,10,10,1\n", "(is this a file of detections?)"),
        ("frame,id,x1,y1,x2,y2\n", "column 1 is not a number: 'frame' (the format has no header)"),
    ],
)
def test_malformed_results_are_one_line_and_exit_2(data, capsys, text, message):
    (data / "results" / "a.txt").write_text(text)
    error = error_of(capsys, data / "truth" / "a", data / "results")
    assert "a.txt" in error
    assert message in error


def test_ground_truth_without_objects_is_one_line_and_exit_2(data, capsys):
    truth = data / "truth" / "a" / "gt" / "gt.txt"
    truth.write_text("")
    assert "gt.txt holds no boxes" in error_of(capsys, data / "truth" / "a", data / "results")
    truth.write_text("1,1,5,5,10,10,0,1,1\n")
    error = error_of(capsys, data / "truth" / "a", data / "results")
    assert "has no objects to evaluate in frames 1 to 10 by the rules of MOT17" in error


def test_wrong_arguments_are_one_line_and_exit_2(data, capsys):
    assert "required: RESULTS" in error_of(capsys, data / "truth")
    both = (data / "truth", data / "results")
    assert "expected A-B with 1 <= A <= B, got '9-3'" in error_of(capsys, *both, "--frames", "9-3")
    assert "invalid choice: 'MOT99'" in error_of(capsys, *both, "--benchmark", "MOT99")
