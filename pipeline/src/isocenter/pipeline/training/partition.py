"""Which slices are learnt from, and which are held out to judge the result."""

from collections.abc import Sequence
from dataclasses import dataclass

from isocenter.pipeline.training.errors import DatasetUnusableError
from isocenter.pipeline.training.volumes import SMALLEST_SIDE, Volume

HELD_OUT_EVERY = 5


@dataclass(frozen=True)
class Plane:
    """Rows ``top`` to ``bottom`` (not included) of one slice."""

    volume: Volume
    z: int
    top: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.volume.stored.shape[2])


@dataclass(frozen=True)
class Partition:
    """Disjoint planes, and in words where the held-out ones come from."""

    train: tuple[Plane, ...]
    validation: tuple[Plane, ...]
    validation_source: str


def divide(volumes: Sequence[Volume]) -> Partition:
    """Training and validation planes.

    By patient, as the manifest splits them. When one of the two splits is empty (few
    patients), every fifth slice is held out instead, and of a single slice its lower
    quarter: those figures flatter, because neighbours are alike, and the words say
    so. The test split is left alone unless there is nothing else.

    Raises:
        DatasetUnusableError: there is one slice only, and it is too low to divide.
    """
    train, validation, test = (
        [plane for volume in volumes if volume.split == split for plane in _of(volume)]
        for split in ("train", "validation", "test")
    )
    if train and validation:
        return Partition(
            tuple(train), tuple(validation), "patients of the validation split"
        )
    pool = train + validation or test
    whose = "training" if train or validation else "test"
    if len(pool) > 1:
        held_out = set(range(HELD_OUT_EVERY - 1, len(pool), HELD_OUT_EVERY)) or {
            len(pool) - 1
        }
        return Partition(
            tuple(p for i, p in enumerate(pool) if i not in held_out),
            tuple(p for i, p in enumerate(pool) if i in held_out),
            f"held-out slices of {whose} patients",
        )
    only = pool[0]
    border = only.bottom - max(SMALLEST_SIDE, only.bottom // 4)
    if border < SMALLEST_SIDE:
        raise DatasetUnusableError(
            f"the only slice has {only.bottom} rows; at least {2 * SMALLEST_SIDE} are "
            "needed to train and to validate"
        )
    return Partition(
        (Plane(only.volume, only.z, 0, border),),
        (Plane(only.volume, only.z, border, only.bottom),),
        f"held-out rows of the only slice, of a {whose} patient",
    )


def _of(volume: Volume) -> list[Plane]:
    depth, height = volume.stored.shape[:2]
    return [Plane(volume, z, 0, height) for z in range(depth)]
