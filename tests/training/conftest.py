import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from isocenter.core.dataset import (
    ArrayFile,
    DatasetManifest,
    FrameRecord,
    ImageSetEntry,
    Omission,
)


def phantom(depth, height, width, seed=0):
    """Ellipses of even grey on a slope, [z, y, x], int16 like a CT."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    volume = np.empty((depth, height, width), np.int16)
    for z in range(depth):
        image = -800 + 300 * x / width
        for _ in range(6):
            cy, cx = rng.uniform(0, height), rng.uniform(0, width)
            ry, rx = rng.uniform(0.1, 0.4, 2) * (height, width)
            inside = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
            image = np.where(inside, rng.uniform(-500, 900), image)
        volume[z] = image
    return volume


@dataclass
class Container:
    """The folder that SageMaker would mount at /opt/ml."""

    root: Path

    @property
    def dataset(self):
        return self.root / "input/data/dataset"

    def fill(self, *arrays, omissions=()):
        """Write a dataset as the fetcher does; one image set for each array.

        Each array is values or (values, split) or (values, split, changes of its
        entry in the manifest).
        """
        entries, lines = [], []
        for number, given in enumerate(arrays):
            parts = given if isinstance(given, tuple) else (given,)
            values, split, changes = (*parts, *("train", {})[len(parts) - 1 :])
            image_set_id = f"{number:032d}"
            name = f"{image_set_id}/series.npy"
            path = self.dataset / name
            path.parent.mkdir(parents=True)
            np.save(path, values)
            sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
            lines.append(f"{name} {sha256}")
            array = ArrayFile(
                path=name,
                bytes=path.stat().st_size,
                sha256=sha256,
                shape=values.shape,
                dtype=str(values.dtype),
                axes="zyxc" if values.ndim == 4 else "zyx",
                uniform=True,
                frames=(
                    FrameRecord(
                        frame_id="f" * 32,
                        sop_instance_uid="1.2",
                        frame_number=1,
                        crc32=0,
                    ),
                ),
            ).model_copy(update=changes)
            entries.append(
                ImageSetEntry(
                    image_set_id=image_set_id,
                    version_id="1",
                    study_instance_uid="1.2",
                    series_instance_uids=("1.3",),
                    patient_key=f"{number:032x}",
                    split=split,
                    arrays=(array,),
                )
            )
        self.dataset.mkdir(parents=True, exist_ok=True)
        manifest = DatasetManifest(
            datastore_id="d" * 32,
            requested=(),
            image_sets=tuple(entries),
            omissions=tuple(
                Omission(image_set_id="a" * 32, reason=reason, message="")
                for reason in omissions
            ),
            digest=hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest(),
        )
        (self.dataset / "manifest.json").write_bytes(manifest.to_json())
        return self

    def hyperparameters(self, **values):
        path = self.root / "input/config/hyperparameters.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({k: str(v) for k, v in values.items()}))
        return self

    def path_of(self, number):
        return self.dataset / f"{number:032d}/series.npy"

    @property
    def failure(self):
        return (self.root / "output/failure").read_text()

    @property
    def description(self):
        return json.loads((self.root / "model/model.json").read_text())


@pytest.fixture
def container(tmp_path):
    return Container(tmp_path)


@pytest.fixture
def make_phantom():
    return phantom
