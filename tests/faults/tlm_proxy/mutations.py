"""Mutations of real frames, by number: the same number is always the same one."""

import random
from dataclasses import dataclass
from io import BytesIO

import imagecodecs
import numpy as np
from imagecodecs import HTJ2K
from PIL import Image

from isocenter.core.testing.image_sets import InstanceSource, build_image_set

REGION = "eu-west-1"
DATASTORE = "d" * 32
BATCH = 500
"""Mutations that make one study."""
STUDY, SERIES, INSTANCE = "1.2.826.1", "1.2.826.2", "1.2.826.3"
_HTJ2K, _JPEG_2000 = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.90"
_MARKERS = (0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF5C, 0xFF64, 0xFF90, 0xFF93)
_SIZ, _SOT, _SOD, _EOC = 0xFF51, 0xFF90, 0xFF93, b"\xff\xd9"


@dataclass(frozen=True)
class Base:
    """A frame as it is stored, and the picture that its instance describes."""

    body: bytes
    picture: np.ndarray
    syntax: str


@dataclass(frozen=True)
class Mutation:
    """Mutation ``number`` of a frame: its bytes, and how HealthImaging sends them.

    ``size`` is what Content-Length says, None for chunks; ``stop`` is where the
    sending breaks off, None at the end; ``pieces`` are offsets of its parts.
    """

    number: int
    body: bytes
    syntax: str
    media_type: str
    size: int | None
    stop: int | None
    pieces: tuple[int, ...]

    @property
    def frame_id(self):
        return f"{self.number:032d}"

    @property
    def image_set_id(self):
        return f"{self.number // BATCH:032d}"

    @property
    def frame_path(self):
        return (
            f"/datastore/{DATASTORE}/imageSet/{self.image_set_id}"
            f"/imageFrame/{self.frame_id}"
        )

    @property
    def instance_path(self):
        batch = self.number // BATCH
        return (
            f"/dicomweb/{REGION}/{DATASTORE}/studies/{STUDY}.{batch}"
            f"/series/{SERIES}.{batch}/instances/{INSTANCE}.{self.number}"
        )


def picture(shape, dtype=np.uint16, noise=50):
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = x * 7 + y * 11 + np.random.default_rng(3).integers(0, noise, shape[:2])
    if len(shape) == len("yxs"):
        image = np.stack([image] * shape[2], -1)
    return (image % min(60_000, np.iinfo(dtype).max)).astype(dtype)


def _htj2k(image, resolutions=4, *, tlm=True, parts=True, tile=None):
    body = imagecodecs.htj2k_encode(
        image,
        resolutions=resolutions,
        reversible=True,
        tlm=tlm,
        tilepart=HTJ2K.TILEPART.RESOLUTIONS if parts else None,
        tile=tile,
    )
    return Base(bytes(body), image, _HTJ2K)


def _jpeg_2000(image):
    out = BytesIO()
    Image.fromarray(image).save(out, "JPEG2000", no_jp2=True, irreversible=False)
    return Base(out.getvalue(), image, _JPEG_2000)


def _bases():
    small = picture((64, 64))
    return [
        _htj2k(small),
        _htj2k(small, tlm=False),
        _htj2k(small, tlm=False, parts=False),
        _htj2k(small, tile=(32, 32)),
        _htj2k(picture((33, 47), np.uint8), 2),
        _htj2k(picture((61, 80, 3), np.uint8), 3),
        _htj2k(picture((96, 160), np.int16), 5, tlm=False),
        _htj2k(picture((180, 220)), 5, tile=(64, 64), parts=False),
        _jpeg_2000(picture((64, 64), np.uint8)),
        # Twice the least window of a frame that isn't kept.
        _htj2k(picture((320, 300), noise=20_000), 5),
    ]


def _fields(data):
    """Offsets and sizes of the numbers in a codestream's headers (15444-1 A)."""
    found, at = [], 2
    while at + 4 <= len(data):
        marker = int.from_bytes(data[at : at + 2], "big")
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((at + 2, 2))
        if marker == _SOT:
            found += [(at + 4, 2), (at + 6, 4), (at + 10, 1), (at + 11, 1)]
            at += max(int.from_bytes(data[at + 6 : at + 10], "big"), 14)
        elif marker >> 8 != 0xFF or length < 2:
            break
        else:
            size = 4 if marker == _SIZ else 1
            here = range(at + 4, at + 2 + min(length, 120), size)
            found += [(each, size) for each in here]
            at += 2 + length
    return found


def _forge(rng, data, fields):
    at, size = rng.choice(fields)
    top = (1 << 8 * size) - 1
    old = int.from_bytes(data[at : at + size], "big")
    new = rng.choice((0, 1, top, old + 1, old - 1, old * 2, rng.randint(0, top)))
    data[at : at + size] = (new & top).to_bytes(size, "big")


def _change(rng, data, fields, others):  # noqa: C901, PLR0912 - one a kind
    """One change, in place."""
    if not data:
        return
    at = rng.randrange(len(data))
    if rng.random() < 0.5 and fields:
        at = min(rng.choice(fields)[0] + rng.randrange(6), len(data) - 1)
    run = rng.choice((1, 2, 4, 14, 60, 700))
    match rng.randrange(11):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at] = rng.randrange(256)
        case 2:
            del data[at:]
        case 3:
            del data[at : at + run]
        case 4:
            data[at:at] = data[at : at + run]
        case 5:
            data[at : at + 2] = rng.choice(_MARKERS).to_bytes(2, "big")
        case 6:
            data[at : at + run] = rng.choice((b"\0", b"\xff")) * run
        case 7:
            other = rng.choice(others).body
            data[at:] = other[min(at, rng.randrange(len(other))) :]
        case 8:
            data += rng.choice((_EOC, rng.randbytes(run), bytes(data[:2_000])))
        case 9 | 10:
            if fields:
                _forge(rng, data, fields)


class Mutations:
    """Mutations by their number, which is their seed."""

    def __init__(self):
        self.bases = _bases()
        self._fields = [_fields(base.body) for base in self.bases]
        self._instances = [_instance(base) for base in self.bases]

    def __getitem__(self, number):
        rng = random.Random(number)
        which = self.which(number)
        base, fields = self.bases[which], self._fields[which]
        data = bytearray(base.body)
        # Some stay as they are; few changes go deeper than many.
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5))):
            _change(rng, data, fields, self.bases)
        body = bytes(data) if rng.random() < 0.995 else b""
        fault = rng.random() < 0.06
        # Of an unannounced size, an early end looks like an end.
        size = len(body) if fault or rng.random() < 0.75 else None
        ends = [rng.randrange(len(body) + 1) for _ in range(rng.randrange(8))]
        return Mutation(
            number,
            body,
            base.syntax,
            "image/jphc" if rng.random() < 0.9 else "application/octet-stream",
            size,
            rng.randrange(len(body)) if fault and body else None,
            tuple(sorted({0, *ends, len(body)})),
        )

    def which(self, number):
        """The base of a mutation: the tenth is big, and has a fifth of its turns."""
        return number % 50 % (10 if number % 50 < 10 else 9)

    def document(self, image_set_id):
        """The metadata of the image set of a batch: an instance a mutation."""
        batch = int(image_set_id)
        instances = {}
        for number in range(batch * BATCH, (batch + 1) * BATCH):
            made = self._instances[self.which(number)]
            uid = f"{INSTANCE}.{number}"
            dicom = made["DICOM"] | {"SOPInstanceUID": uid}
            frame = made["ImageFrames"][0] | {"ID": f"{number:032d}"}
            instances[uid] = made | {"DICOM": dicom, "ImageFrames": [frame]}
        series = {f"{SERIES}.{batch}": {"DICOM": {}, "Instances": instances}}
        study = {"DICOM": {"StudyInstanceUID": f"{STUDY}.{batch}"}, "Series": series}
        return {
            "SchemaVersion": "1.1",
            "DatastoreID": DATASTORE,
            "ImageSetID": image_set_id,
            "Patient": {"DICOM": {}},
            "Study": study,
        }

    def image_sets(self, study_uid):
        """Ids of the image sets of a study."""
        batch = study_uid.removeprefix(f"{STUDY}.")
        return [f"{int(batch):032d}"] if batch.isdecimal() else []


def _instance(base):
    # A small one of the same kind: its attributes are wanted, not its bytes.
    source = InstanceSource([base.picture], syntax=base.syntax)
    content = build_image_set([source], datastore_id=DATASTORE)
    (series,) = content.metadata["Study"]["Series"].values()
    (instance,) = series["Instances"].values()
    return instance
