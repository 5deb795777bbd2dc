"""What has arrived of a frame: its bytes, as long as they may be read, its levels."""

from io import BytesIO

from isocenter.core.codestream import (
    CodestreamError,
    Levels,
    LevelScanner,
    NotACodestreamError,
)


class ArrivedBytes:
    """Bytes ``start`` to ``end`` of a frame: grows at the end, is cut at the start.

    BytesIO: the whole frame can be taken out of it without a copy, and pieces of
    any size take no more room than their bytes.
    """

    def __init__(self) -> None:
        self.start = 0
        self.end = 0
        self._bytes = BytesIO()

    def __len__(self) -> int:
        return self.end - self.start

    def expect(self, size: int) -> None:
        """Take memory for ``size`` bytes at once, rather than to grow into it."""
        if size:
            self._bytes.seek(size - 1)
            self._bytes.write(b"\0")

    def append(self, piece: bytes) -> None:
        """Add the next bytes."""
        self._bytes.seek(len(self))
        self._bytes.write(piece)
        self.end += len(piece)

    def read(self, at: int, stop: int) -> bytes:
        """Bytes ``at`` to ``stop``, which have to be here."""
        self._bytes.seek(at - self.start)
        return self._bytes.read(stop - at)

    def drop_before(self, at: int) -> int:
        """Forget what lies before ``at``; how many bytes that were."""
        count = at - self.start
        rest = BytesIO()
        rest.write(self._bytes.getbuffer()[count : len(self)])
        self._bytes = rest
        self.start = at
        return count

    def take(self) -> bytes:
        """All of it, which is here no longer."""
        self._bytes.truncate(len(self))
        body = self._bytes.getvalue()
        self._bytes = BytesIO()
        self.start = self.end
        return body


class ArrivedLevels:
    """The levels of a frame, as far as its bytes have told.

    Attributes:
        known: the levels, or why they can't be told.
    """

    def __init__(self) -> None:
        self.known: Levels | CodestreamError = Levels()
        self._scanner: LevelScanner | None = LevelScanner()

    @property
    def malformed(self) -> bool:
        """It is a codestream, and a broken one."""
        return isinstance(self.known, CodestreamError) and not isinstance(
            self.known, NotACodestreamError
        )

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        if self._scanner is None:
            return
        try:
            self._scanner.feed(piece)
            self.known = self._scanner.levels
        except CodestreamError as error:
            self._broken(error)

    def finish(self, size: int) -> None:
        """Say that these ``size`` bytes were all."""
        if self._scanner is None:
            return
        try:
            if not size:
                raise NotACodestreamError("empty", offset=0)
            self.known = self._scanner.finish()
        except CodestreamError as error:
            self._broken(error)

    def _broken(self, error: CodestreamError) -> None:
        self.known = error.with_traceback(None)
        self._scanner = None
