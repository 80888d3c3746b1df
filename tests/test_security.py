"""What SECURITY.md says is not trusted, handed to what reads it: nothing runs, nothing leads out."""

import ast
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from deepsort_paddle import DeepSort
from deepsort_paddle.appearance.third_party import describe
from deepsort_paddle.cli import track
from deepsort_paddle.detection.onnx import OnnxDetector
from deepsort_paddle.motchallenge.sequence import SequenceInfo
from deepsort_paddle.yaml_file import parse_yaml

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path for package in ("deepsort_paddle", "reid_train") for path in (ROOT / package).rglob("*.py")
)


class Evil:
    """Makes the folder ``evil`` when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, ("evil",)


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every test ends without the folder that hostile files make."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not Path("evil").exists()


def called(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """The dotted names that are called, and the calls."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(ast.unparse(call.func), call) for call in calls]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_evaluates_text_or_starts_a_shell(path: Path) -> None:
    forbidden = {
        *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.full_load"),
        *(
            "yaml.unsafe_load",
            "pickle.load",
            "pickle.loads",
            "paddle.load",
            "tempfile.mktemp",
            "marshal.loads",
        ),
    }
    for name, call in called(ast.parse(path.read_text(encoding="utf-8"))):
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert name not in forbidden
        assert options.get("shell", "False") == "False"
        if name == "yaml.load":  # this loader makes text, lists and mappings alone
            assert (len(call.args), options) == (1, {"Loader": "yaml.BaseLoader"})
        if name in ("np.load", "numpy.load"):
            assert options.get("allow_pickle") == "False"


def test_a_saved_tracker_with_a_pickle_runs_nothing() -> None:
    np.savez("state.npz", header=np.array([Evil()], dtype=object), allow_pickle=True)
    Path("bare.npz").write_bytes(pickle.dumps(Evil()))
    for name in ("state.npz", "bare.npz"):
        with pytest.raises(ValueError, match=f"{name} is not a saved tracker"):
            DeepSort.load(name)


def test_features_with_a_pickle_run_nothing() -> None:
    features = pytest.importorskip("reid_train.evaluation.features")
    np.savez("f.npz", names=np.array([Evil()], dtype=object), unreadable=[], reasons=[], embeddings=[])
    with pytest.raises(ValueError, match="f.npz: not a features file"):
        features.read_npz("f.npz")


@pytest.mark.parametrize("name", ["infer_cfg.yml", "inference.yml"])
def test_yaml_beside_a_network_runs_nothing(tmp_path: Path, name: str) -> None:
    for file in ("model.pdmodel", "model.pdiparams"):
        (tmp_path / file).touch()
    (tmp_path / name).write_text("Preprocess: !!python/object/apply:os.mkdir [evil]")
    with pytest.raises(ValueError, match=f"{name}: not YAML"):
        describe(tmp_path)


def test_yaml_read_as_words_runs_nothing() -> None:
    content = b"arch: !!python/object/apply:os.mkdir [evil]"
    assert parse_yaml("a.yml", content, words=True) == {"arch": ["evil"]}


def test_yaml_of_a_detector_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("d").mkdir()
    Path("d", "infer_cfg.yml").write_text("arch: !!python/object/apply:os.mkdir [evil]")
    Path("p").mkdir()
    Path("p", "1.png").write_bytes(_png())
    assert track(["p", "--detector", "d", "--output", "o.txt"]) == 2
    assert "infer_cfg.yml: not YAML" in capsys.readouterr().err


def _png() -> bytes:
    import cv2

    return bytes(cv2.imencode(".png", np.zeros((32, 32, 3), np.uint8))[1].tobytes())


@pytest.mark.parametrize("names", ["__import__('os').mkdir('evil')", "(" * 100_000, "{0: os.mkdir('evil')}"])
def test_class_names_in_a_network_are_data(names: str) -> None:
    rows = numpy_helper.from_array(np.zeros((1, 21, 7), np.float32))
    ends = [
        helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 32]),
        helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, 21, 7]),
    ]
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["rows"], value=rows)], "g", ends[:1], ends[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"names": names})
    save(model, "n.onnx")
    assert OnnxDetector("n.onnx", classes=[0]).labels == ("class 0", "class 1")


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "..\\evil"])
def test_a_sequence_cannot_name_its_results_out_of_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    folder = tmp_path / "seq"
    (folder / "det").mkdir(parents=True)
    (folder / "det" / "det.txt").write_text("1,-1,1,1,9,9,1\n")
    (folder / "seqinfo.ini").write_text(f"[Sequence]\nname={name}\nseqLength=3\n")
    arguments = [str(folder), "--detections", str(folder / "det" / "det.txt"), "--save-dir", "out/results"]
    assert track(arguments) == 2
    assert "name must be a plain name" in capsys.readouterr().err
    assert not Path("out").exists()


def test_a_sequence_cannot_name_images_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "seq").mkdir()
    for value in ("..", str(tmp_path), "../other", "\0"):
        (tmp_path / "seq" / "seqinfo.ini").write_text(f"[Sequence]\nimDir={value}\n")
        with pytest.raises(ValueError, match="imDir must be a folder within"):
            SequenceInfo.read(tmp_path / "seq")


def test_text_from_outside_cannot_end_its_place_in_a_report(tmp_path: Path) -> None:
    """The folder's name is the title; nothing of it may become a tag."""
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    for number in range(1, 6):
        (folder / f"{number}.png").write_bytes(_png())
    Path("det.txt").write_text("".join(f"{n},-1,1,1,9,19,1\n" for n in range(1, 6)))
    hostile = "<script>alert(2)</script>"
    arguments = [str(folder), "--detections", "det.txt", "--reid", "none", "--report", "r.html", "--quiet"]
    assert track([*arguments, "--zone", f"{hostile}:0,0,9,0,9,9", "--line", f'"{hostile}:0,0,9,9']) == 0
    page = Path("r.html").read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(2)" in page
    assert "default-src &#x27;none&#x27;" in page or "default-src 'none'" in page
