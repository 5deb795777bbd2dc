"""What other receivers stored, by the manifests of their batches.

This pod's own instances are in its index. A load balancer may bring the request for
commitment to another pod than the instances, and an index can be lost: what is sealed
is in ``batches/`` for everybody.
"""

import json
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from isocenter.storescp.batches import batch_id
from isocenter.storescp.commitment.objects import Objects

_MOST = 2_000
"""Manifests read for one transaction: at one sealed every minute, more than a day's."""
_FEW = 32


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that is, or was, in S3.

    Attributes:
        sha256: of the object, hexadecimal; empty if it is not known.
    """

    sop_instance_uid: str
    sop_class_uid: str
    sha256: str
    bucket: str
    key: str
    batch: str


@dataclass
class Search:
    """What was found for one transaction so far.

    Attributes:
        read: keys of the manifests that were searched.
        named: the latest version of each instance that they name.
    """

    read: set[str] = field(default_factory=set)
    named: dict[str, Stored] = field(default_factory=dict)


class Manifests:
    """The sealed batches of a bucket.

    Args:
        objects: S3.
        bucket: that the batches are in.
        prefix: of the manifests.
        lookback: how long before a request its instances may have been sealed.
    """

    def __init__(
        self, objects: Objects, bucket: str, prefix: str, lookback: timedelta
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._prefix = prefix
        self._lookback = lookback
        # A manifest of 5,000 instances is 2 MB: searching is for one thread at a time.
        self._one = threading.Lock()

    def find(
        self, uids: Collection[str], asked_at: datetime, search: Search
    ) -> Mapping[str, Stored]:
        """Which of some instances the manifests name: the latest version of each.

        Args:
            uids: SOP Instance UIDs.
            asked_at: time of the request.
            search: of these instances' transaction; what is read is added to it.

        Raises:
            AwsError: S3 could not be asked.
        """
        with self._one:
            found = self._search(uids, asked_at, search)
        search.named.update(found)
        return {uid: search.named[uid] for uid in uids if uid in search.named}

    def _search(
        self, uids: Collection[str], asked_at: datetime, search: Search
    ) -> dict[str, Stored]:
        # A batch's id begins with the time at which it was opened.
        oldest = self._prefix + batch_id(asked_at - self._lookback, "")
        new = [
            key
            for key in self._objects.keys(self._bucket, self._prefix, oldest)
            if key not in search.read
        ]
        found: dict[str, Stored] = {}
        for key in reversed(new[-_MOST:]):
            if len(found) == len(uids):
                break
            body = self._objects.read(self._bucket, key) or b""
            search.read.add(key)
            if len(uids) <= _FEW and not any(uid.encode() in body for uid in uids):
                continue
            for instance in _instances(body):
                uid = str(instance.get("sopInstanceUid"))
                if uid in uids and uid not in found:
                    found[uid] = self._stored(key, instance)
        return found

    def _stored(self, manifest: str, instance: Mapping[str, Any]) -> Stored:
        return Stored(
            sop_instance_uid=str(instance["sopInstanceUid"]),
            sop_class_uid=str(instance.get("sopClassUid", "")),
            sha256=str(instance.get("sha256", "")),
            bucket=self._bucket,
            key=str(instance.get("key", "")),
            batch=manifest.removeprefix(self._prefix).removesuffix(".json"),
        )


def _instances(body: bytes) -> Iterable[Mapping[str, Any]]:
    """A manifest's instances. Not by the model: of 5,000 a few are looked for."""
    try:
        document = json.loads(body)
        return [item for item in document["instances"] if isinstance(item, dict)]
    except (ValueError, KeyError, TypeError):
        return []  # no manifest of ours: it names nothing
