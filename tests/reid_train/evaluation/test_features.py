from __future__ import annotations

import errno
import os
import warnings

import cv2
import numpy as np
import pytest

from deepsort_paddle.media.image_header import KINDS
from reid_train.data.image_cache import read_image
from reid_train.evaluation.features import (
    Features,
    UnreadableImage,
    embed,
    infer,
    is_cut_off,
    list_images,
    read_npz,
    write_npz,
    write_text,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    paddle = pytest.importorskip("paddle")


class MeanColour(paddle.nn.Layer):
    """An embedding whose values are known: the mean of each channel."""

    embedding_size = 3

    def forward(self, images):
        assert not self.training
        return paddle.cast(images, "float32").mean([1, 2])


def shrink(image):
    return cv2.resize(image, (4, 8))


def write_image(path, bgr, size=(16, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), bgr, np.uint8))
    return path


def unit(*bgr):
    return np.array(bgr, np.float32) / np.linalg.norm(bgr)


@pytest.fixture
def three(tmp_path):
    return [
        write_image(tmp_path / "c.png", (255, 0, 0)),
        write_image(tmp_path / "a.png", (0, 255, 0), (40, 20)),
        write_image(tmp_path / "b.png", (10, 20, 20)),
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 64])
def test_features_keep_the_order_of_the_files(three, batch_size):
    result = infer(MeanColour(), three, shrink, batch_size=batch_size)
    assert result.names == tuple(str(path) for path in three)
    assert result.embeddings.dtype == np.float32
    np.testing.assert_allclose(
        result.embeddings, [unit(1, 0, 0), unit(0, 1, 0), unit(1, 2, 2)], rtol=0, atol=1e-6
    )
    assert result.unreadable == ()


def test_raw_features_are_not_normalised(three):
    result = infer(MeanColour(), three[2:], shrink, normalize=False)
    np.testing.assert_allclose(result.embeddings, [[10, 20, 20]])


def test_unreadable_files_are_reported_with_the_reason_and_the_rest_is_embedded(tmp_path, three):
    empty = tmp_path / "empty.jpg"
    empty.touch()
    words = tmp_path / "words.jpg"
    words.write_text("not an image")
    paths = [three[0], empty, tmp_path / "missing.jpg", three[1], words, tmp_path]
    result = infer(MeanColour(), paths, shrink, batch_size=2)
    assert result.names == (str(three[0]), str(three[1]))
    assert len(result) == 2
    assert result.unreadable == (
        UnreadableImage(str(empty), f"not a readable image ({KINDS})"),
        UnreadableImage(str(tmp_path / "missing.jpg"), "No such file or directory"),
        UnreadableImage(str(words), f"not a readable image ({KINDS})"),
        UnreadableImage(str(tmp_path), "Is a directory"),
    )


def test_strict_stops_at_the_first_unreadable_file(tmp_path, three):
    with pytest.raises(ValueError, match=r"missing\.jpg: No such file"):
        infer(MeanColour(), [three[0], tmp_path / "missing.jpg"], shrink, strict=True)


def test_no_readable_file_gives_no_rows(tmp_path):
    result = infer(MeanColour(), [tmp_path / "missing.jpg"], shrink)
    assert result.embeddings.shape == (0, 3)
    assert len(result.unreadable) == 1
    assert infer(MeanColour(), [], shrink).embeddings.shape == (0, 3)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_truncated_files_are_not_read(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8))
    assert not is_cut_off(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert is_cut_off(path)
    assert infer(MeanColour(), [path], shrink).unreadable == (
        UnreadableImage(str(path), "the file is cut off"),
    )


def test_bytes_after_the_image_data_are_ignored(tmp_path):
    path = write_image(tmp_path / "image.jpg", (9, 9, 9))
    path.write_bytes(path.read_bytes() + bytes(100))
    assert not is_cut_off(path)


def test_broken_weights_are_an_error_that_names_the_image(three):
    class Broken(MeanColour):
        def forward(self, images):
            return super().forward(images) / 0.0  # 0 / 0 for the channels without light

    with pytest.raises(ValueError, match=r"c\.png: its embedding is not finite"):
        infer(Broken(), three, shrink)


def test_the_mode_of_the_network_is_restored(three):
    network = MeanColour()
    network.train()
    infer(network, three, shrink)
    embed(network, np.zeros((2, 8, 4, 3), np.uint8))
    assert network.training
    network.eval()
    infer(network, three, shrink)
    assert not network.training


def test_embedding_arrays_equals_inferring_files(three):
    images = np.stack([shrink(read_image(path)) for path in three])
    expected = infer(MeanColour(), three, shrink).embeddings
    for batch_size in (1, 2, 64):
        np.testing.assert_array_equal(embed(MeanColour(), images, batch_size), expected)
    assert embed(MeanColour(), images[:0]).shape == (0, 3)
    np.testing.assert_array_equal(embed(MeanColour(), np.zeros((1, 8, 4, 3), np.uint8)), [[0, 0, 0]])


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="must be at least 1, got 0 and 2"):
        infer(MeanColour(), [], shrink, batch_size=0)
    with pytest.raises(ValueError, match=r"must be \(2, D\), one row per name, got \(1, 3\)"):
        Features(("a", "b"), np.zeros((1, 3), np.float32))


def test_a_folder_lists_its_images_in_sorted_order(tmp_path):
    for name in ("b/2.JPG", "a.png", "b/1.jpg", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list_images(tmp_path) == [tmp_path / "a.png", tmp_path / "b/1.jpg", tmp_path / "b/2.JPG"]
    assert list_images(tmp_path / "a.png") == [tmp_path / "a.png"]


def test_a_list_keeps_its_order_and_is_relative_to_its_folder(tmp_path):
    (tmp_path / "list.txt").write_text("z y.jpg\n\nsub/x.jpg\n/far/away.png\nz y.jpg\n")
    names = [str(path) for path in list_images(tmp_path / "list.txt")]
    assert names == [str(tmp_path / "z y.jpg"), str(tmp_path / "sub/x.jpg"), "/far/away.png", names[0]]


def test_training_lists_are_recognised_by_their_header(tmp_path):
    (tmp_path / "list.txt").write_text("image_id class_id super_class_id path\n1 7 1 a b.jpg\n2 7 1 c.jpg\n")
    assert list_images(tmp_path / "list.txt") == [tmp_path / "a b.jpg", tmp_path / "c.jpg"]


def test_a_source_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="names no image"):
        list_images(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing: no such file or folder"):
        list_images(tmp_path / "missing")
    (tmp_path / "weights.bin").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match="neither an image nor a text list"):
        list_images(tmp_path / "weights.bin")


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    return Features(
        ("b.jpg", "ä ö/a.jpg", "b.jpg"),
        rng.standard_normal((3, 5)).astype(np.float32),
        (UnreadableImage("x.jpg", "the file is empty"),),
    )


def test_npz_round_trip(tmp_path, features):
    write_npz(tmp_path / "new folder" / "features.npz", features)
    back = read_npz(tmp_path / "new folder" / "features.npz")
    assert back.names == features.names
    assert back.unreadable == features.unreadable
    np.testing.assert_array_equal(back.embeddings, features.embeddings)
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["features.npz"]


def test_npz_round_trip_without_rows(tmp_path):
    write_npz(tmp_path / "features.npz", Features((), np.zeros((0, 4), np.float32)))
    assert read_npz(tmp_path / "features.npz").embeddings.shape == (0, 4)


def test_text_preserves_names_and_every_bit_of_the_numbers(tmp_path, features):
    write_text(tmp_path / "features.txt", features)
    lines = (tmp_path / "features.txt").read_text(encoding="utf-8").splitlines()
    assert tuple(line.split("\t")[0] for line in lines) == features.names
    values = np.array([line.split("\t")[1:] for line in lines]).astype(np.float32)
    np.testing.assert_array_equal(values, features.embeddings)


def test_names_that_text_cannot_hold_are_refused(tmp_path):
    with pytest.raises(ValueError, match="tab or line break"):
        write_text(tmp_path / "features.txt", Features(("a\nb.jpg",), np.zeros((1, 2), np.float32)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_npz, write_text])
def test_a_full_disk_keeps_the_old_file_and_leaves_no_temporary_file(tmp_path, features, monkeypatch, write):
    path = tmp_path / "features"
    path.write_text("old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="features: features not written: No space left on device"):
        write(path, features)
    assert [entry.name for entry in tmp_path.iterdir()] == ["features"]
    assert path.read_text() == "old"


def test_a_file_without_features_is_one_clear_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such features file"):
        read_npz(tmp_path / "missing.npz")
    (tmp_path / "words.npz").write_text("words")
    np.savez(tmp_path / "other.npz", a=np.zeros(2))
    np.save(tmp_path / "array.npy", np.zeros(2))
    (tmp_path / "half.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:100])
    for name in ("words.npz", "other.npz", "array.npy", "half.npz"):
        with pytest.raises(ValueError, match="not a features file"):
            read_npz(tmp_path / name)
