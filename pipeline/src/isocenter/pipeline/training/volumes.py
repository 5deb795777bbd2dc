"""The fetched dataset as verified volumes.

Every array's size and SHA-256 is checked against manifest.json before anything is
learnt from it; pixels stay in the files, mapped into memory.
"""

import hashlib
import logging
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from isocenter.core.dataset import (
    MANIFEST_NAME,
    ArrayFile,
    DatasetManifest,
    Split,
    parse_dataset,
)
from isocenter.core.errors import IntegrityError, MalformedError
from isocenter.pipeline.training.errors import DatasetUnusableError, StoppedError
from isocenter.pipeline.training.normalisation import Normalisation, luminance, robust

log = logging.getLogger(__name__)

SMALLEST_SIDE = 8
"""Pixels; a smaller image has no structure that a 3 x 3 network could learn."""
_RGB = 3


@dataclass(frozen=True)
class Volume:
    """One array of the dataset, ready to be sampled.

    Args:
        path: its name in the manifest.
        split: of its patient.
        stored: [z, y, x], or [z, y, x, 3] in colour; stored values.
        slope: of the modality's rescale.
        intercept: of the modality's rescale.
        normalisation: of the rescaled values.
    """

    path: str
    split: Split
    stored: NDArray[np.generic]
    slope: float
    intercept: float
    normalisation: Normalisation

    def crop(self, z: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """A piece of slice ``z``: [y, x], float32, values in [0, 1]."""
        piece = self.stored[z, rows, columns]
        values = luminance(piece) if piece.ndim == _RGB else piece.astype(np.float32)
        return self.normalisation.apply(
            values * np.float32(self.slope) + np.float32(self.intercept)
        )


@dataclass(frozen=True)
class Dataset:
    """What there is to learn from.

    Args:
        manifest: as the fetcher wrote it.
        volumes: the usable arrays, in the manifest's order.
        skipped: path and reason of each array that is not used.
    """

    manifest: DatasetManifest
    volumes: tuple[Volume, ...]
    skipped: tuple[tuple[str, str], ...]


def load(root: Path, stop: threading.Event) -> Dataset:
    """Read and verify the dataset under ``root``.

    Raises:
        MalformedError: the manifest, or an array, is missing or not what it says.
        IntegrityError: an array's size or checksum differs from the manifest's.
        DatasetUnusableError: no array can be used.
        StoppedError: ``stop`` was set.
    """
    path = root / MANIFEST_NAME
    if not path.is_file():
        raise MalformedError(
            f"the dataset has no {MANIFEST_NAME}: the fetch step did not complete"
        )
    manifest = parse_dataset(path.read_bytes(), source=MANIFEST_NAME)
    volumes: list[Volume] = []
    skipped: list[tuple[str, str]] = []
    for image_set in manifest.image_sets:
        for array in image_set.arrays:
            if stop.is_set():
                raise StoppedError("stopped while the dataset was being verified")
            stored = _verified(root, array)
            reason, normalisation = _judge(array, stored)
            if normalisation is None:
                log.warning(
                    "array skipped", extra={"key": array.path, "reason": reason}
                )
                skipped.append((array.path, reason))
                continue
            volumes.append(
                Volume(
                    path=array.path,
                    split=image_set.split,
                    stored=stored,
                    slope=array.rescale_slope,
                    intercept=array.rescale_intercept,
                    normalisation=normalisation,
                )
            )
    if not volumes:
        raise DatasetUnusableError(_nothing_left(manifest, skipped))
    return Dataset(manifest, tuple(volumes), tuple(skipped))


def _verified(root: Path, array: ArrayFile) -> NDArray[np.generic]:
    """The array of a file whose bytes are those of the manifest."""
    name = PurePosixPath(array.path)
    if name.is_absolute() or ".." in name.parts:
        raise MalformedError(f"array {array.path} is outside the dataset")
    path = root / name
    if not path.is_file():
        raise MalformedError(f"array {array.path} of the manifest is missing")
    if path.stat().st_size != array.bytes:
        raise IntegrityError(
            f"array {array.path} has {path.stat().st_size} bytes, "
            f"the manifest says {array.bytes}: fetch the dataset again"
        )
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != array.sha256:
        raise IntegrityError(
            f"array {array.path} has SHA-256 {sha256}, "
            f"the manifest says {array.sha256}: fetch the dataset again"
        )
    try:
        stored: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
        same = stored.shape == array.shape and stored.dtype == np.dtype(array.dtype)
    except (ValueError, TypeError, OSError) as error:
        raise MalformedError(f"array {array.path} is not readable: {error}") from error
    if not same or stored.ndim != len(array.axes):
        raise MalformedError(
            f"array {array.path} is {stored.dtype}{list(stored.shape)}, the manifest "
            f"says {array.dtype}{list(array.shape)} along {array.axes}"
        )
    return stored


def _judge(
    array: ArrayFile, stored: NDArray[np.generic]
) -> tuple[str, Normalisation | None]:
    """The normalisation of a usable array, or why it is skipped."""
    if stored.dtype.kind not in "iuf":
        return f"values of type {stored.dtype} are not numbers of a scale", None
    if array.axes == "zyxc" and stored.shape[3] != _RGB:
        return f"{stored.shape[3]} colour samples per pixel, not 3", None
    if stored.shape[0] < 1 or min(stored.shape[1:3]) < SMALLEST_SIDE:
        return f"smaller than {SMALLEST_SIDE} x {SMALLEST_SIDE} pixels", None
    found = robust(stored)
    if found is None:
        return "all values are the same", None
    ends = [
        value * array.rescale_slope + array.rescale_intercept
        for value in (found.low, found.high)
    ]
    if not np.isfinite(ends).all() or ends[0] == ends[1]:
        return "its rescale leaves no range of values", None
    return "", Normalisation(min(ends), max(ends))


def _nothing_left(manifest: DatasetManifest, skipped: list[tuple[str, str]]) -> str:
    omitted = Counter(str(omission.reason) for omission in manifest.omissions)
    left_out = Counter(reason for _, reason in skipped)
    reasons = [f"{count} x {reason}" for reason, count in (omitted + left_out).items()]
    return (
        f"no array to train on among {len(manifest.image_sets)} image sets: "
        f"{'; '.join(reasons) or 'the manifest lists none and omits none'}"
    )
