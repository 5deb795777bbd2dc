"""Transactions on the volume: accepted is what lies here, whatever is killed.

::

    <folder>/<name>.asked.json     accepted; its instances are not all decided
    <folder>/<name>.decided.json   decided; the report has yet to reach the peer
    <folder>/<name>.ended.json     reported or given up; kept: the UID is used

The name is a digest of AE title and Transaction UID, so whether they were used is seen
without a look at all that is remembered; which instances they were used for, the file
says. Another request under a used Transaction UID is answered too: its name is
``again-<that digest>-<digest of its instances>``. Of several states of one name the
last counts: each is written, synced, and only then is the one before it removed.

Earlier versions had ``<that digest>-<digest of its instances>`` for all; such files are
renamed at the start.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from isocenter.storescp.commitment.request import Reference
from isocenter.storescp.store import durable

log = logging.getLogger(__name__)

_DIGITS = 32
_EARLIER = re.compile(r"(?P<family>[0-9a-f]{32})-[0-9a-f]{32}(?P<state>\.[a-z]+\.json)")


class State(StrEnum):
    """How far a transaction is; in this order."""

    ASKED = "asked"
    DECIDED = "decided"
    ENDED = "ended"


_ORDER = tuple(State)


class Transaction(BaseModel):
    """A request and what became of it.

    Attributes:
        calling_ae: who asked, and is told.
        called_ae: the AE title that was asked, and tells.
        again: its Transaction UID was used for other instances before.
        references: SOP Class UID and SOP Instance UID of each instance; empty once
            the transaction has ended.
        failures: Failure Reason by SOP Instance UID, once decided.
        outcome: for a transaction that has ended, a word about how.
    """

    model_config = ConfigDict(frozen=True)

    state: State
    transaction_uid: str
    calling_ae: str
    called_ae: str
    received_at: datetime
    digest: str
    again: bool = False
    references: tuple[tuple[str, str], ...] = ()
    failures: Mapping[str, int] = {}
    decided_at: datetime | None = None
    outcome: str = ""

    @classmethod
    def asked(
        cls,
        transaction_uid: str,
        references: tuple[Reference, ...],
        *,
        calling_ae: str,
        called_ae: str,
        now: datetime,
    ) -> "Transaction":
        """A new one."""
        pairs = tuple((r.sop_class_uid, r.sop_instance_uid) for r in references)
        lines = "\n".join(sorted(" ".join(pair) for pair in pairs))
        return cls(
            state=State.ASKED,
            transaction_uid=transaction_uid,
            calling_ae=calling_ae,
            called_ae=called_ae,
            received_at=now,
            digest=_digest(lines),
            references=pairs,
        )

    @property
    def id(self) -> str:
        """Equal for equal requests."""
        return f"{'again-' * self.again}{self.family}-{self.digest}"

    @property
    def name(self) -> str:
        """Of its files."""
        return self.id if self.again else self.family

    @property
    def family(self) -> str:
        """What requests of one AE title under one Transaction UID have in common."""
        return _digest(f"{self.calling_ae}\n{self.transaction_uid}")

    def decided(self, failures: Mapping[str, int], now: datetime) -> "Transaction":
        """The same with its report."""
        update = {"state": State.DECIDED, "failures": failures, "decided_at": now}
        return self.model_copy(update=update)

    def ended(self, outcome: str) -> "Transaction":
        """The same with nothing left to do; its instances are not needed any more."""
        return self.model_copy(
            update={
                "state": State.ENDED,
                "references": (),
                "failures": {},
                "outcome": outcome,
            }
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


class Transactions:
    """The transactions in one folder; one process writes it.

    Args:
        folder: made if it is not there.
        beside: glob, from the folder's grandparent, of the folders in which the other
            processes of this volume keep theirs, such as ``w*/commitment``.
    """

    def __init__(self, folder: Path, *, beside: str = "") -> None:
        self._folder = folder
        self._beside = beside

    def prepare(self) -> None:
        """Make the folder; give what is in it the names of today.

        Raises:
            OSError: the volume's.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob("*.part"):
            path.unlink()
        self._take(self._folder)
        durable.sync_folder(self._folder.parent)

    def adopt(self, other: Path) -> int:
        """Take over the transactions of a process that is gone; answers how many."""
        if not other.is_dir():
            return 0
        return self._take(other)

    def _take(self, source: Path) -> int:
        """Give transactions their place and name; answers how many.

        The files of a name that is taken by other instances here, which two workers
        may have let happen at the same time, get the name of such a request. What is
        here already is not written over by less: by what can't be read, or by the end
        of a request that was made here again.
        """
        moved = 0
        for path in sorted(source.glob("*.json")):
            earlier = _EARLIER.fullmatch(path.name)
            target = self._folder / (
                earlier["family"] + earlier["state"] if earlier else path.name
            )
            if target == path:
                continue
            moved += 1
            name = target.name.partition(".")[0]
            ours, theirs = self._first(self._folder, name), _read(path)
            if ours is not None and theirs is not None and ours.digest != theirs.digest:
                theirs = theirs.model_copy(update={"again": True})
                ours = self._first(self._folder, theirs.name)
            if ours is None and (theirs is None or theirs.name == name):
                path.replace(target)
            elif theirs is None:
                _put_aside(path)
            else:
                if ours is None or theirs.state is not State.ENDED:
                    self.keep(theirs)
                path.unlink()
        if moved:
            durable.sync_folder(self._folder)
        return moved

    def keep(self, transaction: Transaction) -> None:
        """Write a transaction's state, durably.

        Raises:
            OSError: the volume's; the state before is still there.
        """
        place = _ORDER.index(transaction.state)
        name = transaction.name
        later = [self._path(name, state) for state in _ORDER[place + 1 :]]
        if any(path.exists() for path in later):  # asked again after it had ended
            for path in later:
                path.unlink(missing_ok=True)
            durable.sync_folder(self._folder)
        content = transaction.model_dump_json().encode()
        durable.write(self._path(name, transaction.state), content)
        durable.sync_folder(self._folder)
        for state in _ORDER[:place]:
            self._path(name, state).unlink(missing_ok=True)

    def _path(self, name: str, state: State) -> Path:
        return self._folder / f"{name}.{state}.json"

    def uses_other_instances(self, transaction: Transaction) -> bool:
        """Whether its AE title used its Transaction UID for other instances.

        Raises:
            OSError: the volume's.
        """
        for folder in self._folders():
            first = self._first(folder, transaction.family)
            if first is not None and first.digest != transaction.digest:
                return True
        return False

    def _first(self, folder: Path, name: str) -> Transaction | None:
        """The transaction of a name, if there is one that can be read."""
        for state in _ORDER:
            known = _read(folder / f"{name}.{state}.json")
            if known is not None:
                return known
        return None

    def _folders(self) -> Iterator[Path]:
        yield self._folder
        if self._beside:
            others = self._folder.parent.parent.glob(self._beside)
            yield from (folder for folder in others if folder != self._folder)

    def unfinished(self) -> Iterator[Transaction]:
        """Every transaction that something is left to do for, one at a time.

        A file that can't be read is put aside, with a warning.
        """
        found: dict[str, State] = {}
        for state in _ORDER:
            for path in self._folder.glob(f"*.{state}.json"):
                found[path.name.removesuffix(f".{state}.json")] = state
        for name, state in found.items():
            if state is State.ENDED:
                continue
            path = self._path(name, state)
            try:
                yield Transaction.model_validate_json(path.read_bytes())
            except ValidationError:
                _put_aside(path)

    def forget(self, now: datetime, after: timedelta, most: int) -> int:
        """Remove those that ended long ago, and the oldest beyond ``most``.

        Returns:
            How many.
        """
        ended = sorted(
            (path.stat().st_mtime, path)
            for path in self._folder.glob(f"*.{State.ENDED}.json")
        )
        limit = (now - after).timestamp()
        excess = len(ended) - most
        old = [path for n, (at, path) in enumerate(ended) if at < limit or n < excess]
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)


def _put_aside(path: Path) -> None:
    path.rename(path.with_suffix(".damaged"))
    log.warning(
        "a storage commitment request on the volume can't be read; it is put aside, and"
        " its sender gets no report",
        extra={"file": path.with_suffix(".damaged").name},
    )


def _read(path: Path) -> Transaction | None:
    """A state's file; None if it is not there, or damaged.

    Raises:
        OSError: the volume's.
    """
    try:
        return Transaction.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
