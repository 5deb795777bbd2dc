"""HealthImaging's state: who exists in memory, frames and metadata on disk.

A restart forgets everything: the folder is emptied at the start.  Image sets
hold only ids and paths in memory, so a large study costs disk, not memory.

Layout: ``<root>/<datastore>/<image set>/versions/<n>.json.gz`` (metadata of a
version, as GetImageSetMetadata sends it), ``.../instances/*`` (one instance's
part of it, and what DICOMweb needs: see ``dicomweb.kept``) and
``.../frames/<transfer syntax>/<frame id>``.  No file is ever written twice, so
that older versions stay whole.
"""

from __future__ import annotations

import gzip
import shutil
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from isocenter.devcloud.healthimaging.errors import ResourceNotFoundError
from isocenter.devcloud.healthimaging.grouping import SeriesKey, place
from isocenter.devcloud.healthimaging.metadata import document
from isocenter.devcloud.healthimaging.models import (
    Datastore,
    ImageSet,
    ImageSetVersion,
    ImportJob,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from isocenter.devcloud.healthimaging.instances import ConvertedInstance

__all__ = ["State"]


class State:
    """All data stores, jobs and image sets of the account; safe for threads."""

    def __init__(self, root: Path) -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
        self._root = root
        self.lock = threading.RLock()
        self._adding = threading.Lock()
        self.datastores: dict[str, Datastore] = {}
        self.jobs: dict[str, ImportJob] = {}
        self.job_tokens: dict[tuple[str, str], str] = {}
        self._image_sets: dict[str, ImageSet] = {}
        # data store -> Series Instance UID -> primary image set
        self._primaries: dict[str, dict[str, tuple[str, SeriesKey]]] = {}

    def datastore(self, datastore_id: str) -> Datastore:
        """The data store, or ResourceNotFoundError."""
        found = self.datastores.get(datastore_id)
        if found is None:
            raise ResourceNotFoundError(f"Datastore {datastore_id} does not exist")
        return found

    def job(self, datastore_id: str, job_id: str) -> ImportJob:
        """The import job, or ResourceNotFoundError."""
        self.datastore(datastore_id)
        found = self.jobs.get(job_id)
        if found is None or found.datastore_id != datastore_id:
            raise ResourceNotFoundError(f"Import job {job_id} does not exist")
        return found

    def image_set(self, datastore_id: str, image_set_id: str) -> ImageSet:
        """The image set, or ResourceNotFoundError."""
        self.datastore(datastore_id)
        found = self._image_sets.get(image_set_id)
        if found is None or found.datastore_id != datastore_id:
            raise ResourceNotFoundError(f"Image set {image_set_id} does not exist")
        return found

    def image_sets(self, datastore_id: str) -> list[ImageSet]:
        """Every image set of a data store."""
        with self.lock:
            return [
                image_set
                for image_set in self._image_sets.values()
                if image_set.datastore_id == datastore_id
            ]

    def version(self, image_set: ImageSet, version_id: str | None) -> ImageSetVersion:
        """A version by its id, the newest without one."""
        if version_id is None:
            return image_set.latest
        for version in image_set.versions:
            if str(version.version) == version_id:
                return version
        raise ResourceNotFoundError(
            f"Image set {image_set.image_set_id} has no version {version_id}"
        )

    def metadata_path(self, image_set: ImageSet, version: ImageSetVersion) -> Path:
        """The gzip file of a version's metadata."""
        return self._folder(image_set) / "versions" / f"{version.version}.json.gz"

    def instance_path(
        self, image_set: ImageSet, sop_instance_uid: str, suffix: str
    ) -> Path:
        """An instance's newest file: ``.json``, or one of ``dicomweb.kept``."""
        name = image_set.instances.get(sop_instance_uid)
        if name is None:
            raise ResourceNotFoundError(
                f"Image set {image_set.image_set_id} does not have the instance"
            )
        return self._folder(image_set) / "instances" / f"{Path(name).stem}{suffix}"

    def frame(self, image_set: ImageSet, frame_id: str) -> tuple[str, Path]:
        """(stored transfer syntax, file) of a frame of any version."""
        # The id is checked against the service model before: it is no path.
        for path in self._folder(image_set).glob(f"frames/*/{frame_id}"):
            return path.parent.name, path
        raise ResourceNotFoundError(f"Image frame {frame_id} does not exist")

    def staging(self, job_id: str) -> Path:
        """A folder for a running job, on the same file system as the rest."""
        folder = self._root / "staging" / job_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def add(
        self,
        datastore_id: str,
        converted: Sequence[tuple[SeriesKey, ConvertedInstance]],
    ) -> list[tuple[ImageSet, ImageSetVersion, list[int]]]:
        """Put a job's instances into image sets, one new version for each set.

        Returns each image set with that version and the positions in
        ``converted`` that went into it.  Jobs that run at once come here one
        after the other: ``latest`` may be the next one's.
        """
        with self._adding:
            return [
                (
                    image_set,
                    self._grow(image_set, [converted[each][1] for each in positions]),
                    positions,
                )
                for image_set, positions in self._place(datastore_id, converted)
            ]

    def _place(
        self,
        datastore_id: str,
        converted: Sequence[tuple[SeriesKey, ConvertedInstance]],
    ) -> list[tuple[ImageSet, list[int]]]:
        primaries = self._primaries.setdefault(datastore_id, {})
        conflicting: dict[SeriesKey, str] = {}
        groups: dict[str, tuple[ImageSet, list[int]]] = {}
        for position, (key, instance) in enumerate(converted):
            image_set_id, is_primary = place(key, primaries, conflicting)
            if image_set_id is None:
                image_set = ImageSet(
                    image_set_id=uuid.uuid4().hex,
                    datastore_id=datastore_id,
                    key=key,
                    is_primary=is_primary,
                    levels=instance.levels,
                    created_at=time.time(),
                )
                image_set_id = image_set.image_set_id
                groups[image_set_id] = (image_set, [])
                if is_primary:
                    primaries[key.series_instance_uid] = (image_set_id, key)
                else:
                    conflicting[key] = image_set_id
            elif image_set_id not in groups:
                groups[image_set_id] = (self._image_sets[image_set_id], [])
            groups[image_set_id][1].append(position)
        return list(groups.values())

    def _grow(
        self, image_set: ImageSet, added: list[ConvertedInstance]
    ) -> ImageSetVersion:
        """Add instances as one new version; the same SOP instance is replaced."""
        folder = self._folder(image_set)
        (folder / "instances").mkdir(parents=True, exist_ok=True)
        (folder / "versions").mkdir(exist_ok=True)
        for instance in added:
            name = f"{uuid.uuid4().hex}.json"
            for kept in instance.directory.glob("instance.*"):
                suffix = kept.name.removeprefix("instance")
                kept.rename(folder / "instances" / f"{Path(name).stem}{suffix}")
            for frame in (instance.directory / "frames").glob("*/*"):
                stored = folder / "frames" / frame.parent.name
                stored.mkdir(parents=True, exist_ok=True)
                frame.rename(stored / frame.name)
            image_set.instances[instance.sop_instance_uid] = name
        number = len(image_set.versions) + 1
        version = ImageSetVersion(
            number, "CREATED" if number == 1 else "UPDATED", time.time()
        )
        self._write_metadata(image_set, version)
        with self.lock:
            image_set.versions.append(version)
            self._image_sets[image_set.image_set_id] = image_set
        return version

    def _write_metadata(self, image_set: ImageSet, version: ImageSetVersion) -> None:
        instances = self._folder(image_set) / "instances"
        pieces = document(
            image_set.datastore_id,
            image_set.image_set_id,
            image_set.levels,
            image_set.key.series_instance_uid,
            (
                (uid, (instances / name).read_text(encoding="ascii"))
                for uid, name in image_set.instances.items()
            ),
        )
        path = self.metadata_path(image_set, version)
        with gzip.open(path, "wt", compresslevel=6, encoding="ascii") as stream:
            stream.writelines(pieces)

    def _folder(self, image_set: ImageSet) -> Path:
        return self._root / image_set.datastore_id / image_set.image_set_id
