"""The index: which instances were stored before, for duplicates and commitment.

One SQLite file for all workers of a pod. It is no truth: what it says is checked
against the volume or S3 before it is relied upon. Losing it costs second objects of
instances that are sent again, and commitment forgets which versions went to quarantine
and are not on the volume any more. Rows are written by one thread, many at a time,
without waiting for the disk (``synchronous=NORMAL`` in WAL mode: the file survives any
kill whole, and a loss of power with its last rows gone).

Across workers an instance is known a moment after it was acknowledged; within a
worker at once.
"""

import contextlib
import fcntl
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS instance (
    uid TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    sop_class TEXT NOT NULL,
    bucket TEXT NOT NULL,
    key TEXT NOT NULL,
    batch TEXT NOT NULL,
    place TEXT NOT NULL,
    object_sha256 BLOB NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (uid, sha256)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_time ON instance (time);
"""
_VERSION = 2
"""Of the schema. Version 1 had the same, but no rows of what went to quarantine."""
_READABLE = (0, 1, _VERSION)
_PUT = (
    "INSERT INTO instance VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (uid, sha256)"
    " DO UPDATE SET sop_class=excluded.sop_class, bucket=excluded.bucket,"
    " key=excluded.key, batch=excluded.batch, place=excluded.place,"
    " object_sha256=excluded.object_sha256, time=excluded.time"
)
_FIND = (
    "SELECT uid, sha256, sop_class, bucket, key, batch, place, object_sha256, time"
    " FROM instance WHERE uid = ?"
)
_BUSY_S = 5.0
_PAUSE_S = 0.05
_AWAY_S = 1.0
_MOST_PENDING = 50_000
_PRUNE_EVERY_S = 3600.0
_DAY_S = 86_400


class Known(NamedTuple):
    """An instance that was acknowledged.

    Attributes:
        sop_instance_uid: of the instance.
        sha256: of the file as it was spooled, hexadecimal.
        sop_class_uid: of the instance.
        bucket: S3 bucket.
        key: of its object there, or that it will have; empty if it went to quarantine.
        batch: batch id.
        place: path of the spool file, relative to the volume; empty once it is stored.
        object_sha256: of the object, hexadecimal: another one if it is compressed.
        time: POSIX time at which it was received, or else the row was written.
    """

    sop_instance_uid: str
    sha256: str
    sop_class_uid: str
    bucket: str
    key: str
    batch: str
    place: str = ""
    object_sha256: str = ""
    time: float = 0.0

    @property
    def state(self) -> Literal["spooled", "stored"]:
        """Whether S3 had the object when the row was written."""
        return "spooled" if self.place else "stored"


_Rows = dict[str, dict[str, Known]]
"""SOP Instance UID -> SHA-256 -> what is known."""
_NONE: dict[str, Known] = {}


class Index:
    """Rows of the file and those that are about to be written; safe for threads.

    Args:
        path: of the file; what is no index there is put aside.
        days: how long a row is kept.
        max_rows: rows kept, at about 0.4 kB each.
        now: POSIX time.
    """

    def __init__(
        self,
        path: Path,
        *,
        days: int = 30,
        max_rows: int = 2_000_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._days = days
        self._max_rows = max_rows
        self._now = now
        self._pending: _Rows = {}
        self._writing: _Rows = {}
        self._waiting = 0
        # The lock by itself where nobody is told or waited for: a condition is Python.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._closed = False
        self._dropped = 0
        self._reading = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._inode = 0
        try:
            self._reopen()
        except (sqlite3.Error, OSError) as error:  # tried again with each write
            log.warning("the index can't be opened", extra={"error": str(error)})
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._thread.start()

    def find(self, sop_instance_uid: str) -> list[Known]:
        """Versions of an instance that are, or will be, in S3.

        Nothing if the file can't be read.
        """
        return [known for known in self.versions(sop_instance_uid) if known.key]

    def versions(self, sop_instance_uid: str) -> list[Known]:
        """As ``find``, and those that went to quarantine."""
        with self._lock:
            fresh = {
                **self._writing.get(sop_instance_uid, _NONE),
                **self._pending.get(sop_instance_uid, _NONE),
            }
        stored = self._stored(sop_instance_uid)
        if not fresh:
            return stored
        return list(({known.sha256: known for known in stored} | fresh).values())

    def _stored(self, sop_instance_uid: str) -> list[Known]:
        try:
            with self._reading:
                if self._reader is None:
                    return []
                rows = self._reader.execute(_FIND, (sop_instance_uid,)).fetchall()
        except sqlite3.Error as error:
            log.warning("the index can't be read", extra={"error": str(error)})
            return []
        return [_known(row) for row in rows]

    def record(self, known: Known) -> None:
        """Remember an acknowledged instance, or that its state changed.

        Returns at once. Rows that a slow or full volume doesn't take are dropped.
        """
        uid, sha256 = known.sop_instance_uid, known.sha256
        with self._lock:
            if self._waiting >= _MOST_PENDING:
                self._dropped += 1
                return
            self._pending.setdefault(uid, {})[sha256] = known
            self._waiting += 1
            if self._waiting == 1:
                self._changed.notify_all()

    def set_aside(self, uid: str, sha256: str, batch: str, received_at: float) -> None:
        """Remember that an acknowledged instance went to quarantine."""
        self.record(Known(uid, sha256, "", "", "", batch, time=received_at))

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until what was recorded is written; False if it was not in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._pending and not self._writing, timeout_s
            )

    def close(self) -> None:
        """Write what is left, and close the file."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(_BUSY_S + 1)
        self._disconnect()

    # The writer's thread.

    def _run(self) -> None:
        prune_at = time.monotonic() + _PRUNE_EVERY_S / 60
        damage: Exception | None = None
        failing = False
        while self._take():
            try:
                if self._writer is None or _inode(self._path) != self._inode:
                    self._reopen(damage)
                    damage = None
                self._write()
                if time.monotonic() >= prune_at:
                    prune_at = time.monotonic() + _PRUNE_EVERY_S
                    self._prune()
                failing = False
                self._written()
            except (sqlite3.Error, OSError) as error:
                if not failing:
                    failing = True
                    log.warning(
                        "the index can't be written: it is tried again",
                        extra={"error": str(error)},
                    )
                if _is_damaged(error):
                    damage = error
                    self._disconnect()
                self._put_back()
            if not self._closed:
                time.sleep(_AWAY_S if failing else _PAUSE_S)  # rows gather meanwhile

    def _written(self) -> None:
        with self._changed:
            self._writing = {}
            self._changed.notify_all()

    def _put_back(self) -> None:
        """Keep rows that could not be written, under those that came since."""
        with self._changed:
            failed, self._writing = self._writing, {}
            if not self._closed:
                for uid, rows in failed.items():
                    self._pending[uid] = rows | self._pending.get(uid, {})
                self._waiting = sum(len(rows) for rows in self._pending.values())
            self._changed.notify_all()

    def _take(self) -> bool:
        """Wait for rows; False when there are none and will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._closed)
            self._writing, self._pending = self._pending, {}
            self._waiting = 0
            if self._dropped:
                log.warning("%d rows of the index were dropped", self._dropped)
                self._dropped = 0
            return bool(self._writing)

    def _write(self) -> None:
        now, connection = int(self._now()), self._connected()
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                _PUT,
                [
                    _row(known, now)
                    for rows in self._writing.values()
                    for known in rows.values()
                ],
            )

    def _connected(self) -> sqlite3.Connection:
        if self._writer is None:
            raise OSError("no connection")
        return self._writer

    def _prune(self) -> None:
        """Drop rows by age, then the oldest over the limit."""
        connection = self._connected()
        with connection:
            connection.execute(
                "DELETE FROM instance WHERE time < ?",
                (int(self._now()) - self._days * _DAY_S,),
            )
        ((count,),) = connection.execute("SELECT count(*) FROM instance").fetchall()
        if count > self._max_rows:
            with connection:
                connection.execute(
                    "DELETE FROM instance WHERE (uid, sha256) IN (SELECT uid, sha256"
                    " FROM instance ORDER BY time LIMIT ?)",
                    (count - self._max_rows,),
                )

    # The file.

    def _reopen(self, damage: Exception | None = None) -> None:
        """Connect, at the start, after damage, or when another worker began anew.

        Args:
            damage: what the file that was open before gave.

        Raises:
            sqlite3.Error, OSError: the file can't be opened now.
        """
        self._disconnect()
        with _alone(self._path):
            if damage is not None and _inode(self._path) == self._inode:
                self._put_aside(damage)
            try:
                writer = self._open()
            except sqlite3.DatabaseError as error:
                if not _is_damaged(error):
                    raise
                self._put_aside(error)
                writer = self._open()
            reader = self._open()
            self._inode = _inode(self._path)
        with self._reading:
            self._reader, self._writer = reader, writer

    def _disconnect(self) -> None:
        with self._reading:
            for connection in (self._reader, self._writer):
                if connection is not None:
                    connection.close()
            self._reader = self._writer = None

    def _put_aside(self, error: Exception) -> None:
        """Rename a file that is no index, or a damaged one; another one is begun."""
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(self._now())}")
        log.warning(
            "the index is damaged: it is put aside, and begun anew",
            extra={"error": str(error), "file": aside.name},
        )
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{end}").rename(f"{aside}{end}")

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            ((version,),) = connection.execute("PRAGMA user_version").fetchall()
            if version not in _READABLE:
                raise sqlite3.DatabaseError(  # noqa: TRY301 - handled like damage
                    f"schema {version} is of another version"
                )
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={_VERSION}")
            connection.execute(_FIND, ("",)).fetchall()
        except BaseException:
            connection.close()
            raise
        return connection


def _is_damaged(error: Exception) -> bool:
    """Whether the file is at fault; a lock or a full volume are operational errors."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError | sqlite3.ProgrammingError
    )


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold ``<path>.lock``: one process opens, or puts aside, at a time."""
    with path.with_name(path.name + ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _row(known: Known, now: int) -> tuple[object, ...]:
    return (
        known.sop_instance_uid,
        bytes.fromhex(known.sha256),
        known.sop_class_uid,
        known.bucket,
        known.key,
        known.batch,
        known.place,
        bytes.fromhex(known.object_sha256 or known.sha256),
        int(known.time) or now,
    )


def _known(row: tuple[str, bytes, str, str, str, str, str, bytes, int]) -> Known:
    uid, sha256, sop_class, bucket, key, batch, place, object_sha256, at = row
    return Known(
        sop_instance_uid=uid,
        sha256=sha256.hex(),
        sop_class_uid=sop_class,
        bucket=bucket,
        key=key,
        batch=batch,
        place=place,
        object_sha256=object_sha256.hex(),
        time=float(at),
    )
