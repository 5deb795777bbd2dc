"""Marker codes and the marker segments SIZ, COD, TLM and SOT.

Each ``parse_*`` takes the parameters of one marker segment (what follows the
two bytes of its length) and the offset of its marker in the codestream, which
only errors use. ISO/IEC 15444-1 Annex A; all numbers are big-endian.
"""

import struct
from dataclasses import dataclass
from typing import NoReturn

from isocenter.core.errors import MalformedError

SOC = 0xFF4F
SIZ = 0xFF51
COD = 0xFF52
COC = 0xFF53
TLM = 0xFF55
POC = 0xFF5F
SOT = 0xFF90
SOD = 0xFF93
EOC = 0xFFD9
MARKER_BYTES = 2
LENGTH_BYTES = 2
SOT_BYTES = 12
"""SOT with its marker: 2 + Lsot, and Lsot is always 10 (A.4.2)."""
MIN_TILE_PART = SOT_BYTES + MARKER_BYTES
"""The shortest tile-part: SOT and SOD, no packet (A.4.2, Psot)."""

_MAX_DECOMPOSITIONS = 32
_MAX_COMPONENTS = 16384
_MAX_DIMENSION = 2**32 - 1
_PROGRESSIONS = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
_SIZ_FIXED = struct.Struct(">HIIIIIIIIH")
_SOT_FIELDS = struct.Struct(">HIBB")
_TTLM_BYTES = (0, 1, 2)


class CodestreamError(MalformedError):
    """The codestream breaks ISO/IEC 15444-1 Annex A.

    Attributes:
        offset: where, in bytes from the start of the codestream.
    """

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(f"codestream, byte {offset}: {message}")
        self.offset = offset


class NotACodestreamError(CodestreamError):
    """The bytes do not begin with SOC and SIZ: another format, not a broken one."""


def malformed(message: str, offset: int) -> NoReturn:
    """Raise CodestreamError at ``offset``."""
    raise CodestreamError(message, offset=offset)


@dataclass(frozen=True, slots=True)
class Siz:
    """Image and tile size (A.5.1), on the reference grid."""

    width: int
    height: int
    components: int
    bit_depth: int
    signed: bool
    tiles: int


@dataclass(frozen=True, slots=True)
class Cod:
    """Coding style default (A.6.1; SPcod bit 6 per ISO/IEC 15444-15)."""

    progression: str
    layers: int
    decompositions: int
    high_throughput: bool
    reversible: bool


@dataclass(frozen=True, slots=True)
class Tlm:
    """One TLM segment (A.7.1): tile-part lengths in codestream order."""

    index: int
    lengths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sot:
    """Start of tile-part (A.4.2).

    ``length`` 0 means: up to EOC; ``parts`` 0: not said here.
    """

    tile: int
    length: int
    part: int
    parts: int


def parse_siz(body: bytes, offset: int) -> Siz:
    """Read SIZ.

    Raises:
        CodestreamError: a length or a size outside the standard's range.
    """
    if len(body) < _SIZ_FIXED.size:
        malformed(f"SIZ of {len(body)} bytes is too short", offset)
    _, x1, y1, x0, y0, tw, th, tx0, ty0, components = _SIZ_FIXED.unpack_from(body)
    if not 1 <= components <= _MAX_COMPONENTS:
        malformed(f"SIZ with {components} components", offset)
    if len(body) != _SIZ_FIXED.size + 3 * components:
        malformed("SIZ length does not fit its number of components", offset)
    if x1 <= x0 or y1 <= y0:
        malformed("SIZ describes an empty image", offset)
    if tw == 0 or th == 0 or tx0 > x0 or ty0 > y0 or tx0 + tw <= x0 or ty0 + th <= y0:
        malformed("SIZ with a tile grid that misses the image", offset)
    across = -(-(x1 - tx0) // tw)
    down = -(-(y1 - ty0) // th)
    depth = body[_SIZ_FIXED.size]
    return Siz(
        width=x1 - x0,
        height=y1 - y0,
        components=components,
        bit_depth=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        tiles=across * down,
    )


def parse_cod(body: bytes, offset: int) -> Cod:
    """Read COD.

    Raises:
        CodestreamError: a length or a value outside the standard's range.
    """
    if len(body) < 10:  # noqa: PLR2004 - Scod 1, SGcod 4, SPcod 5 (Table A.12)
        malformed(f"COD of {len(body)} bytes is too short", offset)
    scod, progression, layers, _, decompositions, _, _, style, transform = (
        struct.unpack_from(">BBHBBBBBB", body)
    )
    if progression >= len(_PROGRESSIONS):
        malformed(f"COD with progression order {progression}", offset)
    if layers == 0:
        malformed("COD without a layer", offset)
    if decompositions > _MAX_DECOMPOSITIONS:
        malformed(f"COD with {decompositions} decomposition levels", offset)
    precincts = decompositions + 1 if scod & 1 else 0
    if len(body) != 10 + precincts:
        malformed("COD length does not fit its precincts", offset)
    return Cod(
        progression=_PROGRESSIONS[progression],
        layers=layers,
        decompositions=decompositions,
        high_throughput=bool(style & 0x40),
        reversible=transform == 1,
    )


def parse_tlm(body: bytes, offset: int) -> Tlm:
    """Read TLM.

    Raises:
        CodestreamError: an illegal Stlm, a broken entry, or a length that no
            tile-part can have.
    """
    if len(body) < 2:  # noqa: PLR2004 - Ztlm and Stlm
        malformed(f"TLM of {len(body)} bytes is too short", offset)
    index, sizes = body[0], body[1]
    tile_bytes = (sizes >> 4) & 3
    if tile_bytes not in _TTLM_BYTES:
        malformed("TLM with an illegal size of Ttlm", offset)
    length_bytes = 4 if sizes & 0x40 else 2
    entry = tile_bytes + length_bytes
    if (len(body) - 2) % entry:
        malformed("TLM ends within an entry", offset)
    lengths = tuple(
        int.from_bytes(body[at + tile_bytes : at + entry], "big")
        for at in range(2, len(body), entry)
    )
    for length in lengths:
        if length < MIN_TILE_PART:
            malformed(f"TLM with a tile-part of {length} bytes", offset)
    return Tlm(index=index, lengths=lengths)


def parse_sot(segment: bytes, offset: int) -> Sot:
    """Read the 12 bytes of SOT, marker and length included.

    Raises:
        CodestreamError: not SOT, or a Psot that no tile-part can have.
    """
    if int.from_bytes(segment[:2], "big") != SOT:
        malformed(f"SOT or EOC expected, not 0x{segment[:2].hex().upper()}", offset)
    if int.from_bytes(segment[2:4], "big") != SOT_BYTES - MARKER_BYTES:
        malformed("SOT whose length is not 10", offset)
    tile, length, part, parts = _SOT_FIELDS.unpack_from(segment, 4)
    if 0 < length < MIN_TILE_PART:
        malformed(f"SOT with a tile-part of {length} bytes", offset)
    return Sot(tile=tile, length=length, part=part, parts=parts)
