"""Turn decoded images into the network's input: training augmentation and test preprocessing.

All functions work on uint8 BGR. Colour normalisation is the first layer of the network (`models.network`), so
training, evaluation and the exported graph share it. Every sample has a random generator keyed by seed,
iteration and position in the batch: the output does not depend on the number of workers or processes, and a
resumed run continues exactly.

`Preprocessing` defines the test-time resizing; the export saves it and the tracker applies it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deepsort_paddle.appearance.preprocess import check_resize, resize_into
from reid_train.config import AUGMENTATIONS, TrainConfig, check_augmentation

__all__ = [
    "Preprocessing",
    "RandomResizedCrop",
    "StrongAugmentation",
    "TrainTransform",
    "preprocessing_of",
    "resize",
    "sample_generator",
]

TrainTransform = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]

# Smallest scale of low-resolution images, relative to the output: 32 x 16 for 128 x 64.
_LOWEST_RESOLUTION = 0.25

# NTSC luma and chroma (FCC, 1953) of blue, green, red.
_YIQ_OF_BGR = np.array([[0.114, 0.587, 0.299], [-0.3213, -0.2744, 0.5959], [0.3111, -0.5227, 0.2115]])

# ImageNet's mean colour (models.network.MEAN_BGR, rounded), which the network normalises to zero.
ERASED_BGR = (104, 116, 124)


def sample_generator(seed: int, iteration: int, position: int) -> np.random.Generator:
    """Return the random generator of one sample of an iteration."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, iteration, position]))


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize ``(H, W, 3)`` to ``(height, width, 3)`` without aliasing; the same size returns the input.

    A shrinking side is averaged over areas, a growing side is interpolated linearly. OpenCV averages only if
    both sides shrink, so the mixed case takes two steps.

    Args:
        image: ``(H, W, 3)`` uint8; it is not modified.
        height: of the output in pixels.
        width: of the output in pixels.

    Returns:
        ``(height, width, 3)`` uint8.
    """
    small = (min(height, image.shape[0]), min(width, image.shape[1]))
    if small != image.shape[:2]:
        image = np.asarray(cv2.resize(image, small[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    if small != (height, width):
        image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    return image


@dataclass(frozen=True)
class Preprocessing:
    """Test-time preprocessing: how an image of a person becomes the network's input.

    Attributes:
        height: of the input in pixels.
        width: of the input in pixels.
        mode: ``stretch`` resizes the whole image; ``short_side_crop`` keeps the aspect ratio, resizes until
            the image just covers the input, and crops the centre.
        interpolation: nearest, linear, cubic or area.

    Raises:
        ValueError: a size is not positive, or mode or interpolation is unknown.

    Example:
        >>> Preprocessing(128, 64)(np.zeros((200, 90, 3), np.uint8)).shape
        (128, 64, 3)
    """

    height: int
    width: int
    mode: str = "stretch"
    interpolation: str = "linear"

    def __post_init__(self) -> None:
        check_size(self.height, self.width)
        check_resize(self.mode, self.interpolation)

    def __call__(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize ``(H, W, 3)`` uint8 to ``(height, width, 3)`` uint8; the input is not modified.

        Raises:
            ValueError: the image is empty, or not uint8 with three channels.
        """
        check_image(image)
        out = np.empty((self.height, self.width, 3), np.uint8)
        resize_into(out, image, self.mode, self.interpolation)
        return out


def preprocessing_of(config: TrainConfig) -> Preprocessing:
    """Return the test-time preprocessing: centre crop with the seed augmentation, else stretching."""
    _, height, width = config.image_shape
    return Preprocessing(height, width, "short_side_crop" if config.augmentation == "seed" else "stretch")


@dataclass(frozen=True)
class RandomResizedCrop:
    """The augmentation of the recipe ``seed``: a random crop of the image, resized and randomly mirrored.

    Attributes:
        height: of the output in pixels.
        width: of the output in pixels.
        area: smallest and largest share of the image that a crop covers.
        aspect: smallest and largest aspect ratio (width / height) of a crop, relative to the output's; this
            bounds the distortion.
        mirror: probability of mirroring.

    Raises:
        ValueError: a size is not positive, or a range is invalid.

    Example:
        >>> augment = RandomResizedCrop(64, 64)
        >>> augment(np.zeros((128, 64, 3), np.uint8), np.random.default_rng(0)).shape
        (64, 64, 3)
    """

    height: int
    width: int
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    mirror: float = 0.5

    def __post_init__(self) -> None:
        check_size(self.height, self.width)
        if not 0 < self.area[0] <= self.area[1] <= 1:
            raise ValueError(f"area must be a range within (0, 1], got {self.area}")
        if not 0 < self.aspect[0] <= self.aspect[1]:
            raise ValueError(f"aspect must be a range above 0, got {self.aspect}")

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Augment ``(H, W, 3)`` uint8 to ``(height, width, 3)`` uint8; the input is not modified."""
        crop_at, area_at, top_at, left_at, mirror_at = rng.random(5)
        height, width = image.shape[:2]
        aspect = (self.aspect[0] + (self.aspect[1] - self.aspect[0]) * crop_at) * self.width / self.height
        # The largest crop of this aspect ratio touches two opposite sides.
        largest = min(aspect * height / width, width / (aspect * height))
        low, high = min(self.area[0], largest), min(self.area[1], largest)
        pixels = (low + (high - low) * area_at) * height * width
        crop_height = min(max(round((pixels / aspect) ** 0.5), 1), height)
        crop_width = min(max(round((pixels * aspect) ** 0.5), 1), width)
        top = int(top_at * (height - crop_height + 1))
        left = int(left_at * (width - crop_width + 1))
        crop = image[top : top + crop_height, left : left + crop_width]
        out = resize(crop, self.height, self.width)
        return np.asarray(cv2.flip(out, 1) if mirror_at < self.mirror else out.copy(), np.uint8)


@dataclass(frozen=True)
class StrongAugmentation:
    """Mirroring, pad-and-crop, colour changes, random erasing, and simulated tracker crops.

    A tracker's crops differ from those of a data set, and a network must see this in training: white balance
    and exposure vary between cameras, a detector's boxes are too tight or too loose, and distant people are a
    few dozen pixels tall. All changes are random for each image.

    Attributes:
        height: of the output in pixels.
        width: of the output in pixels.
        pad: largest shift as a share of each side, filled with black; equivalent to padding by this share
            and cropping (Luo et al., arXiv 1903.07071: 10 of 256).
        color_jitter: largest relative change of brightness, and of contrast around the mean grey level.
        color_cast: largest relative gain of each channel, ``v * gain``, as under warm or cold light.
        gamma: largest relative change of the exponent ``g`` in ``v ** g``, for values in [0, 1].
        hue: largest rotation of the hue, as a share of a full turn; brightness is unchanged.
        random_erasing: probability of random erasing (Zhong et al., arXiv 1708.04896; area 2 to 30 %,
            aspect ratio 0.3 to 3.3), filled with the mean colour.
        box_jitter: standard deviation of the error of each box side, as a share of the image's height or
            width, clipped at twice that; pixels outside the image repeat its edge.
        low_resolution: probability of downscaling to 1/4 to all of the output's size (log-uniform) and
            upscaling again.

    Raises:
        ValueError: a size is not positive, or a strength is out of range.

    Example:
        >>> augment = StrongAugmentation(128, 64, color_cast=0.25)
        >>> augment(np.full((128, 64, 3), 90, np.uint8), np.random.default_rng(0)).shape
        (128, 64, 3)
    """

    height: int
    width: int
    pad: float = 0.06
    color_jitter: float = 0.2
    color_cast: float = 0.2
    gamma: float = 0.0
    hue: float = 0.0
    random_erasing: float = 0.0
    box_jitter: float = 0.0
    low_resolution: float = 0.0

    def __post_init__(self) -> None:
        check_size(self.height, self.width)
        for name in AUGMENTATIONS:
            check_augmentation(name, getattr(self, name))
        check_augmentation("pad", self.pad)

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Augment ``(H, W, 3)`` uint8 to ``(height, width, 3)`` uint8; the input is not modified."""
        draws = rng.random(18)  # one call: the call costs more than its numbers
        if self.box_jitter > 0:
            image = with_sides_moved(image, np.clip(rng.standard_normal(4), -2, 2) * self.box_jitter)
        if self.low_resolution > 0:
            image = self._reduce(image, rng.random(2))
        out = self._shift(resize(image, self.height, self.width), draws[:2], draws[2] < 0.5)
        out = self._recolor(out, draws[3:10])
        if draws[10] < self.random_erasing:
            self._erase(out, draws[11:15])
        return out

    def _reduce(self, image: NDArray[np.uint8], draws: NDArray[np.float64]) -> NDArray[np.uint8]:
        if draws[0] >= self.low_resolution:
            return image
        scale = _LOWEST_RESOLUTION ** draws[1]
        return resize(image, max(round(self.height * scale), 1), max(round(self.width * scale), 1))

    def _shift(self, image: NDArray[np.uint8], draws: NDArray[np.float64], mirror: bool) -> NDArray[np.uint8]:
        height, width = self.height, self.width
        dy, dx = np.round((2 * draws - 1) * self.pad * (height, width)).astype(int).tolist()
        if mirror:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        if dy == 0 and dx == 0:
            return image.copy()
        out = np.zeros((height, width, 3), np.uint8)
        out[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = image[
            max(-dy, 0) : height - max(dy, 0), max(-dx, 0) : width - max(dx, 0)
        ]
        return out

    def _recolor(self, image: NDArray[np.uint8], draws: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Change hue, then gamma, brightness and cast, then contrast, by one matrix and one look-up table."""
        change = 2 * draws - 1
        if self.hue > 0:
            image = np.asarray(cv2.transform(image, hue_rotation(change[0] * self.hue)), np.uint8)
        if max(self.gamma, self.color_jitter, self.color_cast) == 0:
            return image
        gains = (1 + change[3:6] * self.color_cast) * (1 + change[2] * self.color_jitter)
        exponent = (1 + self.gamma) ** change[1]
        table = 255 * unit_levels() ** exponent * gains  # (256, 3)
        contrast = 1 + change[6] * self.color_jitter
        mean = float(np.take_along_axis(table, np.array(cv2.mean(image)[:3], int)[None], 0).mean())
        table = np.clip(mean + (table - mean) * contrast + 0.5, 0, 255).astype(np.uint8)
        return np.asarray(cv2.LUT(image, table[None]), np.uint8)

    def _erase(self, image: NDArray[np.uint8], draws: NDArray[np.float64]) -> None:
        area = (0.02 + 0.28 * draws[0]) * self.height * self.width
        aspect = 0.3 * (3.3 / 0.3) ** draws[1]
        height = min(int((area * aspect) ** 0.5), self.height - 1)
        width = min(int((area / aspect) ** 0.5), self.width - 1)
        top = int(draws[2] * (self.height - height))
        left = int(draws[3] * (self.width - width))
        image[top : top + height, left : left + width] = ERASED_BGR


def hue_rotation(turn: float) -> NDArray[np.float64]:
    """Return the ``(3, 3)`` matrix that rotates the hue of BGR pixels by a share of a full turn.

    It rotates the chroma plane of YIQ: grey pixels, and the luma of all pixels, are unchanged.
    """
    angle = 2 * np.pi * turn
    rotation = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    return np.asarray(np.linalg.solve(_YIQ_OF_BGR, rotation @ _YIQ_OF_BGR), np.float64)


def with_sides_moved(image: NDArray[np.uint8], steps: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the crop of a box with moved sides; pixels outside the image repeat its edge.

    Args:
        image: ``(H, W, 3)`` uint8; it is not modified.
        steps: ``(4,)`` how far left, top, right and bottom move outwards, as shares of width and height;
            above -0.5.

    Returns:
        ``(h, w, 3)`` uint8.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = np.round(steps * (width, height, width, height)).astype(int).tolist()
    inside = image[max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
    if inside.size == 0:
        return image
    above, below, before, after = (max(side, 0) for side in (top, bottom, left, right))
    return np.asarray(cv2.copyMakeBorder(inside, above, below, before, after, cv2.BORDER_REPLICATE), np.uint8)


@lru_cache(maxsize=1)
def unit_levels() -> NDArray[np.float64]:
    """Return the pixel levels scaled to [0, 1], ``(256, 1)``."""
    levels = np.linspace(0, 1, 256)[:, None]
    levels.setflags(write=False)
    return levels


def check_size(height: int, width: int) -> None:
    """Check that a size is positive.

    Raises:
        ValueError: a side is not positive.
    """
    if height < 1 or width < 1:
        raise ValueError(f"height and width must be at least 1, got {height} and {width}")


def check_image(image: NDArray[np.uint8]) -> None:
    """Check that an array is a colour image.

    Raises:
        ValueError: it is empty, or not ``(H, W, 3)`` uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")
    if image.size == 0:
        raise ValueError(f"image must not be empty, got {image.shape}")
