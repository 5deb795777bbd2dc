"""Levels: where each tile-part of a codestream ends.

Level N is the bytes from the start of the codestream to the end of tile-part N;
level 0 carries the main header. HealthImaging writes one tile-part for each
resolution (PS3.5 section 10.18, RPCL), so each level decodes to one resolution
more. The ends are known from TLM as soon as the main header is here; without
TLM by walking from SOT to SOT. With TLM the SOTs are walked all the same, to
refuse a codestream whose TLM lies rather than to cut it in a wrong place.
"""

from dataclasses import dataclass
from itertools import accumulate

from isocenter.core.codestream.main_header import (
    MAX_TILE_PARTS,
    MainHeader,
    MainHeaderParser,
)
from isocenter.core.codestream.markers import (
    EOC,
    MARKER_BYTES,
    SOT,
    SOT_BYTES,
    malformed,
    parse_sot,
)

_SOT = SOT.to_bytes(MARKER_BYTES, "big")
_EOC = EOC.to_bytes(MARKER_BYTES, "big")


@dataclass(frozen=True, slots=True)
class Levels:
    """What is known of a codestream's levels.

    Attributes:
        header: the main header, None while it isn't all here.
        ends: byte offset of the end of each tile-part known so far, ascending;
            EOC comes after the last of them.
        complete: there are no further levels than these.
        parts: how many tile-parts there will be, as TLM or the SOT of the only
            tile says (TNsot, A.4.2); None while that isn't known.
    """

    header: MainHeader | None = None
    ends: tuple[int, ...] = ()
    complete: bool = False
    parts: int | None = None

    def resolutions(self) -> int | None:
        """How many resolutions the tile-parts stand for, one each.

        1 + the decomposition levels of COD (A.6.1) if the codestream has that
        many tile-parts, in one tile, one resolution after the other; else 0: the
        tile-parts say nothing about resolutions. None while that isn't known.
        Headers of tile-parts are not read: a COD, COC or POC there goes unseen.
        """
        if self.header is None:
            return None
        if not self.header.resolution_by_resolution:
            return 0
        if self.parts is None:
            return None
        expected = self.header.cod.decompositions + 1
        return expected if self.parts == expected else 0


class LevelScanner:
    """Finds the levels of a codestream that arrives in pieces.

    Holds back at most the main header, one SOT and two bytes.
    """

    def __init__(self) -> None:
        self._parser = MainHeaderParser()
        self._header: MainHeader | None = None
        self._promised: tuple[int, ...] | None = None
        self._ends: list[int] = []
        self._parts: int | None = None
        self._size = 0
        self._tail = b""
        self._next = 0
        self._marker = bytearray()
        self._open = False
        self._ended = False

    @property
    def levels(self) -> Levels:
        """What the bytes so far tell."""
        if self._promised is not None:
            return Levels(
                self._header, self._promised, complete=True, parts=len(self._promised)
            )
        parts = len(self._ends) if self._ended else self._parts
        return Levels(self._header, tuple(self._ends), self._ended, parts)

    def feed(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            NotACodestreamError: the first bytes are not SOC and SIZ.
            CodestreamError: malformed, with the offset.
        """
        start = self._size
        carried = self._tail
        self._size += len(data)
        self._tail = (carried + data[-MARKER_BYTES:])[-MARKER_BYTES:]
        if self._header is None:
            self._header = self._parser.feed(data)
            if self._header is None:
                return
            self._begin(self._header)
            # The first SOT may have begun in the bytes before these.
            data = carried + data
            start -= len(carried)
        self._walk(data, start)

    def finish(self) -> Levels:
        """Say that there are no further bytes; the levels, complete.

        Raises:
            CodestreamError: the codestream is cut short.
        """
        if self._header is None:
            malformed("ends within the main header", self._size)
        if self._open:
            # Psot = 0: the tile-part reaches to EOC (A.4.2).
            trailer = MARKER_BYTES if self._tail == _EOC else 0
            self._close(self._size - trailer)
        elif self._size < self._next:
            malformed(f"ends within tile-part {len(self._ends) - 1}", self._size)
        elif self._marker.startswith(_SOT):
            malformed("ends within SOT", self._size)
        self._end()
        return self.levels

    def _begin(self, header: MainHeader) -> None:
        self._next = header.length
        if header.tile_part_lengths is not None:
            ends = accumulate(header.tile_part_lengths, initial=header.length)
            self._promised = tuple(ends)[1:]

    def _walk(self, data: bytes, start: int) -> None:
        """Read every SOT whose bytes are in ``data``, which begins at ``start``."""
        while not (self._open or self._ended):
            wanted = self._next + len(self._marker) - start
            if wanted >= len(data):
                return
            missing = SOT_BYTES - len(self._marker)
            self._marker += data[wanted : wanted + missing]
            if self._marker.startswith(_EOC):
                self._end()
            elif len(self._marker) == SOT_BYTES:
                self._tile_part(bytes(self._marker))
                self._marker.clear()
            elif len(self._marker) >= MARKER_BYTES and self._marker[:2] != _SOT:
                parse_sot(bytes(self._marker[:2]), self._next)

    def _tile_part(self, segment: bytes) -> None:
        sot = parse_sot(segment, self._next)
        if sot.parts and self._header is not None and self._header.siz.tiles == 1:
            self._parts = sot.parts
        if sot.length == 0:
            self._open = True
        else:
            self._close(self._next + sot.length)

    def _close(self, end: int) -> None:
        """Note that the next tile-part ends at ``end``."""
        part = len(self._ends)
        if part == MAX_TILE_PARTS:
            malformed(f"over {MAX_TILE_PARTS} tile-parts", self._next)
        if self._promised is not None and self._promised[part : part + 1] != (end,):
            malformed(f"TLM and tile-part {part} disagree", self._next)
        self._ends.append(end)
        self._next = end
        self._open = False

    def _end(self) -> None:
        """Note that there is no further tile-part."""
        if not self._ends:
            malformed("no tile-part", self._next)
        if self._promised is not None and len(self._promised) != len(self._ends):
            malformed("TLM lists tile-parts that are not there", self._next)
        self._ended = True


def scan_levels(codestream: bytes) -> Levels:
    """The levels of a whole codestream.

    Raises:
        NotACodestreamError: ``codestream`` does not begin with SOC and SIZ.
        CodestreamError: malformed or cut short, with the offset.
    """
    scanner = LevelScanner()
    scanner.feed(codestream)
    return scanner.finish()
