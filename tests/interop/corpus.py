"""Files to send: real ones and generated ones, in many transfer syntaxes.

Each call gives its files SOP Instance UIDs of their own, so that nothing a sender
sent before is there already. Bytes of real files change in these alone.
"""

import random
import re
import tarfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    RLELossless,
)
from support.instances import ct

DATA = Path(__file__).parents[1] / "data"
_SLICES = 3
_LENGTH_AT, _META_AT = 140, 144
_chance = random.SystemRandom()


@dataclass(frozen=True)
class P10:
    """A file by its parts.

    Attributes:
        uid: SOP Instance UID.
        syntax: transfer syntax UID.
        data_set: its bytes after the file meta information.
    """

    uid: str
    syntax: str
    data_set: bytes
    content: bytes

    @classmethod
    def parse(cls, content):
        meta = dcmread(BytesIO(content), stop_before_pixels=True).file_meta
        assert content[128:132] == b"DICM"
        length = int.from_bytes(content[_LENGTH_AT:_META_AT], "little")
        return cls(
            str(meta.MediaStorageSOPInstanceUID),
            str(meta.TransferSyntaxUID),
            content[_META_AT + length :],
            content,
        )


def fresh(content):
    """The same file with a SOP Instance UID of its own, as long as it was."""
    uid = P10.parse(content).uid
    head, tail = uid[:-10], uid[-10:]
    other = head + re.sub(r"\d", lambda _: str(_chance.randint(1, 9)), tail)
    assert content.count(uid.encode()) >= 2  # file meta information and data set
    return content.replace(uid.encode(), other.encode())


def _generated(syntax, change=None):
    dataset = ct(rows=64)
    dataset.file_meta.TransferSyntaxUID = syntax
    if change is not None:
        change(dataset)
    file = BytesIO()
    dataset.save_as(
        file,
        enforce_file_format=True,
        little_endian=syntax != ExplicitVRBigEndian,
        implicit_vr=syntax == ImplicitVRLittleEndian,
    )
    return file.getvalue()


def _rle(dataset):
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(RLELossless, generate_instance_uid=False)


def _frame_in_fragments(dataset):
    """A codestream that nobody on the way may look into."""
    dataset.PixelData = encapsulate([bytes(range(256)) * 9], fragments_per_frame=3)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True


def files():
    """Contents by name."""
    found = {
        f"small-{path.stem}": fresh(path.read_bytes())
        for path in sorted((DATA / "small").glob("*.dcm"))
        if path.stem != "missing_study_uid"
    }
    with tarfile.open(DATA / "ct_head.tar.xz") as archive:
        for name in archive.getnames()[:_SLICES]:
            content = archive.extractfile(name).read()
            found[f"ct-{Path(name).stem}"] = fresh(content)
    found |= {
        "implicit": _generated(ImplicitVRLittleEndian),
        "big-endian": _generated(ExplicitVRBigEndian),
        "deflated": _generated(DeflatedExplicitVRLittleEndian),
        "rle": _generated(RLELossless, _rle),
        "htj2k": _generated(HTJ2KLossless, _frame_in_fragments),
        "htj2k-rpcl": _generated(HTJ2KLosslessRPCL, _frame_in_fragments),
    }
    return found
