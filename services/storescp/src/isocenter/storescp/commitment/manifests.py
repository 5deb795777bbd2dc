"""What other receivers stored, by the manifests of their batches.

This pod's own instances are in its index. A load balancer may bring the request for
commitment to another pod than the instances, and an index can be lost: what is sealed
is in ``batches/`` for everybody.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from isocenter.storescp.batches import batch_id
from isocenter.storescp.commitment.asking import Asking
from isocenter.storescp.commitment.named import Named, hashes_of
from isocenter.storescp.commitment.objects import Objects

_MOST = 2_000
"""Manifests read for one transaction: at one sealed every minute, more than a day's."""
_MOST_AT_ONCE = 64
"""Read in one look, so that other transactions have their turn; as much as a few
seconds of reading is."""
_LOOK_S = 5.0
_THREADS = 4
"""A manifest of 5,000 instances is 2 MB, and some more while it is taken apart."""


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
        read: keys of the manifests that were searched, or were too many to be.
        named: the latest version of each instance that they name.
        reads: how many were read from S3.
        whole: whether the last look left none out that was there.
        given_up: whether some are not going to be searched: there are too many.
    """

    read: set[str] = field(default_factory=set)
    named: dict[str, Stored] = field(default_factory=dict)
    reads: int = 0
    whole: bool = True
    given_up: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether another look finds more to search at once."""
        return not self.whole and not self.given_up

    def name(self, stored: Stored) -> None:
        """A manifest names an instance; the ids of later batches are greater."""
        known = self.named.get(stored.sop_instance_uid)
        if known is None or known.batch < stored.batch:
            self.named[stored.sop_instance_uid] = stored


class Manifests:
    """The sealed batches of a bucket.

    Args:
        objects: S3.
        bucket: that the batches are in.
        prefix: of the manifests.
        lookback: how long before a request its instances may have been sealed.
        clock: seconds.
    """

    def __init__(
        self,
        objects: Objects,
        bucket: str,
        prefix: str,
        lookback: timedelta,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._objects = objects
        self._bucket = bucket
        self._prefix = prefix
        self._lookback = lookback
        self._clock = clock
        self._seen = Named()
        self._threads = Asking(_THREADS, "commitment-manifests")
        # Searching is for one transaction at a time: it takes memory.
        self._one = threading.Lock()

    def close(self) -> None:
        """End the threads, without waiting for what they do."""
        self._threads.close()

    def find(
        self, uids: Collection[str], asked_at: datetime, search: Search
    ) -> Mapping[str, Stored]:
        """Which of some instances the manifests name: the latest version of each.

        A look is short: ``search.goes_on`` says whether another one is to follow.

        Args:
            uids: SOP Instance UIDs.
            asked_at: time of the request.
            search: of these instances' transaction; what is read is added to it.

        Raises:
            AwsError: S3 could not be asked; what was found until then is kept.
        """
        wanted = frozenset(uids)
        if not wanted <= search.named.keys():
            with self._one:
                self._search(wanted, asked_at, search)
        return {uid: search.named[uid] for uid in uids if uid in search.named}

    def _search(
        self, wanted: frozenset[str], asked_at: datetime, search: Search
    ) -> None:
        search.whole = True  # a look that S3 ends has no other right after it
        # A batch's id begins with the time at which it was opened.
        oldest = self._prefix + batch_id(asked_at - self._lookback, "")
        new = [
            sys.intern(key)  # each transaction has its own set of the same keys
            for key in self._objects.keys(self._bucket, self._prefix, oldest)
            if key not in search.read
        ]
        done = self._read_all(new, wanted, search)
        if not done and search.reads >= _MOST:
            search.given_up = True
            search.read.update(new)  # what is sealed from now on is still read
        search.whole = done and not search.given_up

    def _read_all(
        self, keys: list[str], wanted: frozenset[str], search: Search
    ) -> bool:
        """Search manifests, the latest first; answers False if some are left."""
        hashes = hashes_of(wanted)
        deadline = self._clock() + _LOOK_S
        chunk: list[str] = []
        reads, size = 0, 1
        while keys and not wanted <= search.named.keys():
            if reads >= _MOST_AT_ONCE or self._clock() >= deadline:
                return False
            while keys and len(chunk) < size:
                key = keys.pop()
                if self._seen.lacks(key, hashes):
                    search.read.add(key)
                else:
                    chunk.append(key)
            named = self._threads.map(partial(self._read, wanted), chunk)
            for key, instances in zip(chunk, named, strict=True):
                search.read.add(key)
                for stored in instances:
                    search.name(stored)
            reads += len(chunk)
            search.reads += len(chunk)
            chunk.clear()
            size = min(2 * size, _THREADS)
        return True

    def _read(self, wanted: frozenset[str], key: str) -> list[Stored]:
        """What one manifest says of the wanted instances.

        Raises:
            AwsError: S3 could not be asked.
        """
        body = self._objects.read(self._bucket, key)
        if body is None:
            return []
        in_order = sorted(_instances(body), key=lambda i: str(i.get("receivedAt")))
        instances = {str(i.get("sopInstanceUid")): i for i in in_order}
        self._seen.add(key, instances)
        return [self._stored(key, instances[uid]) for uid in wanted & instances.keys()]

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
