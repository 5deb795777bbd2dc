"""What is done to one fetched frame: decode, verify, write. Runs in any process."""

from dataclasses import dataclass

import numpy as np

from isocenter.core.errors import IntegrityError
from isocenter.fetcher.array_file import ArraySlot
from isocenter.fetcher.decode import decode
from isocenter.fetcher.pixels import PixelFormat, Rescale
from isocenter.fetcher.verify import checksum, is_intact


@dataclass(frozen=True)
class FrameWork:
    """One frame's work; can be sent to another process.

    Attributes:
        syntax: StoredTransferSyntaxUID.
        pixels: what it decodes to.
        crc32: HealthImaging's checksum, None where it recorded none.
        apply: rescale to apply to the values, None to keep them as stored.
        slot: where the slice goes.
    """

    syntax: str
    pixels: PixelFormat
    crc32: int | None
    apply: Rescale | None
    slot: ArraySlot

    @property
    def memory(self) -> int:
        """Bytes that the work holds at its peak, estimated from above.

        The stored frame (lossless: smaller than the decoded one), the decoded one, and
        the codec's own plane of 32-bit integers.
        """
        samples = self.pixels.rows * self.pixels.columns * self.pixels.samples
        return 2 * self.pixels.frame_bytes + 4 * samples


def carry_out(work: FrameWork, stored: bytes) -> int:
    """Decode, verify and write one frame; answers its checksum.

    Raises:
        MalformedError: it does not decode.
        IntegrityError: its checksum is not HealthImaging's.
        OSError: it could not be written.
    """
    values = decode(stored, work.syntax, work.pixels)
    # On a big-endian machine the container would have to be swapped first.
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    samples = little.data.cast("B")
    if work.crc32 is not None and not is_intact(
        work.syntax, work.crc32, stored, samples
    ):
        raise IntegrityError(
            f"the checksum of {len(stored)} bytes is not the recorded {work.crc32}"
        )
    if work.apply is not None:
        scaled = np.asarray(values, np.float64) * work.apply.slope
        work.slot.write((scaled + work.apply.intercept).astype(work.slot.dtype))
    else:
        work.slot.write(values)
    return work.crc32 if work.crc32 is not None else checksum(samples)
