"""``put.jsonl``: what of a batch S3 has; only appended to.

One line for each instance: the name of its spool file, and its record as the manifest
will carry it. A line is durable before the spool file is removed; a line that a kill
or a full volume tore is none, and its instance is put again. A line marked ``early``
was written while S3 was still being asked: it may be retracted by a later line.
"""

import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from isocenter.core.batch import StoredInstance
from isocenter.storescp.store import durable

log = logging.getLogger(__name__)

FILE_NAME = "put.jsonl"


class _Note:
    """Lines of one caller, and why they could not be written."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = [line.encode() for line in lines]
        self.error: BaseException | None = None


class Journal:
    """One batch's ``put.jsonl``; safe for threads.

    Args:
        folder: of the batch.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._notes: list[_Note] = []
        self._named = False
        self._flush = durable.Grouped(self._append)

    def add(
        self, puts: Iterable[tuple[str, StoredInstance]], *, early: bool = False
    ) -> None:
        """Note that S3 has instances; durable on return.

        Args:
            puts: names of their spool files, without ``.dcm``, and their records.
            early: whether S3 has not answered yet.

        Raises:
            OSError: the volume's; they may have to be noted again.
        """
        # A name needs no escapes: see ``names``.
        mark = '"early":true,' if early else ""
        self._write(
            [
                f'{{{mark}"name":"{name}","instance":{instance.model_dump_json()}}}'
                for name, instance in puts
            ]
        )

    def retract(self, name: str) -> None:
        """S3 does not have an instance that was noted early; durable on return.

        Raises:
            OSError: the volume's; the note may stand.
        """
        self._write([f'{{"retracted":"{name}"}}'])

    def _write(self, lines: list[str]) -> None:
        note = _Note(lines)
        with self._lock:
            self._notes.append(note)
        self._flush()
        # They may have gone with an earlier round, whose failure ours says nothing of.
        if note.error is not None:
            raise note.error

    def _append(self) -> None:
        with self._lock:
            notes, self._notes = self._notes, []
        if not notes:
            return
        try:
            self._append_lines([line for note in notes for line in note.lines])
        except BaseException as error:
            for note in notes:
                note.error = error
            raise

    def _append_lines(self, lines: list[bytes]) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o600)
        try:
            size = os.fstat(file).st_size
            # Behind a line that was torn, a new one begins on a line of its own.
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            content = (b"\n" if torn else b"") + b"\n".join(lines) + b"\n"
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        if not self._named:  # also if an earlier try, or process, did not come to it
            durable.sync_folder(self._folder)
            self._named = True

    def read(self) -> Iterator[tuple[str, StoredInstance]]:
        """Name and record of each instance, once, in the order in which S3 got them."""
        standing = self._standing()
        for entry in self._entries():
            if standing.pop(entry.get("name", ""), None) is None:
                continue
            yield entry["name"], entry["instance"]

    def names(self) -> set[str]:
        """Names of all instances that S3 has; at most a batch's 5,000."""
        return set(self._standing())

    def early(self) -> set[str]:
        """Names of those that were only noted early."""
        return {name for name, early in self._standing().items() if early}

    def _standing(self) -> dict[str, bool]:
        """Names that are not retracted -> whether they were noted early only."""
        standing: dict[str, bool] = {}
        for entry in self._entries(warn=True):
            if "retracted" in entry:
                standing.pop(entry["retracted"], None)
            else:
                name = entry["name"]
                standing[name] = entry["early"] and standing.get(name, True)
        return standing

    def _entries(self, *, warn: bool = False) -> Iterator[dict[str, Any]]:
        """The lines that are whole."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for line in file:
                entry = _entry(line)
                if entry is not None:
                    yield entry
                elif warn and line.strip():
                    log.warning(
                        "a torn line in %s is passed over",
                        FILE_NAME,
                        extra={"batch": self._folder.name},
                    )


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line says; None if it was torn."""
    try:
        entry = json.loads(line)
        if "retracted" in entry:
            return {"retracted": str(entry["retracted"])}
        return {
            "name": str(entry["name"]),
            "early": bool(entry.get("early")),
            "instance": StoredInstance.model_validate(entry["instance"]),
        }
    except (ValueError, KeyError, TypeError, ValidationError):
        return None
