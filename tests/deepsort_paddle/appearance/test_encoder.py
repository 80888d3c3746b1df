from __future__ import annotations

import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from deepsort_paddle.appearance.backend import Machine
from deepsort_paddle.appearance.encoder import AppearanceEncoder
from deepsort_paddle.appearance.preprocess import crop_boxes, pixel_regions
from deepsort_paddle.appearance.spec import EncoderSpec

HEIGHT, WIDTH, GRID = 32, 16, (4, 2)
SIZE = 3 * GRID[0] * GRID[1]


@pytest.fixture(scope="module")
def encoder(encoder_folder: Path) -> AppearanceEncoder:
    return AppearanceEncoder(encoder_folder, device="cpu", threads=1)


@pytest.fixture
def folder(encoder_folder: Path, tmp_path: Path) -> Path:
    """A copy of the weights folder that a test may break."""
    return Path(shutil.copytree(encoder_folder, tmp_path / "grid"))


def image(height: int = 120, width: int = 200) -> NDArray[np.uint8]:
    """An image without any symmetry: other values in every corner, every channel and every pixel."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:height, :width]
    ramps = np.stack([200 * x / width, 150 * y / height, 40 + 60 * x / width + 100 * y / height], axis=2)
    return (ramps + rng.integers(0, 30, (height, width, 3))).astype(np.uint8)


def random_boxes(count: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(count)
    corner = rng.uniform((-10, -10), (180, 100), (count, 2))
    return np.concatenate([corner, corner + rng.uniform(12, 60, (count, 2))], axis=1)


def grid_embedding(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What the toy network computes for one crop of 32 x 16: mean colours of 4 x 2 cells, unit length."""
    cells = crop.reshape(GRID[0], 8, GRID[1], 8, 3).astype(np.float64)
    means = cells.mean(axis=(1, 3)) / 255 + 0.01  # (4, 2, 3)
    flat = means.transpose(2, 0, 1).ravel()
    return flat / np.linalg.norm(flat)


def expected(frame: NDArray[np.uint8], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """The embedding of one box, with the plain calls of OpenCV."""
    x1, y1, x2, y2 = np.floor(np.clip(box, 0, [200, 120, 200, 120]) + 0.5).astype(int)
    return grid_embedding(cv2.resize(frame[y1:y2, x1:x2], (WIDTH, HEIGHT)))


def test_embeddings_agree_with_a_plain_crop_resize_and_numpy(encoder: AppearanceEncoder) -> None:
    frame, boxes = image(), random_boxes(9)
    want = np.stack([expected(frame, box) for box in boxes])
    got = encoder(frame, boxes)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), 1, atol=1e-5)


def test_neither_channels_nor_sides_are_swapped(encoder: AppearanceEncoder) -> None:
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[:50, :, 0] = 255  # blue above
    frame[50:, :, 2] = 255  # red below
    frame[:, :50, 1] = 255  # green on the left
    cells = encoder(frame, [[0, 0, 100, 100]])[0].reshape(3, *GRID)  # (BGR, 4, 2)
    bright = cells > 0.5 * cells.max()
    np.testing.assert_array_equal(bright[0], [[1, 1], [1, 1], [0, 0], [0, 0]])
    np.testing.assert_array_equal(bright[1], [[1, 0]] * 4)
    np.testing.assert_array_equal(bright[2], [[0, 0], [0, 0], [1, 1], [1, 1]])


@pytest.mark.parametrize("batch_size", [1, 3, 16, 17, 64])
def test_every_number_of_boxes_gets_its_own_rows(encoder_folder: Path, batch_size: int) -> None:
    encoder = AppearanceEncoder(encoder_folder, device="cpu", threads=1, batch_size=batch_size)
    frame, boxes = image(), random_boxes(40)
    want = np.stack([expected(frame, box) for box in boxes])
    for count in range(41):
        got = encoder(frame, boxes[:count])
        assert got.shape == (count, SIZE)
        np.testing.assert_allclose(got, want[:count], atol=1e-5)


def test_several_frames_batched_together_agree_with_each_alone(encoder: AppearanceEncoder) -> None:
    frames = [image(), image()[::-1], image(90, 70), image()]
    boxes = [random_boxes(3), random_boxes(20), np.zeros((0, 4)), [[5, 5, 5, 50], [0, 0, 30, 60]]]
    together = encoder.encode_batch(frames, boxes)
    assert [len(rows) for rows in together] == [3, 20, 0, 2]
    for frame, one, rows in zip(frames, boxes, together, strict=True):
        np.testing.assert_allclose(rows, encoder(frame, one), atol=1e-5)
    assert encoder.encode_batch([], []) == []
    with pytest.raises(ValueError, match="one array of boxes per frame, got 1 for 2 frames"):
        encoder.encode_batch(frames[:2], boxes[:1])


def test_boxes_beyond_the_frame_are_cut_off(encoder: AppearanceEncoder) -> None:
    frame = image()
    outside = [[-50, -1e300, 30, 40], [150, 80, 1e300, 500], [-9, -9, 999, 999]]
    inside = [[0, 0, 30, 40], [150, 80, 200, 120], [0, 0, 200, 120]]
    np.testing.assert_array_equal(encoder(frame, outside), encoder(frame, inside))


def test_boxes_without_a_pixel_get_zero_rows_and_leave_the_others_alone(
    encoder: AppearanceEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = image()
    empty = [[10, 10, 10, 50], [10, 50, 40, 20], [300, 10, 340, 60], [-40, 0, -1, 30], [7.1, 3, 7.4, 60]]
    rows = encoder(frame, [*empty, [20, 20, 50, 90]])
    np.testing.assert_array_equal(rows[:-1], 0)
    np.testing.assert_allclose(rows[-1], expected(frame, np.array([20, 20, 50, 90])), atol=1e-5)

    def must_not_run(batch: Any) -> None:
        raise AssertionError(batch.shape)

    monkeypatch.setattr(encoder._predictor, "run", must_not_run)
    with pytest.warns(UserWarning, match="all boxes lie outside the frame or are empty"):
        assert not encoder(frame, empty).any()
    assert encoder(frame, []).shape == (0, SIZE)


def test_a_box_of_one_pixel_is_embedded(encoder: AppearanceEncoder) -> None:
    rows = encoder(image(), [[199, 119, 200, 120], [198.6, 118.7, 250, 250]])
    assert (np.linalg.norm(rows, axis=1) > 0.99).all()
    np.testing.assert_array_equal(rows[0], rows[1])


def test_edges_round_to_the_nearest_pixel_edge() -> None:
    np.testing.assert_array_equal(
        pixel_regions([[0.4, 0.5, 9.49, 9.5], [-3, 2.6, 12, 20]], height=15, width=10),
        [[0, 1, 9, 10], [0, 3, 10, 15]],
    )


def test_views_of_any_strides_embed_like_copies(encoder: AppearanceEncoder) -> None:
    base = image(240, 400)
    views = [base[::2, ::2], base[::-1, ::-1], base[..., ::-1], base[30:150, 40:240], np.asfortranarray(base)]
    boxes = random_boxes(4)
    for view in views:
        np.testing.assert_array_equal(encoder(view, boxes), encoder(view.copy(order="C"), boxes))
    read_only = base.copy()
    read_only.flags.writeable = False
    np.testing.assert_array_equal(encoder(read_only, boxes), encoder(base, boxes))


def test_neither_frame_nor_boxes_are_modified(encoder: AppearanceEncoder) -> None:
    frame, boxes = image(), random_boxes(5)
    encoder(frame, boxes)
    np.testing.assert_array_equal(frame, image())
    np.testing.assert_array_equal(boxes, random_boxes(5))


@pytest.mark.parametrize(
    ("frame", "got"),
    [
        (np.zeros((40, 50), np.uint8), r"uint8 \(40, 50\)"),
        (np.zeros((40, 50, 4), np.uint8), r"uint8 \(40, 50, 4\)"),
        (np.zeros((40, 50, 3), np.uint16), r"uint16 \(40, 50, 3\)"),
        (np.zeros((40, 50, 3), np.float32), r"float32 \(40, 50, 3\)"),
        (None, "NoneType"),
    ],
)
def test_frames_of_other_kinds_are_refused(encoder: AppearanceEncoder, frame: Any, got: str) -> None:
    with pytest.raises(ValueError, match=rf"frame must be uint8 \(H, W, 3\) in BGR order, got {got}$"):
        encoder(frame, [[0, 0, 10, 10]])


def test_boxes_of_other_shapes_or_with_nan_are_refused(encoder: AppearanceEncoder) -> None:
    with pytest.raises(ValueError, match=r"boxes must be \(N, 4\), got \(1, 3\)"):
        encoder(image(), [[0, 0, 10]])
    with pytest.raises(ValueError, match="boxes must be finite, row 1 is not"):
        encoder(image(), [[0, 0, 10, 10], [0, np.nan, 10, 10]])


def test_eight_threads_get_the_rows_of_their_own_boxes(encoder: AppearanceEncoder) -> None:
    frame = image()
    want = [encoder(frame, random_boxes(n)) for n in range(1, 9)]

    def agrees(n: int) -> bool:
        return all(np.array_equal(encoder(frame, random_boxes(n)), want[n - 1]) for _ in range(25))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(agrees, range(1, 9)))


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65])  # 64 crops are handed over at a time
def test_crops_that_are_ready_embed_like_their_boxes(encoder: AppearanceEncoder, count: int) -> None:
    frame, boxes = image(), random_boxes(count)
    crops = crop_boxes(frame, boxes, encoder.spec.height, encoder.spec.width)
    rows = encoder.embed_crops(crops)
    assert rows.shape == (count, encoder.embedding_size)
    np.testing.assert_allclose(rows, encoder(frame, boxes), atol=1e-5)


def test_crops_of_another_size_are_refused(encoder: AppearanceEncoder) -> None:
    with pytest.raises(ValueError, match=r"crops must be \(N, \d+, \d+, 3\) uint8, got \(2, 5, 4, 3\) uint8"):
        encoder.embed_crops(np.zeros((2, 5, 4, 3), np.uint8))
    assert encoder.computed_by.endswith(("in float32", "in bfloat16"))


def test_crops_are_what_the_network_sees(encoder: AppearanceEncoder) -> None:
    frame, boxes = image(), [*random_boxes(4), [0, 0, 0, 0]]
    crops = crop_boxes(frame, boxes, HEIGHT, WIDTH)
    assert crops.shape == (5, HEIGHT, WIDTH, 3)
    assert not crops[-1].any()
    want = np.stack([grid_embedding(crop) for crop in crops[:4]])
    np.testing.assert_allclose(encoder(frame, boxes)[:4], want, atol=1e-5)
    with pytest.raises(ValueError, match="interpolation must be one of nearest"):
        crop_boxes(frame, boxes, HEIGHT, WIDTH, interpolation="lanczos")
    with pytest.raises(ValueError, match="resize_mode must be one of stretch, short_side_crop, got 'fit'"):
        crop_boxes(frame, boxes, HEIGHT, WIDTH, resize_mode="fit")


@pytest.mark.parametrize("box", [[3, 5, 43, 17], [3, 5, 15, 45], [1, 1, 8, 8], [0, 0, 1, 40]])
def test_short_side_crop_keeps_the_shape_and_cuts_the_centre_out(box: list[int]) -> None:
    frame = image()
    x1, y1, x2, y2 = box
    scale = max(HEIGHT / (y2 - y1), WIDTH / (x2 - x1))
    full_height, full_width = round((y2 - y1) * scale), round((x2 - x1) * scale)
    resized = cv2.resize(frame[y1:y2, x1:x2], (full_width, full_height))
    top, left = (full_height - HEIGHT) // 2, (full_width - WIDTH) // 2
    want = resized[top : top + HEIGHT, left : left + WIDTH]
    (crop,) = crop_boxes(frame, [box], HEIGHT, WIDTH, resize_mode="short_side_crop")
    np.testing.assert_array_equal(crop, want)


def test_the_resize_mode_of_the_spec_is_followed(folder: Path, seal: Callable[[Path], None]) -> None:
    path = folder / "encoder.json"
    document = json.loads(path.read_text())
    document["resize"]["mode"] = "short_side_crop"
    path.write_text(json.dumps(document))
    seal(folder)
    encoder = AppearanceEncoder(folder, device="cpu", threads=1)
    assert encoder.spec.resize_mode == "short_side_crop"
    boxes = [[3, 5, 43, 17]]
    (crop,) = crop_boxes(image(), boxes, HEIGHT, WIDTH, resize_mode="short_side_crop")
    np.testing.assert_allclose(encoder(image(), boxes), grid_embedding(crop)[None], atol=1e-5)


def test_load_is_the_same_as_the_constructor(encoder_folder: Path, encoder: AppearanceEncoder) -> None:
    loaded = AppearanceEncoder.load(str(encoder_folder), device="cpu", threads=1, batch_size=2)
    assert loaded.spec == encoder.spec
    assert (loaded.embedding_size, loaded.max_cosine_distance) == (SIZE, 0.25)
    boxes = random_boxes(5)
    np.testing.assert_allclose(loaded(image(), boxes), encoder(image(), boxes), atol=1e-6)


def test_an_onnx_export_works_alike(folder: Path, seal: Callable[[Path], None]) -> None:
    """Mean colour of the crop, not normalised: the encoder scales its rows."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0),
        ],
        "means",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("means", TensorProto.FLOAT, ["N", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "inference.onnx")
    spec = json.loads((folder / "encoder.json").read_text())
    spec["files"] = {"model": "inference.onnx"}
    spec["output"] = {"embedding_size": 3, "normalized": False}
    del spec["runtime"]
    (folder / "encoder.json").write_text(json.dumps(spec))
    seal(folder)
    encoder = AppearanceEncoder(folder, device="cpu")
    assert (encoder.spec.params, encoder.spec.paddle) == (None, None)
    frame = np.full((50, 50, 3), (30, 60, 60), np.uint8)
    rows = encoder(frame, [[0, 0, 20, 40], [60, 0, 80, 40]])
    np.testing.assert_allclose(rows, [[1 / 3, 2 / 3, 2 / 3], [0, 0, 0]], atol=1e-6)


def test_a_damaged_file_is_named(folder: Path) -> None:
    params = folder / "inference.pdiparams"
    content = bytearray(params.read_bytes())
    content[-1] ^= 1
    params.write_bytes(bytes(content))
    with pytest.raises(OSError, match=r"inference.pdiparams: wrong checksum, the file is damaged"):
        AppearanceEncoder(folder, device="cpu")
    assert AppearanceEncoder(folder, device="cpu", verify=False).embedding_size == SIZE


def test_an_edited_description_is_named(folder: Path) -> None:
    path = folder / "encoder.json"
    path.write_text(path.read_text().replace("0.25", "0.5"))
    with pytest.raises(OSError, match=r"encoder.json: wrong checksum"):
        AppearanceEncoder(folder, device="cpu")
    assert AppearanceEncoder(folder, device="cpu", verify=False).max_cosine_distance == 0.5


@pytest.mark.parametrize("name", ["encoder.json", "SHA256SUMS", "inference.json", "inference.pdiparams"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
        AppearanceEncoder(folder, device="cpu")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone: no such folder"):
        AppearanceEncoder(tmp_path / "gone")


def test_checksums_that_are_none_or_leave_a_file_out_are_refused(folder: Path) -> None:
    sums = folder / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(line for line in lines if "pdiparams" not in line))
    with pytest.raises(OSError, match=r"SHA256SUMS: no checksum of inference.pdiparams"):
        AppearanceEncoder(folder, device="cpu")
    sums.write_text("# made by hand\n" + "".join(lines))
    with pytest.raises(ValueError, match="SHA256SUMS: line 1 is not '<sha256>  <file>'"):
        AppearanceEncoder(folder, device="cpu")
    sums.write_text("".join(line.replace("  ", " *./") for line in lines))
    AppearanceEncoder(folder, device="cpu")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", 2, "format: expected 1, got 2"),
        ("name", None, "name: expected a value of type str, got None"),
        ("input.height", "128", "input.height: expected a value of type int, got '128'"),
        ("input.height", True, "input.height: expected a value of type int, got True"),
        ("input.width", 0, "input.width: expected 1 or more, got 0"),
        ("input.layout", "CHWN", "input.layout: expected NHWC or NCHW, got 'CHWN'"),
        ("input.dtype", "int8", "input.dtype: expected uint8 or float32, got 'int8'"),
        ("input.channels", "GRAY", "input.channels: expected BGR or RGB, got 'GRAY'"),
        ("resize.interpolation", "lanczos", "resize.interpolation: expected nearest or linear or"),
        ("resize.mode", "fit", "resize.mode: expected stretch or short_side_crop, got 'fit'"),
        ("output.embedding_size", 12.5, "output.embedding_size: expected a value of type int, got 12.5"),
        ("output.normalized", 1, "output.normalized: expected a value of type bool, got 1"),
        ("files.model", "../evil.json", "files.model: expected the plain name of a file"),
        ("runtime.paddle", "three", "runtime.paddle: expected a version such as 3.3.1, got 'three'"),
        (
            "max_cosine_distance",
            -0.1,
            r"max_cosine_distance: expected a cosine distance in \(0, 2\], got -0.1",
        ),
        ("bfloat16.allowed", "no", "bfloat16.allowed: expected a value of type bool, got 'no'"),
    ],
)
def test_a_wrong_field_is_named(folder: Path, field: str, value: Any, message: str) -> None:
    path = folder / "encoder.json"
    document = json.loads(path.read_text())
    *parents, last = field.split(".")
    holder = document
    for parent in parents:
        holder = holder[parent]
    holder[last] = value
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"encoder.json: {message}"):
        EncoderSpec.read(path)
    if field in ("bfloat16.allowed", "resize.mode"):
        return
    del holder[last]
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"encoder.json: {field}: the field is missing"):
        EncoderSpec.read(path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe{}", b"[1, 2]"])
def test_a_description_that_is_no_json_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "encoder.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"encoder.json: "):
        AppearanceEncoder(folder)


def test_a_description_of_another_network_is_noticed(folder: Path) -> None:
    path = folder / "encoder.json"
    path.write_text(path.read_text().replace('"embedding_size": 24', '"embedding_size": 128'))
    with pytest.raises(ValueError, match=r"output.embedding_size: expected \(1, 128\) .*, got \(1, 24\)"):
        AppearanceEncoder(folder, device="cpu", verify=False)


def test_batch_size_must_be_positive(encoder_folder: Path) -> None:
    with pytest.raises(ValueError, match="batch_size must be 1 or more, got 0"):
        AppearanceEncoder(encoder_folder, batch_size=0)


def test_no_warning_escapes_when_an_encoder_opens(encoder_folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AppearanceEncoder(encoder_folder, device="cpu")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_other_libraries_give_the_same_embeddings(onnx_copy_folder: Path, backend: str) -> None:
    pytest.importorskip(backend)
    boxes = random_boxes(21)
    wanted = AppearanceEncoder(onnx_copy_folder, device="cpu", backend="paddle")(image(), boxes)
    encoder = AppearanceEncoder(onnx_copy_folder, device="cpu", threads=1, backend=backend, batch_size=8)
    rows = encoder(image(), boxes)
    seen = wanted.any(axis=1)
    assert seen.sum() > 10
    assert (rows[seen] * wanted[seen]).sum(axis=1).min() >= 0.999
    np.testing.assert_allclose(rows, wanted, atol=1e-5)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(lambda _: encoder(image(), boxes), range(12)):
            np.testing.assert_allclose(again, rows, atol=1e-6)


@pytest.mark.parametrize(
    ("device", "gpu_build", "name"),
    [
        ("cpu", True, "inference.onnx"),
        ("auto", False, "inference.onnx"),
        ("auto", True, "inference.json"),
    ],
)
def test_the_onnx_copy_runs_on_the_cpu(
    onnx_copy_folder: Path, monkeypatch: pytest.MonkeyPatch, device: str, gpu_build: bool, name: str
) -> None:
    machine = replace(Machine.detect(), gpu=gpu_build)
    monkeypatch.setattr(Machine, "detect", lambda: machine)
    assert AppearanceEncoder(onnx_copy_folder, device=device)._predictor.path.name == name


def test_the_onnx_copy_runs_without_paddle(onnx_copy_folder: Path) -> None:
    script = f"""
import sys
from deepsort_paddle import AppearanceEncoder
AppearanceEncoder({str(onnx_copy_folder)!r}, device="cpu")
assert "paddle" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_library_that_cannot_run_the_network_is_refused(
    encoder_folder: Path, onnx_copy_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"backend openvino needs an ONNX copy of the network, named by"):
        AppearanceEncoder(encoder_folder, backend="openvino")
    with pytest.raises(ValueError, match="backend must be one of auto, paddle, .*, got 'torch'"):
        AppearanceEncoder(encoder_folder, backend="torch")
    with pytest.raises(ValueError, match=r"inference\.onnx: Paddle cannot run it"):
        AppearanceEncoder(onnx_copy_folder / "inference.onnx", backend="paddle")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match=r"OpenVINO is not installed: pip install open"):
        AppearanceEncoder(onnx_copy_folder, backend="openvino")
