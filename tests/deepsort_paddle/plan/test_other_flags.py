"""Flags of PaddleDetection and of other trackers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deepsort_paddle.command.parser import parse
from deepsort_paddle.plan.run_plan import RunPlan


def test_a_command_of_pptracking_means_the_same_here() -> None:
    words = "--model_dir=d --reid_model_dir w --video_file=a.mp4 --device=GPU --output_dir o --threshold 0.4"
    words += " --save_images --save_mot_txts --draw_center_traj --run_mode=paddle --enable_mkldnn True"
    words += " --batch_size 1 --reid_batch_size=50 --camera_id -1 --scaled=True --use_dark False"
    words += " --warmup_frame 50 --cpu_threads 2 --skip_frame_num -1"
    expected = RunPlan(
        source="a.mp4", detector="d", reid="w", device="gpu", save_dir="o", min_confidence=0.4, threads=2
    )
    assert parse(words.split()) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--image_file a.jpg", {"source": "a.jpg"}),
        ("--camera_id 0", {"source": "0"}),
        ("a.mp4 --csv t.csv --save_mot_txts", {"csv": "t.csv"}),
        ("--image_dir a --frame_rate 20 --det_results_dir d", {"source": "a", "fps": 20, "detections": "d"}),
        ("a.mp4 --frame_rate -1 --draw_threshold 0.3", {"min_confidence": 0.3}),
        ("a.mp4 --do_entrance_counting", {"lines": ["entrance:0,0.5,1,0.5"]}),
        (
            "a.mp4 --do_entrance_counting --region_type vertical --secs_interval 2",
            {"lines": ["entrance:0.5,0,0.5,1"], "count_every": 2},
        ),
        (
            "a.mp4 --do_break_in_counting --region_type custom --region_polygon 9 9 90 9 90 99",
            {"zones": ["region:9,9,90,9,90,99"]},
        ),
        ("a.mp4 --secs_interval 2 --region_type vertical", {}),
    ],
)
def test_flags_of_paddledetection_become_options(words: str, expected: dict[str, Any]) -> None:
    assert parse(words.split()) == RunPlan(**{"source": "a.mp4", "save_dir": "output", **expected})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--source a.mp4",
            "unrecognized arguments: --source (the source needs no flag: deepsort-track SOURCE)",
        ),
        ("--input=a.mp4", "the source needs no flag"),
        ("a.mp4 --conf 0.3", "(use --min-confidence SCORE)"),
        ("a.mp4 --tracker_config t.yml", "--tracker-config t.yml (use --preset and --set NAME=VALUE)"),
        ("a.mp4 --save_mot_txt_per_img", "--output FILE has the tracks of all frames"),
        ("a.mp4 --trt_calib_mode=True", "TensorRT is not used"),
        ("a.mp4 --run_mode trt_fp16", "--run-mode trt_fp16: TensorRT is not used: leave it out"),
        ("a.mp4 --skip_frame_num 2", "use --stride N"),
        ("a.mp4 --mtmct_dir d", "deepsort-track cam1.mp4 cam2.mp4 --identities"),
        ("--video_dir d", "deepsort-track VIDEOS/*.mp4"),
        ("a.mp4 --do_break_in_counting", "needs --region-polygon"),
        (
            "a.mp4 --do_entrance_counting --region_type custom",
            "expected horizontal or vertical, got 'custom'",
        ),
        ("a.mp4 --skip_frame_num two", "--skip-frame-num: expected a number from -1 up, got 'two'"),
        ("a.mp4 --gpu", "use --device gpu"),
        ("a.mp4 -o x", "use --save-dir DIR or --output FILE"),
        ("a.mp4 --strid 2", "did you mean --stride?"),
    ],
)
def test_other_flags_are_refused_with_what_to_use_instead(words: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(words.split())


@pytest.mark.parametrize("words", ["a.mp4 --video_file b.mp4", "--img_dir a.mp4 --video_file b.mp4"])
def test_two_sources_of_which_one_has_a_flag_are_named(words: str) -> None:
    with pytest.raises(
        ValueError, match="expected one SOURCE, got .*a.mp4 and --video-file b.mp4; several are"
    ):
        parse(words.split())
