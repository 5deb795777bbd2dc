"""A store on a folder: instances go in as an association brings them."""

import datetime as dt
import hashlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pynetdicom.dsutils import encode
from support.instances import ct

from isocenter.core.batch import BatchManifest, parse_manifest
from isocenter.core.errors import UnavailableError
from isocenter.storescp.association.negotiation import Peer
from isocenter.storescp.batches import BatchLimits
from isocenter.storescp.dimse.service import StoreCommand
from isocenter.storescp.store.backlog import Backlog
from isocenter.storescp.store.batcher import Batcher
from isocenter.storescp.store.destination import Destination
from isocenter.storescp.store.index import Index
from isocenter.storescp.store.keeper import Keeper
from isocenter.storescp.store.receiver import Receiver
from isocenter.storescp.store.recovery import recover
from isocenter.storescp.store.spool import Spool
from isocenter.storescp.store.watermark import Limits, Watermark

EXPLICIT = "1.2.840.10008.1.2.1"
DESTINATION = Destination(
    bucket="inbox",
    datastore="0123456789abcdef0123456789abcdef",
    dicom_prefix="DICOM/",
    batches_prefix="batches/",
)


@dataclass
class FakeObjects:
    """S3 as the store asks it: objects by key; away if told so."""

    objects: dict = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    def has(self, bucket, key):
        self.asked += 1
        if self.away:
            raise UnavailableError("could not look: S3 is away")
        return (bucket, key) in self.objects

    def put(self, destination, batch, name, path, instance):
        if self.away:
            raise UnavailableError("could not put: S3 is away")
        self.objects[destination.bucket, instance.key] = Path(path).read_bytes()
        return instance


@dataclass
class Opened:
    """What must be closed of a store that was not finished."""

    spool: Spool
    index: Index

    def close(self):
        self.spool.release()
        self.index.close()


class NoIndex:
    """Knows nothing: the index's file was lost."""

    def find(self, _uid):
        return []

    versions = find

    def record(self, _known):
        pass

    def set_aside(self, *_known):
        pass

    def flush(self, _timeout_s):
        return True

    def close(self):
        pass


@dataclass
class Store:
    """One worker's store, put together as the process does."""

    spool: Spool
    index: Index
    backlog: Backlog
    batcher: Batcher
    receiver: Receiver
    objects: FakeObjects
    watermark: Watermark

    def begin(self, dataset, *, calling_ae="CT1", syntax=EXPLICIT, **command):
        return self.receiver.open(
            StoreCommand(
                sop_class_uid=command.get("sop_class_uid", str(dataset.SOPClassUID)),
                sop_instance_uid=command.get(
                    "sop_instance_uid", str(dataset.SOPInstanceUID)
                ),
                transfer_syntax_uid=syntax,
                calling_ae=calling_ae,
            ),
            Peer("192.0.2.1", 4711, calling_ae, "S3SCP", None),
        )

    def send(self, dataset, *, pieces=1000, **how):
        sink = self.begin(dataset, **how)
        content = encode(dataset, False, True)
        for start in range(0, len(content), pieces):
            sink.write(memoryview(content)[start : start + pieces])
        return sink.finish()

    def drain(self):
        """As the upload threads do; answers the sealed batches' instances."""
        return dict(self.drain_each())

    def drain_each(self):
        """The same, batch by batch."""
        while not self.backlog.wait_empty(0):
            task = self.backlog.take()
            if task.kind == "instance":
                self._put(task)
            elif task.kind == "manifest":
                yield task.batch, self._seal(task.batch)
            else:
                self.spool.quarantine.remove(task.batch, task.name)
            self.backlog.done(task)

    def _put(self, task):
        instance = task.instance or self.spool.instance(task.batch, task.name)
        content = Path(self.spool.path(task.batch, task.name)).read_bytes()
        assert hashlib.sha256(content).hexdigest() == instance.sha256
        key = (DESTINATION.bucket, instance.key)
        assert self.objects.objects.setdefault(key, content) == content
        self.spool.mark_put(task.batch, [(task.name, instance)])
        self.batcher.put_done(task.batch)

    def _seal(self, batch):
        content = self.spool.manifest(batch)
        doubtful = self.spool.doubtful(batch)
        instances = tuple(
            instance
            for name, instance in self.spool.instances(batch)
            if name not in doubtful
            or self.objects.has(DESTINATION.bucket, instance.key)
        )
        if content is None and instances:
            content = BatchManifest(
                batch=batch,
                datastore=DESTINATION.datastore,
                sealed_at=dt.datetime(2026, 11, 23, tzinfo=dt.UTC),
                instances=instances,
            ).to_json()
            self.spool.fix_manifest(batch, content)
        if content is not None:
            key = (DESTINATION.bucket, f"batches/{batch}.json")
            assert self.objects.objects.setdefault(key, content) == content
        self.spool.remove(batch)
        self.batcher.sealed(batch)
        return [] if content is None else _instances(content)

    def sealed(self):
        """The instances of all manifests in S3."""
        return [
            instance
            for (_, key), content in self.objects.objects.items()
            if key.startswith("batches/")
            for instance in _instances(content)
        ]

    def close(self):
        self.backlog.close()
        self.spool.release()
        self.index.close()


def _instances(manifest):
    return list(parse_manifest(manifest, source="manifest").instances)


@pytest.fixture
def make_store(tmp_path):
    """Starts stores on one volume; an earlier one of the same worker must be closed."""
    made = []

    def make(
        *,
        worker=0,
        workers=1,
        limits=None,
        room=None,
        durability="spool",
        objects=None,
        indexed=True,
    ):
        volume = tmp_path / "spool"
        volume.mkdir(exist_ok=True)
        index = Index(volume / "index.sqlite") if indexed else NoIndex()
        spool = Spool(volume, DESTINATION, worker, index=index)
        made.append(Opened(spool, index))
        spool.prepare()
        backlog = Backlog(spool)
        limits = limits or BatchLimits(
            quiet_s=60, max_age_s=60, max_instances=5000, max_bytes=10**10
        )
        batcher = Batcher(spool, limits, backlog)
        objects = objects or FakeObjects()
        watermark = Watermark(spool.root, room or Limits(), lambda: spool.usage.bytes)
        keeper = Keeper(spool, batcher, index, objects, durability=durability)
        recover(spool, batcher, backlog, index, workers=workers)
        store = Store(
            spool,
            index,
            backlog,
            batcher,
            Receiver(spool, keeper, watermark),
            objects,
            watermark,
        )
        made[-1] = store
        return store

    make.made = made
    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def instances():
    """Endless different instances."""
    return (ct(uid=f"1.2.3.{number}", seed=number) for number in itertools.count(1))
