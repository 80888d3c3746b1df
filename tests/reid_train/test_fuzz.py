"""Any file that a training reads ends in a result or in one line of error that names it."""

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from reid_train.checkpoints.checkpoint import FORMAT, read_checkpoint
from reid_train.checkpoints.pretrained import read_pdparams
from reid_train.config import TrainConfig, recipe
from reid_train.data.datasets import extract_archive, read_image, read_list_file
from reid_train.evaluation.features import Features, read_npz, write_npz

FIELDS = st.one_of(
    st.integers(-2, 9).map(str),
    st.sampled_from(["", "1e9", "٣", "a.jpg", "missing.jpg", "../a.jpg", "9" * 30, "\x00", "\x1c", "C:\\a"]),
    st.text(max_size=4),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


def opened(path: Path, read: Callable[[Path], Any]) -> Any:
    """What ``read`` makes of a file; None when it refuses it in one line that names it."""
    try:
        return read(path)
    except (ValueError, OSError) as error:
        message = str(error)
    assert str(path) in message
    assert len(message.splitlines()) == 1
    return None


@given(rows=st.lists(st.lists(FIELDS, max_size=5).map(" ".join), max_size=5))
def test_a_list_file_is_read_or_refused(tmp_path: Path, rows: list[str]) -> None:
    (tmp_path / "a.jpg").touch()
    path = tmp_path / "list.txt"
    path.write_text("image_id class_id super_class_id path\n" + "\n".join(rows), encoding="utf-8")
    index = opened(path, read_list_file)
    assert index is None or (index.pids >= 1).all()


def test_an_id_beyond_64_bits_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    path = tmp_path / "list.txt"
    path.write_text(f"image_id class_id super_class_id path\n1 {'9' * 30} 1 a.jpg\n")
    with pytest.raises(ValueError, match="line 2: class_id counts from 1, got 9"):
        read_list_file(path)


@given(
    header=st.dictionaries(
        st.sampled_from(["format", "iteration", "config", "best", "scaler", "origin"]),
        st.one_of(JSON.map(json.dumps), st.text(max_size=5), st.just("[" * 100_000)),
    )
)
def test_a_checkpoint_with_any_header_is_read_or_refused(tmp_path: Path, header: dict[str, str]) -> None:
    good = {"format": FORMAT, "iteration": "1", "config": "{}", "best": "{}"}
    path = tmp_path / "c.safetensors"
    path.write_bytes(save({"network/w": np.ones(3, np.float32)}, metadata=good | header))
    checkpoint = opened(path, read_checkpoint)
    assert checkpoint is None or isinstance(checkpoint.config, dict)


@given(cut=st.integers(0, 400), at=st.integers(0, 400), value=st.binary(min_size=1, max_size=4))
@pytest.mark.parametrize("kind", ["checkpoint", "parameters", "features"])
def test_a_damaged_file_is_read_or_refused(
    tmp_path: Path, kind: str, cut: int, at: int, value: bytes
) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "checkpoint":
        header = {"format": FORMAT, "iteration": "1", "config": "{}", "best": "{}"}
        path.write_bytes(save({"network/w": np.ones(3, np.float32)}, metadata=header))
    elif kind == "parameters":
        path.write_bytes(pickle.dumps({"w": np.ones(3)}, 2))
    else:
        write_npz(path, Features(("a",), np.ones((1, 3), np.float32)))
    content = bytearray(path.read_bytes())
    at = at % len(content)
    content[at : at + len(value)] = value
    path.write_bytes(content[: len(content) - cut % 40])
    readers = {"checkpoint": read_checkpoint, "parameters": read_pdparams, "features": read_npz}
    opened(path, readers[kind])
    if cut % 40:
        path.write_bytes(path.read_bytes()[:20])
        assert opened(path, readers[kind]) is None


def test_a_parameter_file_cannot_ask_for_a_huge_table(tmp_path: Path) -> None:
    path = tmp_path / "x.pdparams"
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\xff.")  # one empty dict, numbered 4294967295
    with pytest.raises(ValueError, match="numbers an object 4294967295"):
        read_pdparams(path)


@given(setting=st.sampled_from(sorted(TrainConfig.__dataclass_fields__)), value=JSON)
def test_a_recipe_is_read_or_refused(tmp_path: Path, setting: str, value: object) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(json.dumps({"elem": {setting: value}}))
    assert opened(path, lambda file: recipe(str(file), "elem")) is None or setting in json.dumps(
        recipe(str(path), "elem")
    )


@pytest.mark.parametrize(
    "content", ["[" * 3000, "elem: {lr: 2020-13-45}", "elem: !!python/object/apply:os.abort []"]
)
def test_yaml_that_fails_in_other_ways_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match="recipe.yaml: not YAML"):
        recipe(str(path), "elem")


def test_a_damaged_stream_in_a_zip_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    content[40:60] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        extract_archive(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_without_a_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"12345")
    path.write_bytes(path.read_bytes().replace(b"a.jpg", b"\0.jpg"))  # a zip's names end at the zero
    with pytest.raises(ValueError, match="a member has no name"):
        extract_archive(path, tmp_path / "out")


def test_images_of_every_depth_become_colour(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 16 * 8 * 4).reshape(16, 8, 4).astype(np.uint8)
    deep = ramp[..., :3].astype(np.uint16) * 257
    for name, image in {"grey": ramp[..., 0], "alpha": ramp, "deep": deep, "colour": ramp[..., :3]}.items():
        path = tmp_path / f"{name}.png"
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
        read = read_image(path)
        assert (read.shape, read.dtype) == ((16, 8, 3), np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), ramp[..., :3])


@pytest.mark.parametrize("sides", [(96, 9_000_000), (40_000, 40_000)])
def test_a_image_that_promises_more_than_it_holds_is_refused(tmp_path: Path, sides: tuple[int, int]) -> None:
    """OpenCV filled 3.6 GB for 133 damaged bytes, and raised its own error above 2**30 pixels."""
    head = b"IHDR" + b"".join(side.to_bytes(4, "big") for side in sides) + bytes([8, 2, 0, 0, 0])
    path = tmp_path / "x.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + head + bytes(4) + bytes(4) + b"IEND" + bytes(4)
    )
    with pytest.raises(ValueError, match="x.png: not a readable image"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_a_header_of_gigabytes_is_refused(tmp_path: Path, suffix: str) -> None:
    fine = bytearray(cv2.imencode(suffix, np.full((40, 50, 3), 90, np.uint8))[1].tobytes())
    path = tmp_path / f"x{suffix}"
    path.write_bytes(fine)
    assert read_image(path).shape == (40, 50, 3)
    at = fine.index(b"\xff\xc0") + 5 if suffix == ".jpg" else 18
    size = 2 if suffix == ".jpg" else 4
    fine[at : at + 2 * size] = 2 * (30_000).to_bytes(size, "big" if suffix == ".jpg" else "little")
    path.write_bytes(fine)
    with pytest.raises(ValueError, match=rf"x{suffix}: not a readable image"):
        read_image(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    with pytest.raises(OSError, match="x.jpg: cannot be read: not a file"):
        read_image(tmp_path / "x.jpg")
