from __future__ import annotations

import json
import pickle
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from reid_train.checkpoints.checkpoint import read_checkpoint
from reid_train.command_line import build_parser, main
from reid_train.commands import _command
from reid_train.data import preparation
from reid_train.evaluation.features import read_npz
from reid_train.models import MODELS

SETTINGS = """
--model PlainNorm --embedding_size 6 --image_shape 3,16,16 --train_batch_size 12 --test-batch-size 8 --lr 0.05
--total_iter_num 4 --display_iter_step 2 --test_iter_step 2 --save_iter_step 2
"""


@pytest.fixture
def command(capsys):
    """Return a function that runs a command line and returns its exit code, stdout and stderr."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def refused(command):
    """Return a function that runs a failing command line and returns its one line on stderr."""

    def run(*arguments):
        code, _, message = command(*arguments)
        assert code == 2, message
        assert message.startswith("reid-train")
        assert message.count("\n") == 1
        assert message.endswith("\n")
        return message

    return run


@pytest.fixture(scope="session")
def trained(people, strangers, tiny_models, tmp_path_factory):
    """A finished run of the elem command."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        for name, backbone in tiny_models.items():
            patch.setitem(MODELS, name, backbone)
        arguments = ["elem", "--train", str(people), "--dev", str(strangers), "--model_save_dir", str(folder)]
        assert main([*arguments, *SETTINGS.split()]) == 0
    return folder


def printed_configuration(out):
    return json.loads(out[out.index("{") : out.index("\n}") + 2])


def test_all_commands_work_together(write_people, command, tmp_path):
    source = write_people(tmp_path / "Market-1501" / "bounding_box_train", ids=10, each=6)
    data, elem, pair = (tmp_path / name for name in ("data", "elem", "pair"))
    code, out, _ = command("prepare", source, "--output", data, "--held-out-ids", 3, "--seed", 1)
    assert code == 0
    assert re.search(r"train +42 +7 +2", out)
    assert re.search(r"dev +18 +3 +2", out)

    arguments = ["--data", data, *SETTINGS.split()]
    code, out, err = command(
        "elem", *arguments, "--loss_name", "arcmargin", "--use_gpu", "False", "--model_save_dir", elem
    )
    assert (code, err) == (0, "")
    settings = printed_configuration(out)
    assert settings == json.loads((elem / "config.json").read_text())
    assert (settings["loss_name"], settings["arc_scale"]) == ("arcmargin", 80.0)
    assert settings["image_shape"] == [3, 16, 16]
    code, out, err = command(
        *("pair", *arguments, "--loss_name", "eml", "--samples_each_class", 3),
        *("--pretrained_model", elem, "--model_save_dir", pair),
    )
    assert (code, err) == (0, "")
    assert f"weights of {elem / 'checkpoint_0000004.safetensors'}, iteration 4" in out
    origin = read_checkpoint(pair / "checkpoint_0000004.safetensors").origin
    assert origin["start"] == "From elem"
    assert origin["data"] == "Market-1501"
    assert (origin["train_images"], origin["train_ids"], len(origin["identities"]["Market-1501"])) == (
        42,
        7,
        7,
    )
    assert str(tmp_path) not in origin["command"]

    report = tmp_path / "report"
    code, out, err = command("eval", "--pretrained_model", pair, "--data", data, "--report_dir", report)
    assert (code, err) == (0, "")
    assert "Market-1501 protocol: rank-1" in out
    assert json.loads((report / "report.json").read_text())["gallery_images"] == 18

    features, text = tmp_path / "out" / "features.npz", tmp_path / "out" / "features.txt"
    for output in (features, text):
        code, out, err = command("infer", "--pretrained_model", pair, "--data", source, "--output", output)
        assert (code, err) == (0, "")
    assert read_npz(features).names == tuple(str(path) for path in sorted(source.iterdir()))
    assert len(text.read_text().splitlines()) == 60

    weights = tmp_path / "weights" / "toy"
    code, out, _ = command("export", "--pretrained_model", pair, "--data", data, "--model_save_dir", weights)
    assert code == 0
    assert "max_cosine_distance 0." in out
    assert json.loads((weights / "encoder.json").read_text())["evaluation"]["ids"] == 3
    code, out, _ = command("calibrate", weights, "--data", data / "dev.txt")
    assert code == 0
    assert re.search(r"^Market-1501 ±15% ", out, re.MULTILINE)
    assert "max_cosine_distance was 0." in out


def test_a_recipe_from_a_file_is_overridden_by_flags(command, people, tmp_path):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "elem: {model: Plain, embedding_size: 6, image_shape: '3,16,16', train_batch_size: 12, "
        "total_iter_num: 2, lr: 0.5}"
    )
    code, out, _ = command(
        "elem", "--train", people, "--recipe", recipe, "--lr", "0.25", "--model_save_dir", tmp_path / "run"
    )
    assert code == 0
    settings = printed_configuration(out)
    assert (settings["model"], settings["total_iter_num"], settings["lr"]) == ("Plain", 2, 0.25)
    assert "note: no dev set" in out


def test_a_run_continues_with_the_settings_of_its_checkpoint(command, people, strangers, trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    arguments = ["--train", people, "--dev", strangers, "--checkpoint", folder]
    code, out, err = command("elem", *arguments, "--total_iter_num", 6)  # in its original folder
    assert (code, err) == (0, "")
    assert printed_configuration(out)["model"] == "PlainNorm"
    assert "note: total_iter_num was 4 up to the checkpoint, is now 6" in out
    origin = read_checkpoint(folder / "checkpoint_0000006.safetensors").origin
    assert origin["start"] == "From scratch"
    code, _, message = command("elem", *arguments)
    assert (code, message) == (2, "reid-train: error: the checkpoint is at iteration 6 of 6: nothing to do\n")


def test_bad_data_is_refused(write_people, refused, people, tmp_path):
    empty, one = tmp_path / "empty.txt", tmp_path / "one.txt"
    empty.write_text("image_id class_id super_class_id path\n")
    first = sorted(people.iterdir())[0]
    one.write_text(f"image_id class_id super_class_id path\n1 1 1 {first}\n2 1 1 {first}\n")
    bad = write_people(tmp_path / "bad" / "bounding_box_train", ids=3, each=2)
    (bad / "0002_c1s1_000000_01.jpg").write_bytes(b"not an image")
    run = tmp_path / "run"
    assert f"{empty}: expected a folder, got a file" in refused(
        "elem", "--train", people, *SETTINGS.split(), "--model_save_dir", empty
    )
    arguments = [*SETTINGS.split(), "--model_save_dir", run]
    assert "the list is empty" in refused("elem", "--train", empty, *arguments)
    assert "one id only" in refused("elem", "--train", one, *arguments)
    assert "0002_c1s1_000000_01.jpg: not a readable image" in refused("elem", "--train", bad, *arguments)
    assert "gone: no such list file or folder" in refused("elem", "--train", tmp_path / "gone", *arguments)
    message = refused("elem", "--data", tmp_path / "gone", *arguments)
    assert "no such list; run reid-train prepare" in message
    assert "name either --data" in refused("elem", *arguments)
    assert "name either --data" in refused("elem", "--data", tmp_path, "--train", people, *arguments)
    message = refused("elem", "--train", people, *arguments, "--class_dim", 9)
    assert "class_dim must be at least 10" in message
    assert "no id has more than 6 images" in refused(
        *("pair", "--train", people, *arguments, "--loss_name", "eml", "--samples_each_class", 12)
    )
    assert not run.exists()


def test_a_wrong_checkpoint_is_refused(refused, people, trained, tmp_path):
    last = trained / "checkpoint_0000004.safetensors"
    cut, pickled, weights = (tmp_path / name for name in ("cut.safetensors", "p.safetensors", "w.pdparams"))
    cut.write_bytes(last.read_bytes()[:-9])
    pickled.write_bytes(pickle.dumps({"weights": [1, 2]}))
    weights.write_bytes(pickle.dumps({}))
    run = tmp_path / "run"
    arguments = ["elem", "--train", people, "--model_save_dir", run]
    assert "damaged, or not a checkpoint" in refused(*arguments, "--checkpoint", cut)
    assert "damaged, or not a checkpoint" in refused(*arguments, "--checkpoint", pickled)
    assert "--pretrained_model" in refused(*arguments, "--checkpoint", weights)
    assert "no such checkpoint" in refused(*arguments, "--checkpoint", tmp_path / "gone.safetensors")
    assert "holds no checkpoint_*" in refused(*arguments, "--checkpoint", tmp_path)
    assert "expected model Plain as in this run, got PlainNorm" in refused(
        *arguments, "--checkpoint", last, "--model", "Plain", "--total_iter_num", 9
    )
    assert "expected model Plain as in this run, got PlainNorm" in refused(
        *arguments, *SETTINGS.split(), "--pretrained_model", last, "--model", "Plain"
    )
    assert "either --checkpoint" in refused(*arguments, "--checkpoint", last, "--pretrained_model", last)
    message = refused("pair", "--train", people, "--model_save_dir", run, "--checkpoint", last)
    assert "to start another stage from weights, use --pretrained_model" in message
    for name in ("eval", "export", "infer"):
        extra = {"export": ["--model_save_dir", run], "infer": ["--output", run / "f.npz"]}.get(name, [])
        message = refused(name, "--data", people, "--pretrained_model", cut, *extra)
        assert "damaged, or not a checkpoint" in message
        message = refused(
            name, "--data", people, "--pretrained_model", last, "--image-shape", "3,16,8", *extra
        )
        assert "image_shape is 3,16,16, --image_shape says 3,16,8" in message
    assert not run.exists()


def test_a_second_run_in_a_folder_is_refused(refused, people, trained):
    before = sorted(path.name for path in trained.iterdir())
    message = refused("elem", "--train", people, *SETTINGS.split(), "--model_save_dir", trained)
    assert "continue it with --checkpoint" in message
    assert sorted(path.name for path in trained.iterdir()) == before


def test_evaluation_on_training_persons_is_refused(refused, people, trained, tmp_path):
    for name in ("eval", "export"):
        extra = ["--model_save_dir", tmp_path / "toy"] if name == "export" else []
        message = refused(name, "--pretrained_model", trained, "--data", people, *extra)
        assert "the network has seen 10 of the 10" in message


def test_cameras_of_a_list_are_used_and_unknown_ones_give_a_note(write_people, command, trained, tmp_path):
    folder = write_people(tmp_path / "mine", ids=4, each=4, first=101)
    rows = {
        0: ["image_id class_id super_class_id path"],
        1: ["image_id class_id super_class_id path camera_id"],
    }
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"a person {number:02d}.jpg")
        for cameras, lines in rows.items():
            line = f"{number + 1} {number // 4 + 1} 1 mine/a person {number:02d}.jpg"
            lines.append(f"{line} {number % 2 + 1}" if cameras else line)
    for cameras, lines in rows.items():
        (tmp_path / "list.txt").write_text("\n".join(lines))
        page, report = tmp_path / "report.html", tmp_path / "report"
        code, out, err = command(
            *("eval", "--pretrained_model", trained, "--data", tmp_path / "list.txt"),
            *("--report", page, "--report_dir", report),
        )
        assert (code, err) == (0, "")
        texts = (out, page.read_text(), (report / "report.json").read_text())
        assert all(("Market-1501 protocol" in text) == bool(cameras) for text in texts)
        assert all(("cameras unknown" in text) != bool(cameras) for text in texts)
        code, out, _ = command(
            *("export", "--pretrained_model", trained, "--data", tmp_path / "list.txt"),
            *("--model_save_dir", tmp_path / "toy"),
        )
        assert code == 0
        card = (tmp_path / "toy" / "MODEL_CARD.md").read_text()
        assert ("note: cameras unknown: same-person pairs of one camera" in out) != bool(cameras)
        assert ("Cameras are unknown" in card) != bool(cameras)


def test_several_sets_are_evaluated_in_one_run_and_one_table(write_people, command, trained, tmp_path):
    one = write_people(tmp_path / "one", ids=4, each=4, first=101)
    two = write_people(tmp_path / "two", ids=5, each=4, first=201)
    page, report = tmp_path / "r.html", tmp_path / "report"
    arguments = ("eval", "--pretrained_model", trained, "--data", one, "--data", two)
    code, out, err = command(*arguments, "--report", page, "--report_dir", report)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line for line in lines if line in ("one:", "two:")] == ["one:", "two:"]
    table = next(row for row, line in enumerate(lines) if "queries" in line and "±15% rank-1" in line)
    assert lines[table + 1].split()[:2] == ["one", "8"]
    assert lines[table + 2].split()[:2] == ["two", "10"]
    figures = [json.loads((report / name / "report.json").read_text()) for name in ("one", "two")]
    assert [len(of["casts"]) for of in figures] == [2, 2]
    assert f"{figures[1]['market']['rank1']:.2%}" in lines[table + 2]
    assert f"{figures[1]['casts'][1]['mean_ap']:.2%}" in lines[table + 2]
    text = page.read_text()
    assert text.count("<h2>Figures</h2>") == 2
    assert "±30%" in text
    assert "true accept rate" in text
    code, single, _ = command("eval", "--pretrained_model", trained, "--data", two, "--casts", "0")
    assert code == 0
    assert "colour cast" not in single
    assert single.splitlines()[0] in out


def test_eval_finds_the_official_lists_of_a_folder_and_the_split_of_a_root(
    write_people, command, trained, tmp_path
):
    root, data = tmp_path / "Market-1501", tmp_path / "data"
    write_people(root / "query", ids=2, each=1, first=111)
    write_people(root / "bounding_box_test", ids=3, each=4, first=110)
    assert command("prepare", root, "--output", data, "--split", "official")[0] == 0
    outputs = []
    for arguments in (
        ("--data", data),
        ("--data", root),
        ("--query", root / "query", "--gallery", root / "bounding_box_test"),
    ):
        code, out, err = command("eval", "--pretrained_model", trained, *arguments)
        assert (code, err) == (0, "")
        outputs.append(out)
    assert "(2 queries)" in outputs[0]
    assert outputs[0] == outputs[1] == outputs[2]


def test_a_folder_selects_its_newest_checkpoint_with_a_note(command, trained, strangers):
    code, out, _ = command("eval", "--pretrained_model", trained, "--data", strangers)
    assert code == 0
    assert f"note: {trained}: took checkpoint_0000004.safetensors, the newest; {trained / 'best.s'}" in out
    code, out, _ = command("eval", "--pretrained_model", trained / "best.safetensors", "--data", strangers)
    assert code == 0
    assert "took" not in out


def test_parameters_of_paddle_1_only_initialise_a_training(refused, people, tmp_path):
    fluid = tmp_path / "ResNet50_vd_pretrained"
    fluid.mkdir()
    (fluid / "conv1_1_weights").write_bytes(bytes(16) + b"\x04\0\0\0\x08\x05\x10\x01" + bytes(4))
    arguments = ["elem", "--train", people, *SETTINGS.split(), "--model_save_dir", tmp_path / "run"]
    message = refused(*arguments, "--pretrained_model", fluid)
    assert "parameters of Paddle 1 (one file each) can be read for ResNets, not for" in message
    message = refused("export", "--pretrained_model", fluid, "--model_save_dir", tmp_path / "out")
    assert "holds parameters of Paddle 1 (fluid), which only start a training" in message
    (tmp_path / "w.pdparams").write_bytes(pickle.dumps({}))
    message = refused(*arguments, "--pretrained_model", tmp_path / "w")
    assert f"{tmp_path / 'w.pdparams'}: expected 90% of" in message


def test_a_collapsed_export_gives_a_warning(command, trained, strangers, tmp_path, monkeypatch):
    from reid_train.export import measurements as module

    plain = module.calibrate
    monkeypatch.setattr(
        module,
        "calibrate",
        lambda pairs: replace(plain(pairs), false_accept_rate=0.97, max_cosine_distance=0.001),
    )
    arguments = ("export", "--pretrained_model", trained, "--data", strangers)
    code, out, _ = command(*arguments, "--model_save_dir", tmp_path / "toy")
    assert code == 0
    assert "warning: even this threshold accepts 97% of different-person pairs" in out
    card = (tmp_path / "toy" / "MODEL_CARD.md").read_text()
    assert "With a different colour cast in each camera" in card
    assert "accepted at 1 % false" in card


def test_export_without_data_gives_a_warning(command, trained, tmp_path):
    code, out, _ = command("export", "--pretrained_model", trained, "--model_save_dir", tmp_path / "toy")
    assert code == 0
    assert "warning: exported without evaluation: the threshold is not calibrated" in out
    assert f"written: {tmp_path / 'toy'}" in out


def test_every_flag_of_every_command_has_help():
    commands = build_parser()._subparsers._group_actions[0].choices
    for name, parser in commands.items():
        without = [action.dest for action in parser._actions if not action.help]
        assert not without, f"{name}: {without}"


def test_person_numbers_of_another_data_set_are_not_a_leak(write_people, command, trained, tmp_path):
    # The network was trained on persons 1 to 10 of Market-1501.
    other = write_people(tmp_path / "pku_reid" / "bounding_box_test", ids=5, each=4)
    code, _, err = command("eval", "--pretrained_model", trained, "--data", other, "--casts", "0")
    assert (code, err) == (0, "")


def test_training_persons_of_initial_weights_are_recorded(write_people, command, refused, trained, tmp_path):
    # `trained` used persons 1 to 10; these runs train on others and start from its weights.
    others = write_people(tmp_path / "others" / "bounding_box_train", ids=4, each=4, first=21)
    seen = write_people(tmp_path / "seen" / "bounding_box_train", ids=3, each=4, first=8)
    arguments = ["elem", "--train", others, "--dev", seen, *SETTINGS.split(), "--total_iter_num", "2"]
    for flag in ("--pretrained_model", "--teacher"):
        run = tmp_path / flag.strip("-")
        code, out, _ = command(*arguments, flag, trained, "--model_save_dir", run)
        assert code == 0
        assert "warning: 3 persons of the dev set are in the training set" in out
        message = refused("eval", "--pretrained_model", run, "--data", seen)
        assert "the network has seen 3 of the 3" in message
        origin = read_checkpoint(run / "checkpoint_0000002.safetensors").origin
        assert origin["identities"] == {"Market-1501": [*range(1, 11), *range(21, 25)]}
        assert origin["train_ids"] == 4


def test_a_distilled_run_is_resumed_with_its_teacher(command, refused, people, strangers, trained, tmp_path):
    run = tmp_path / "run"
    arguments = ["--train", people, "--dev", strangers, "--model_save_dir", run]
    settings = [*SETTINGS.split(), "--loss_name", "arcmargin", "--teacher", trained, "--teacher-weight", "2"]
    code, out, _ = command("elem", *arguments, *settings, "--total_iter_num", "2")
    assert code == 0
    assert printed_configuration(out)["teacher"] == str(trained / "checkpoint_0000004.safetensors")
    origin = read_checkpoint(run / "checkpoint_0000002.safetensors").origin
    assert origin["start"] == f"From scratch, taught by {trained.name}"
    code, out, _ = command("elem", *arguments, "--checkpoint", run, "--total_iter_num", "4")
    assert code == 0
    settings = printed_configuration(out)
    assert (settings["teacher_weight"], settings["teacher"]) == (
        2.0,
        str(trained / "checkpoint_0000004.safetensors"),
    )
    other = tmp_path / "wider"
    wider = [
        "--embedding_size",
        "5",
        "--teacher",
        trained,
        "--total_iter_num",
        "2",
        "--model_save_dir",
        other,
    ]
    assert command("elem", "--train", people, *SETTINGS.split(), *wider)[0] == 0
    assert "teacher_weight must not be negative" in refused(
        *("elem", "--train", people, "--teacher_weight", "-1", "--model_save_dir", tmp_path / "other")
    )
    assert not (tmp_path / "other").exists()


def test_resuming_with_other_images_gives_a_note(write_people, command, trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    more = write_people(tmp_path / "more" / "bounding_box_train", ids=10, each=7)
    arguments = ["--train", more, "--checkpoint", folder, "--model_save_dir", folder, "--total_iter_num", "5"]
    code, out, _ = command("elem", *arguments)
    assert code == 0
    assert "note: train_images was 60 up to the checkpoint, is now 70" in out


def test_the_articles_split_of_other_data_cuts_between_persons(write_people, command, tmp_path, monkeypatch):
    source = write_people(tmp_path / "bounding_box_train", ids=6, each=3)
    plain = preparation.article_split
    monkeypatch.setattr(preparation, "article_split", lambda index: plain(index, 4))
    code, out, _ = command("prepare", source, "--output", tmp_path / "data", "--split", "article")
    assert code == 0
    assert re.search(r"train +12 +4 ", out)
    assert re.search(r"dev +6 +2 ", out)
    assert "this is not all of gt_bbox, so metrics are not comparable with the article's" in out
    assert "has seen at least 670 of the 750 persons" in out


def test_a_dev_set_with_training_persons_gives_a_warning(command, people, tmp_path):
    arguments = ["--train", people, "--dev", people, "--model_save_dir", tmp_path / "run"]
    code, out, _ = command("elem", *SETTINGS.split(), *arguments, "--total_iter_num", 2)
    assert code == 0
    assert "warning: 10 persons of the dev set are in the training set" in out


def test_gpu_settings_are_refused_or_noted_on_a_cpu(command, refused, people, tmp_path):
    import paddle

    if paddle.is_compiled_with_cuda():
        pytest.skip("this Paddle may see a GPU")
    arguments = ["elem", "--train", people, *SETTINGS.split(), "--model_save_dir", tmp_path / "run"]
    assert "use_gpu is true, but this Paddle sees no GPU" in refused(*arguments, "--use_gpu", "1")
    code, out, _ = command(*arguments, "--use-gpu", "0", "--amp", "true", "--total_iter_num", 2)
    assert code == 0
    assert "note: amp has no effect on CPUs" in out


def test_prepare_writes_no_list_with_unreadable_images(write_people, refused, tmp_path):
    source = write_people(tmp_path / "bounding_box_train", ids=4, each=2)
    (source / "0003_c1s1_000000_01.jpg").write_bytes(b"not an image")
    message = refused("prepare", source, "--output", tmp_path / "data", "--held_out_ids", 1)
    assert "no list written, 1 images are unreadable" in message
    assert not list((tmp_path / "data").glob("*.txt"))


def test_prepare_refuses_lists_of_another_split(write_people, refused, command, tmp_path):
    source = write_people(tmp_path / "Market-1501" / "bounding_box_train", ids=4, each=2)
    for name in ("query", "bounding_box_test"):
        write_people(source.with_name(name), ids=3, each=2, first=11)
    data = tmp_path / "data"
    assert command("prepare", source, "--output", data, "--held_out_ids", 1)[0] == 0
    before = (data / "train.txt").read_text()
    message = refused("prepare", tmp_path / "Market-1501", "--output", data, "--split", "official")
    assert "dev.txt: belongs to an earlier split, the new one has no such list: remove it" in message
    assert (data / "train.txt").read_text() == before
    message = refused("prepare", source, source, "--output", data, "--split", "official")
    assert "exactly one source, got several" in message


def test_each_split_finds_its_folder_in_the_archive_of_all_folders(write_people, command, tmp_path):
    root = tmp_path / "Market-1501"
    for name, ids in (("bounding_box_train", 4), ("gt_bbox", 6)):
        write_people(root / name, ids=ids, each=2)
    for name in ("query", "bounding_box_test"):
        write_people(root / name, ids=2, each=2, first=5)
    archive = shutil.make_archive(str(tmp_path / "market"), "zip", tmp_path, "Market-1501")
    for source in (archive, root, tmp_path):
        data = tmp_path / f"{source}_data"
        code, out, _ = command("prepare", source, "--output", data, "--held_out_ids", 1)
        assert code == 0
        assert re.search(r"train +6 +3 .*\ndev +2 +1 ", out)
        assert "the held-out split uses " in out
    _, out, _ = command("prepare", root, "--output", tmp_path / "article", "--split", "article")
    assert f"the article split uses {root / 'gt_bbox'}" in out  # 1014 images are not there


def test_two_sources_are_merged_with_distinct_persons(write_people, command, tmp_path):
    sources = [write_people(tmp_path / name / "bounding_box_train", ids=3, each=2) for name in "ab"]
    code, out, _ = command("prepare", *sources, "--output", tmp_path / "data", "--held_out_ids", 2)
    assert code == 0
    assert re.search(r"train +8 +4", out)


def test_infer_skips_and_reports_an_unreadable_image(write_people, command, trained, tmp_path):
    source = write_people(tmp_path / "images", ids=2, each=2)
    (source / "0001_c1s1_000000_01.jpg").write_bytes(b"not an image")
    features = tmp_path / "f.npz"
    code, out, _ = command("infer", "--pretrained_model", trained, "--data", source, "--output", features)
    assert code == 0
    assert "skipped: " in out
    assert "3 of 4 images" in out
    assert np.isfinite(read_npz(features).embeddings).all()


def test_infer_without_a_readable_image_is_an_error(command, trained, tmp_path):
    source, features = tmp_path / "scores.txt", tmp_path / "f.npz"
    source.write_text('{\n  "mota": 0.5\n}\n')  # no list of images
    code, _, err = command("infer", "--pretrained_model", trained, "--data", source, "--output", features)
    assert code == 2
    assert f"{source}: none of 3 images can be read, the first is {tmp_path / '{'}: " in err
    assert not features.exists()


def test_infer_does_not_replace_its_list(write_people, command, trained, tmp_path):
    folder = write_people(tmp_path / "images", ids=2, each=2)
    source = tmp_path / "list.txt"
    source.write_text("".join(f"images/{path.name}\n" for path in sorted(folder.iterdir())))
    before = source.read_text()
    code, _, err = command("infer", "--pretrained_model", trained, "--data", source, "--output", source)
    assert code == 2
    assert f"--output {source} would replace an input" in err
    assert source.read_text() == before


def test_the_command_on_the_card_has_no_local_folders():
    line = "elem --data /home/me/data --train=/x/y/list.txt --lr 0.1 --recipe a/b.yaml"
    shown = _command(line.split())
    assert shown == "reid-train elem --data data --train=list.txt --lr 0.1 --recipe a/b.yaml"
