"""Augmentation and test preprocessing on asymmetric images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from reid_train.training.transforms import (
    ERASED_BGR,
    Preprocessing,
    RandomResizedCrop,
    StrongAugmentation,
    hue_rotation,
    resize,
    sample_generator,
    with_sides_moved,
)

Image = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Use one OpenCV thread: small images gain nothing from more, and they are slow on a busy machine."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


# Landscape, portrait and square outputs.
SIZES = [(128, 64), (64, 128), (128, 128), (37, 23)]
TRANSFORMS: dict[str, Callable[..., Any]] = {"seed": RandomResizedCrop, "strong": StrongAugmentation}


def make_image(height: int = 100, width: int = 60) -> Image:
    """Return a gradient: blue grows downwards, green to the right; red is constant."""
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 250, height)[:, None]
    image[..., 1] = np.linspace(0, 250, width)
    image[..., 2] = 77
    return image


class Draws:
    """A generator that returns the given numbers, then 0.5."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = numbers

    def random(self, count: int) -> NDArray[np.float64]:
        return np.array([*self.numbers, *[0.5] * count][:count])


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", [(100, 60), (60, 100), (1, 1), (3, 200), (128, 64)])
def test_train_transform_returns_its_size_and_keeps_its_input(
    name: str, size: tuple[int, int], source: tuple[int, int]
) -> None:
    image = make_image(*source)
    before = image.copy()
    image.setflags(write=False)
    for position in range(10):
        out = TRANSFORMS[name](*size)(image, sample_generator(0, 0, position))
        assert out.shape == (*size, 3)
        assert out.dtype == np.uint8
        assert out.flags.c_contiguous
        assert not np.shares_memory(out, image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_sample_is_a_function_of_seed_iteration_and_position(name: str) -> None:
    transform, image = TRANSFORMS[name](64, 32), make_image()

    def sample(*key: int) -> bytes:
        return bytes(transform(image, sample_generator(*key)).tobytes())

    keys = [
        (seed, iteration, position) for seed in (0, 1) for iteration in (0, 1, 500) for position in (0, 1)
    ]
    assert [sample(*key) for key in keys] == [sample(*key) for key in keys]
    assert len({sample(*key) for key in keys}) == len(keys)


def crops(image: Image, size: tuple[int, int], count: int = 400) -> NDArray[np.float64]:
    """(count, 4) top, bottom, left, right of crops, as shares of the image, read from its colours."""
    transform = RandomResizedCrop(*size, mirror=0.0)
    found = []
    for position in range(count):
        out = transform(image, sample_generator(3, 0, position)).astype(float) / 250
        blue, green = out[..., 0], out[..., 1]
        found.append((blue.min(), blue.max(), green.min(), green.max()))
    return np.array(found)


@pytest.mark.parametrize(
    ("size", "source"), [((96, 96), (120, 120)), ((96, 48), (240, 120)), ((64, 64), (128, 64))]
)
def test_random_crop_keeps_area_and_aspect_in_their_ranges(
    size: tuple[int, int], source: tuple[int, int]
) -> None:
    top, bottom, left, right = crops(make_image(*source), size).T
    assert top.min() >= 0
    assert right.max() <= 1
    height, width = (bottom - top) * source[0], (right - left) * source[1]
    aspect = (width / height) / (size[1] / size[0])
    area = height * width / (source[0] * source[1])
    # Interpolation blurs up to two pixels of the colours that the range is read from.
    assert aspect.min() > 0.75 * 0.88
    assert aspect.max() < 4 / 3 * 1.12
    assert area.min() > 0.05
    assert area.max() <= 1
    whole = source[0] / source[1] == size[0] / size[1]
    # A square crop of a 2:1 image can't cover more than two thirds of it (aspect 3/4: 85 x 64 of 128 x 64).
    assert area.max() > 0.85 if whole else 0.55 < area.max() < 0.68
    # Crops come from everywhere in the image.
    assert top.min() < 0.03
    assert bottom.max() > 0.97
    assert left.min() < 0.03
    assert right.max() > 0.97


def test_random_crop_of_the_whole_square_is_the_image() -> None:
    image = make_image(50, 50)
    whole = RandomResizedCrop(50, 50, area=(1.0, 1.0), aspect=(1.0, 1.0), mirror=0.0)
    np.testing.assert_array_equal(whole(image, sample_generator(0, 0, 0)), image)
    mirrored = RandomResizedCrop(50, 50, area=(1.0, 1.0), aspect=(1.0, 1.0), mirror=1.0)
    np.testing.assert_array_equal(mirrored(image, sample_generator(0, 0, 0)), image[:, ::-1])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_half_of_the_samples_are_mirrored(name: str) -> None:
    image = make_image()
    transform = TRANSFORMS[name](64, 32)
    mirrored = 0
    for position in range(400):
        green = transform(image, sample_generator(1, 0, position))[..., 1].astype(float)
        mirrored += green[:, 4:12].mean() > green[:, -12:-4].mean()
    assert 160 < mirrored < 240


def test_strong_augmentation_without_changes_is_a_resize() -> None:
    image = make_image(128, 64)
    plain = StrongAugmentation(128, 64, pad=0, color_jitter=0, color_cast=0)
    np.testing.assert_array_equal(plain(image, Draws(0.5, 0.5, 0.9)), image)  # type: ignore[arg-type]
    np.testing.assert_array_equal(plain(image, Draws(0.5, 0.5, 0.1)), image[:, ::-1])  # type: ignore[arg-type]


def test_shift_moves_the_image_and_fills_with_black() -> None:
    image = make_image(100, 50) // 2 + 50
    shift = StrongAugmentation(100, 50, pad=0.1, color_jitter=0, color_cast=0)
    down_left = shift(image, Draws(1.0, 0.0, 0.9))  # type: ignore[arg-type]
    np.testing.assert_array_equal(down_left[10:, :45], image[:90, 5:])
    assert not down_left[:10].any()
    assert not down_left[:, 45:].any()
    up_right = shift(image, Draws(0.0, 1.0, 0.9))  # type: ignore[arg-type]
    np.testing.assert_array_equal(up_right[:90, 5:], image[10:, :45])


def test_erasing_covers_two_to_thirty_percent_with_the_mean_colour() -> None:
    image = np.zeros((128, 64, 3), np.uint8)
    transform = StrongAugmentation(128, 64, pad=0, color_jitter=0, color_cast=0, random_erasing=1.0)
    shares = []
    for position in range(300):
        out = transform(image, sample_generator(2, 0, position))
        erased = (out == ERASED_BGR).all(axis=2)
        assert (out[~erased] == 0).all()
        rows, columns = np.flatnonzero(erased.any(1)), np.flatnonzero(erased.any(0))
        assert erased.sum() == len(rows) * len(columns)
        shares.append(erased.mean())
    assert 0.005 < min(shares) < 0.04
    assert 0.25 < max(shares) <= 0.3


def test_erasing_uses_the_colour_that_the_network_maps_to_zero() -> None:
    mean_bgr = (0.406, 0.456, 0.485)  # of ImageNet, the normalisation of models.network
    np.testing.assert_array_equal(ERASED_BGR, np.round(np.multiply(mean_bgr, 255)))


def augmented(image: NDArray[np.uint8], count: int = 100, **strengths: float) -> NDArray[np.float64]:
    """Return ``(count, H, W, 3)`` outputs with colour changes only."""
    off = {"color_jitter": 0.0, "color_cast": 0.0}
    transform = StrongAugmentation(*image.shape[:2], pad=0, **(off | strengths))
    # Mirroring changes nothing: every row is constant.
    return np.array([transform(image, sample_generator(4, 0, k)) for k in range(count)], np.float64)


def levels(*, blue: float = 1.0, green: float = 1.0, red: float = 1.0) -> NDArray[np.uint8]:
    """Return a column of all grey levels up to 200, with scaled channels."""
    column = np.arange(201, dtype=np.float64)[:, None, None] * (blue, green, red)
    return np.broadcast_to(column, (201, 8, 3)).astype(np.uint8)


def test_a_color_cast_is_a_gain_of_each_channel() -> None:
    image = levels()
    out = augmented(image, color_cast=0.2)[:, :, 0]  # (100, 201, 3)
    gains = out[:, 200] / 200
    assert (np.abs(gains - 1) <= 0.2 + 1 / 200).all()
    assert (gains.min(0) < 0.85).all()
    assert (gains.max(0) > 1.15).all()
    # Channels change independently: a grey pixel becomes warm or cold.
    assert np.abs(np.corrcoef(gains.T)[np.triu_indices(3, 1)]).max() < 0.35
    # Proportional at every level, so middle grey moves as well.
    np.testing.assert_allclose(out, gains[:, None] * np.arange(201)[:, None], atol=1.1)


def test_color_jitter_changes_brightness_and_contrast_of_all_channels_alike() -> None:
    out = augmented(levels(), color_jitter=0.2)[:, :, 0]
    assert (np.ptp(out, axis=2) == 0).all()  # grey stays grey
    means = out.mean(1)[:, 0] / 100
    assert means.min() < 0.85
    assert means.max() > 1.12
    slopes = (out[:, 150, 0] - out[:, 50, 0]) / 100
    assert (slopes >= 0.8**2 - 0.02).all()
    assert (slopes <= 1.2**2 + 0.02).all()
    assert np.corrcoef(means, slopes)[0, 1] < 0.95  # two changes, not one


def test_gamma_keeps_black_and_white() -> None:
    image = np.broadcast_to(np.array([0, 64, 128, 255], np.uint8)[:, None, None], (4, 2, 3)).copy()
    out = augmented(image, gamma=0.5)[:, :, 0, 0]
    assert (out[:, 0] == 0).all()
    assert (out[:, 3] == 255).all()
    exponents = np.log(out[:, 2] / 255) / np.log(128 / 255)
    assert exponents.min() == pytest.approx(1 / 1.5, abs=0.03)
    assert exponents.max() == pytest.approx(1.5, abs=0.06)


def test_a_hue_change_keeps_grey_and_luma() -> None:
    luma = np.array([0.114, 0.587, 0.299])
    np.testing.assert_allclose(
        augmented(levels(), hue=0.1), np.broadcast_to(levels(), (100, 201, 8, 3)), atol=1
    )
    image = levels(blue=0.5, green=0.6, red=0.8)
    out = augmented(image, hue=0.02)
    np.testing.assert_allclose(out @ luma, np.broadcast_to(image @ luma, out.shape[:3]), atol=1.5)
    assert np.ptp(out[:, 200, 0], axis=0).min() > 3  # every channel moves


def test_hue_rotations_add_up_to_a_full_turn() -> None:
    np.testing.assert_allclose(hue_rotation(0.0), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(hue_rotation(1.0), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(hue_rotation(0.25) @ hue_rotation(0.15), hue_rotation(0.4), atol=1e-9)


def test_colour_changes_never_wrap() -> None:
    image = levels()
    out = augmented(image, color_jitter=0.5, color_cast=0.5, gamma=0.5)
    assert (np.diff(out[:, :, 0], axis=1) >= 0).all()


def test_moved_sides_cut_inwards_and_repeat_the_edge_outwards() -> None:
    image = make_image(100, 60)
    moved = with_sides_moved(image, np.array([-0.1, 0.05, 0.2, -0.3]))  # left, top, right, bottom
    assert moved.shape == (100 + 5 - 30, 60 - 6 + 12, 3)
    np.testing.assert_array_equal(moved[5:, :54], image[:70, 6:])
    np.testing.assert_array_equal(moved[:5, :54], np.repeat(image[:1, 6:], 5, axis=0))
    np.testing.assert_array_equal(moved[5:, 54:], np.repeat(image[:70, -1:], 12, axis=1))


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (100, 60)])
def test_unmoved_sides_keep_the_image(size: tuple[int, int]) -> None:
    image = make_image(*size)
    np.testing.assert_array_equal(with_sides_moved(image, np.zeros(4)), image)


def test_box_jitter_moves_sides_by_at_most_twice_its_share() -> None:
    wide = np.full((200, 100, 3), 9, np.uint8)
    wide[20:180, 10:90] = 200  # a frame of a tenth of each side
    transform = StrongAugmentation(200, 100, pad=0, color_jitter=0, color_cast=0, box_jitter=0.05)
    tops = []
    for position in range(200):
        out = transform(wide, sample_generator(5, 0, position))
        tops.append(np.flatnonzero((out > 100).any(axis=(1, 2)))[0] / 200)
    assert abs(np.mean(tops) - 0.1) < 0.01
    assert 0.03 < np.std(tops) < 0.07  # both ends of the image move
    assert min(tops) > -1e-9
    assert max(tops) < 0.26


def test_low_resolution_images_lose_detail_and_keep_their_brightness() -> None:
    fine = np.zeros((128, 64, 3), np.uint8)
    fine[::2] = 200
    transform = StrongAugmentation(128, 64, pad=0, color_jitter=0, color_cast=0, low_resolution=0.5)
    contrast = []
    for position in range(200):
        out = transform(fine, sample_generator(6, 0, position)).astype(float)
        assert abs(out.mean() - 100) < 6
        contrast.append(out.std())
    whole = sum(value == fine.std() for value in contrast)
    assert 70 < whole < 130  # the other half has lost some detail
    assert min(contrast) < 10


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((128, 64, 3), np.uint8)
    stripes[::4] = 255  # an average of a quarter white, which linear sampling misses or doubles
    for width in (16, 64, 128):  # narrower, the same, wider than the source
        small = resize(stripes, 32, width)
        assert small.shape == (32, width, 3)
        assert np.abs(small.astype(int) - 64).max() <= 1
    fine = np.zeros((128, 64, 3), np.uint8)
    fine[:, ::4] = 255
    assert np.abs(resize(fine, 256, 16).astype(int) - 64).max() <= 1


def test_stretch_resizes_the_whole_image() -> None:
    image = make_image(100, 60)
    out = Preprocessing(128, 64)(image)
    assert out.shape == (128, 64, 3)
    assert out[0, 0, 0] == 0
    assert out[-1, -1, 0] == 250
    assert out[0, 0, 1] == 0
    assert out[-1, -1, 1] == 250


@pytest.mark.parametrize(
    ("source", "size", "rows", "columns"),
    [
        ((128, 64), (128, 128), (0.25, 0.75), (0, 1)),  # a person into a square: the middle half
        ((64, 128), (128, 128), (0, 1), (0.25, 0.75)),
        ((128, 64), (128, 64), (0, 1), (0, 1)),
        ((100, 100), (128, 64), (0, 1), (0.25, 0.75)),
        ((100, 25), (128, 64), (0.25, 0.75), (0, 1)),
    ],
)
def test_short_side_crop_keeps_the_aspect_ratio_and_crops_the_centre(
    source: tuple[int, int], size: tuple[int, int], rows: tuple[float, float], columns: tuple[float, float]
) -> None:
    out = Preprocessing(*size, mode="short_side_crop")(make_image(*source)).astype(float)
    assert out.shape == (*size, 3)
    for channel, wanted in ((0, rows), (1, columns)):
        found = out[..., channel].min() / 250, out[..., channel].max() / 250
        assert found == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("mode", ["stretch", "short_side_crop"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("source", [(1, 1), (1, 500), (37, 23), (333, 77)])
def test_preprocessing_returns_its_size_in_new_memory(
    mode: str, size: tuple[int, int], source: tuple[int, int]
) -> None:
    image = make_image(*source)
    out = Preprocessing(*size, mode=mode)(image)
    assert out.shape == (*size, 3)
    assert out.flags.c_contiguous
    assert not np.shares_memory(out, image)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Preprocessing(0, 64), "height and width must be at least 1, got 0 and 64"),
        (
            lambda: Preprocessing(64, 64, mode="fit"),
            "mode must be one of stretch, short_side_crop, got 'fit'",
        ),
        (lambda: Preprocessing(64, 64, interpolation="lanczos"), "interpolation must be one of nearest, "),
        (lambda: RandomResizedCrop(64, 64, area=(0.5, 2.0)), "area must be a range within"),
        (lambda: RandomResizedCrop(64, 64, aspect=(2.0, 1.0)), "aspect must be a range"),
        (
            lambda: StrongAugmentation(64, 64, random_erasing=1.5),
            r"random_erasing must be in \[0, 1\], got 1.5",
        ),
        (lambda: StrongAugmentation(64, 64, box_jitter=0.3), r"box_jitter must be in \[0, 0.2\], got 0.3"),
        (
            lambda: StrongAugmentation(64, 64, low_resolution=-0.1),
            r"low_resolution must be in \[0, 1\], got -0.1",
        ),
        (lambda: StrongAugmentation(64, 64, pad=2), r"pad must be in \[0, 1\], got 2"),
        (lambda: Preprocessing(4, 4)(np.zeros((5, 5), np.uint8)), r"image must be \(H, W, 3\) uint8"),
        (lambda: Preprocessing(4, 4)(np.zeros((0, 5, 3), np.uint8)), "image must not be empty"),
    ],
)
def test_invalid_settings_and_images_are_refused(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()
