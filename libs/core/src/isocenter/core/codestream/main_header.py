"""The main header: from SOC up to the first SOT (ISO/IEC 15444-1 A.3)."""

from dataclasses import dataclass

from isocenter.core.codestream.markers import (
    COC,
    COD,
    EOC,
    LENGTH_BYTES,
    MARKER_BYTES,
    POC,
    SIZ,
    SOC,
    SOD,
    SOT,
    TLM,
    Cod,
    NotACodestreamError,
    Siz,
    malformed,
    parse_cod,
    parse_siz,
    parse_tlm,
)

MAX_MAIN_HEADER = 4 * 1024 * 1024
"""Bytes a main header may have here; real ones have a few hundred."""
MAX_TILE_PARTS = 65_535
"""Tile-parts that are told apart here; HealthImaging writes one a resolution."""

_FIRST_MARKER = 0xFF01
_BARE_MARKERS = range(0xFF30, 0xFF40)
"""Markers without a segment (Table A.1)."""
_RESOLUTION_FIRST = ("RLCP", "RPCL")
_NOT_IN_MAIN_HEADER = frozenset({SOC, SOD, EOC})


@dataclass(frozen=True, slots=True)
class MainHeader:
    """What the main header says.

    Attributes:
        length: bytes from SOC up to the first SOT.
        siz: image and tile size.
        cod: coding style default.
        tile_part_lengths: from TLM, in codestream order; None without TLM.
        uniform: no COC or POC in the main header: ``cod`` holds for every
            component, and its progression order to the end.
    """

    length: int
    siz: Siz
    cod: Cod
    tile_part_lengths: tuple[int, ...] | None
    uniform: bool = True

    @property
    def resolution_by_resolution(self) -> bool:
        """A lower resolution's packets all come before those of a higher one.

        So in one tile whose progression order begins with the resolution (A.6.1).
        """
        return (
            self.uniform
            and self.siz.tiles == 1
            and self.cod.progression in _RESOLUTION_FIRST
        )


class MainHeaderParser:
    """Reads a main header that arrives in pieces."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        self._siz: Siz | None = None
        self._cod: Cod | None = None
        self._tlm: dict[int, tuple[int, ...]] = {}
        self._uniform = True

    def feed(self, data: bytes) -> MainHeader | None:
        """Take the next bytes; the header once its end has been seen.

        Bytes past the header are ignored: the caller knows them.

        Raises:
            NotACodestreamError: the first bytes are not SOC and SIZ.
            CodestreamError: the header is malformed or longer than
                ``MAX_MAIN_HEADER``.
        """
        self._data += data[: MAX_MAIN_HEADER + MARKER_BYTES - len(self._data)]
        while True:
            marker = self._marker()
            if marker is None:
                break
            if marker == SOT:
                return self._header()
            if not self._consume(marker):
                break
        if len(self._data) > MAX_MAIN_HEADER:
            malformed(f"main header over {MAX_MAIN_HEADER} bytes", self._at)
        return None

    def _marker(self) -> int | None:
        """The marker at the current offset, if its two bytes are here."""
        if self._at + MARKER_BYTES > len(self._data):
            if self._data and self._data[0] != SOC >> 8:
                raise NotACodestreamError("no SOC", offset=0)
            return None
        marker = int.from_bytes(self._data[self._at : self._at + MARKER_BYTES], "big")
        if self._at == 0 and marker != SOC:
            raise NotACodestreamError("no SOC", offset=0)
        if self._at == MARKER_BYTES and marker != SIZ:
            raise NotACodestreamError("no SIZ after SOC", offset=self._at)
        if self._at and (marker < _FIRST_MARKER or marker in _NOT_IN_MAIN_HEADER):
            malformed(f"0x{marker:04X} in the main header", self._at)
        return marker

    def _consume(self, marker: int) -> bool:
        """Step over one marker (segment); False while it isn't all here."""
        if marker == SOC or marker in _BARE_MARKERS:
            self._at += MARKER_BYTES
            return True
        start = self._at + MARKER_BYTES
        if start + LENGTH_BYTES > len(self._data):
            return False
        length = int.from_bytes(self._data[start : start + LENGTH_BYTES], "big")
        if length < LENGTH_BYTES:
            malformed(f"marker segment of length {length}", self._at)
        if start + length > len(self._data):
            return False
        body = bytes(self._data[start + LENGTH_BYTES : start + length])
        self._read(marker, body)
        self._at = start + length
        return True

    def _read(self, marker: int, body: bytes) -> None:
        if marker == SIZ:
            if self._siz is not None:
                malformed("a second SIZ", self._at)
            self._siz = parse_siz(body, self._at)
        elif marker == COD:
            if self._cod is not None:
                malformed("a second COD in the main header", self._at)
            self._cod = parse_cod(body, self._at)
        elif marker in {COC, POC}:
            self._uniform = False
        elif marker == TLM:
            tlm = parse_tlm(body, self._at)
            if tlm.index in self._tlm:
                malformed(f"a second TLM with index {tlm.index}", self._at)
            self._tlm[tlm.index] = tlm.lengths
            if sum(map(len, self._tlm.values())) > MAX_TILE_PARTS:
                malformed(f"TLM with over {MAX_TILE_PARTS} tile-parts", self._at)

    def _header(self) -> MainHeader:
        if self._siz is None or self._cod is None:
            malformed("SOT before SIZ and COD", self._at)
        # Several TLM segments are one list, in the order of Ztlm (A.7.1).
        lengths = tuple(
            length for index in sorted(self._tlm) for length in self._tlm[index]
        )
        return MainHeader(
            length=self._at,
            siz=self._siz,
            cod=self._cod,
            tile_part_lengths=lengths or None,
            uniform=self._uniform,
        )
