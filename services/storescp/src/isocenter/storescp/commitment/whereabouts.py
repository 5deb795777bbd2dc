"""Finds out what really became of instances: by the index, the manifests, and S3."""

import logging
import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from isocenter.core.errors import AwsError, DeniedError
from isocenter.storescp.commitment.asking import Asking
from isocenter.storescp.commitment.decision import Finding
from isocenter.storescp.commitment.imports import BatchImport, Imports
from isocenter.storescp.commitment.manifests import Manifests, Search, Stored
from isocenter.storescp.commitment.objects import Objects
from isocenter.storescp.commitment.request import Reference

log = logging.getLogger(__name__)

_ASKING_S3 = 8
"""HeadObject calls at the same time: a request may name 10,000 instances."""
_MOST_FAILURES = 16
"""Calls that fail in one look before S3 is left alone until the next: 10,000 instances
would be as many lines in the log, and, while S3 is away, hours of waiting."""
_COMPRESSED = ".gz"
STORED = "stored"
"""The index's word for an instance that is in S3."""


class Known(Protocol):
    """A row of the index."""

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""

    @property
    def sop_class_uid(self) -> str:
        """SOP Class UID (0008,0016)."""

    @property
    def sha256(self) -> str:
        """Of the file, hexadecimal."""

    @property
    def bucket(self) -> str:
        """That the object is, or will be, in."""

    @property
    def key(self) -> str:
        """Of the object; empty if this version went to quarantine."""

    @property
    def batch(self) -> str:
        """Batch id."""

    @property
    def state(self) -> str:
        """``STORED``, or another word while it was not in S3 when this was written."""

    @property
    def place(self) -> str:
        """Path of the spool file, relative to the volume; empty once it is stored."""

    @property
    def object_sha256(self) -> str:
        """Of the object, hexadecimal; empty if it is not known."""

    @property
    def time(self) -> float:
        """When it was received, POSIX time."""


class Index(Protocol):
    """What this pod acknowledged; ``store.index``."""

    def versions(self, sop_instance_uid: str) -> Sequence[Known]:
        """Every version of an instance, those in quarantine too."""


class Whereabouts:
    """What became of instances.

    Args:
        index: of this pod.
        volume: the spool's.
        objects: S3.
        manifests: of all pods.
        imports: given, an instance is committed when HealthImaging imported it, and
            not before.
    """

    def __init__(
        self,
        index: Index,
        volume: Path,
        objects: Objects,
        manifests: Manifests,
        imports: Imports | None = None,
    ) -> None:
        self._index = index
        self._volume = volume
        self._objects = objects
        self._manifests = manifests
        self._imports = imports
        self._threads = Asking(_ASKING_S3, "commitment-s3")

    def close(self) -> None:
        """End the threads, without waiting for what they do."""
        self._threads.close()
        self._manifests.close()

    def look(
        self, references: Iterable[Reference], asked_at: datetime, search: Search
    ) -> Mapping[str, Finding]:
        """What is known now, by SOP Instance UID.

        Args:
            references: the instances.
            asked_at: when their sender asked.
            search: of this transaction.
        """
        search.whole = True  # until there is something to search
        found: dict[str, Finding] = {}
        there: dict[str, Stored] = {}
        unknown: dict[str, Reference] = {}
        aside: dict[str, Known] = {}
        for reference in references:
            uid = reference.sop_instance_uid
            rows = self._index.versions(uid)
            waiting = [row for row in rows if self._waits(row)]
            if waiting:
                found[uid] = _of_class(reference, waiting)
                continue
            last = latest(rows)
            if last is not None and last.key:
                there[uid] = _stored(last)
                found[uid] = _of_class(reference, [last])
                continue
            unknown[uid] = reference
            if last is not None:
                aside[uid] = last
        self._ask_manifests(unknown, asked_at, search, found, there)
        for uid, last in aside.items():
            if not is_made_good(last, there.get(uid)) and found[uid] in _NOT_THERE:
                found[uid] = Finding.SPOILED
        pending = [there[uid] for uid in there if found[uid] is Finding.PENDING]
        found.update(self._verified(pending))
        return found

    def _waits(self, row: Known) -> bool:
        """Whether it is on the volume yet.

        A kill or the loss of power may lose the index's row that S3 has it: the file,
        which is removed only after that, is what tells.
        """
        return row.state != STORED and (self._volume / row.place).exists()

    def _ask_manifests(
        self,
        unknown: Mapping[str, Reference],
        asked_at: datetime,
        search: Search,
        found: dict[str, Finding],
        there: dict[str, Stored],
    ) -> None:
        if not unknown:
            return
        try:
            named = self._manifests.find(unknown, asked_at, search)
        except AwsError as error:
            _report(error)
            found.update(dict.fromkeys(unknown, Finding.UNSURE))
            return
        nowhere = Finding.UNSEARCHED if search.given_up else Finding.UNKNOWN
        # Not found is not known to be nowhere, while there is more to search.
        missing = Finding.UNSURE if search.goes_on else nowhere
        found.update(dict.fromkeys(unknown, missing))
        for uid, stored in named.items():
            there[uid] = stored
            found[uid] = _of_class(unknown[uid], [stored])

    def _verified(self, stored: Sequence[Stored]) -> Mapping[str, Finding]:
        """What S3 itself says of instances that ought to be there."""
        if self._imports is None:
            # In no order: those that fail must not keep the same others from an answer.
            asked = random.sample(stored, len(stored))
            failures: list[AwsError] = []
            answers = self._threads.map(lambda s: self._in_s3(s, failures), asked)
            if failures:
                _report(failures[0])
        else:
            asked = list(stored)
            batches = list(dict.fromkeys((s.bucket, s.batch) for s in stored))
            outputs = dict(
                zip(batches, self._threads.map(self._import_of, batches), strict=True)
            )
            answers = [_imported(s, outputs[s.bucket, s.batch]) for s in stored]
        return {
            s.sop_instance_uid: answer for s, answer in zip(asked, answers, strict=True)
        }

    def _in_s3(self, stored: Stored, failures: list[AwsError]) -> Finding:
        if len(failures) >= _MOST_FAILURES:
            return Finding.UNSURE
        try:
            sha256 = self._objects.sha256(stored.bucket, stored.key)
        except AwsError as error:
            failures.append(error)
            return Finding.UNSURE
        if sha256 is None:
            return Finding.UNKNOWN
        if sha256 and stored.sha256 and sha256 != stored.sha256:
            log.error(
                "an object in S3 has other bytes than were acknowledged",
                extra={"key": stored.key, "sop_instance_uid": stored.sop_instance_uid},
            )
            return Finding.SPOILED
        return Finding.COMMITTED

    def _import_of(self, place: tuple[str, str]) -> BatchImport | None:
        try:
            return self._imports.of(*place) if self._imports else None
        except AwsError as error:
            _report(error)
            return None


_NOT_THERE = frozenset(
    {Finding.PENDING, Finding.CONFLICT, Finding.UNKNOWN, Finding.UNSEARCHED}
)
"""Of an instance whose last version is in quarantine: what an earlier version, or none,
makes of it."""


def latest(rows: Sequence[Known]) -> Known | None:
    """The version that was acknowledged last, None if there is none.

    Of two in the same second it is the one in quarantine: nothing is said to be safe
    that may not be.
    """
    return max(rows, key=lambda row: (int(row.time), not row.key), default=None)


def is_made_good(aside: Known, named: Stored | None) -> bool:
    """Whether what a manifest names stands for a version that went to quarantine.

    It does if it is that version, released, or one that came after it.
    """
    return named is not None and (
        named.sha256 == aside.sha256 or named.batch > aside.batch
    )


def _imported(stored: Stored, output: BatchImport | None) -> Finding:
    return Finding.UNSURE if output is None else output.finding(stored.key)


def _of_class(
    reference: Reference, rows: Sequence[Known] | Sequence[Stored]
) -> Finding:
    same = any(row.sop_class_uid == reference.sop_class_uid for row in rows)
    return Finding.PENDING if same else Finding.CONFLICT


def _stored(row: Known) -> Stored:
    # What a compressed object is, is known once it was put.
    known = row.object_sha256 if row.state == STORED else ""
    return Stored(
        sop_instance_uid=row.sop_instance_uid,
        sop_class_uid=row.sop_class_uid,
        # Compressed, the object has other bytes than the file.
        sha256=known or ("" if row.key.endswith(_COMPRESSED) else row.sha256),
        bucket=row.bucket,
        key=row.key,
        batch=row.batch,
    )


def _report(error: AwsError) -> None:
    denied = isinstance(error, DeniedError)
    log.log(
        logging.ERROR if denied else logging.WARNING,
        "storage commitment waits: S3 could not be asked%s",
        "; the role needs s3:GetObject and s3:ListBucket" if denied else "",
        extra={"error": str(error)},
    )
