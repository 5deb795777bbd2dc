"""Notes that S3 has an object, made durable while it is still being put.

With durability ``object_store`` a sender waits for S3 and for the note; one after the
other would cost it both. A note that turned out to be wrong is retracted, and one
that a killed process left is looked at before a manifest repeats it.
"""

import threading
from collections.abc import Callable

from isocenter.core.batch import StoredInstance
from isocenter.storescp.store.spool import Spool


class _Note:
    def __init__(self, name: str, instance: StoredInstance) -> None:
        self.put = (name, instance)
        self.written = threading.Event()
        self.error: BaseException | None = None

    def wait(self) -> None:
        """Return when it is durable.

        Raises:
            OSError: the volume's; there may be a note, or none.
        """
        self.written.wait()
        if self.error is not None:
            raise self.error


class EarlyNotes:
    """A thread that writes notes; those of a moment share an fsync.

    Args:
        spool: whose batches they are for.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._waiting: dict[str, list[_Note]] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="early-notes", daemon=True).start()

    def begin(
        self, batch: str, name: str, instance: StoredInstance
    ) -> Callable[[], None]:
        """Begin to note an instance; call what is answered to wait for it.

        Args:
            batch: batch id.
            name: of the instance, as of a spool file.
            instance: what the manifest will say.
        """
        note = _Note(name, instance)
        with self._changed:
            self._waiting.setdefault(batch, []).append(note)
            self._changed.notify()
        return note.wait

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                taken, self._waiting = self._waiting, {}
            for batch, notes in taken.items():
                error: BaseException | None = None
                try:
                    self._spool.note_early(batch, [note.put for note in notes])
                except BaseException as raised:  # noqa: BLE001 - raised to whoever waits
                    error = raised
                for note in notes:
                    note.error = error
                    note.written.set()
