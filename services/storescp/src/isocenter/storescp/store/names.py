"""Names of spool files: what has to be known of an instance once it is acknowledged.

``<stem>~<sha256>~<calling AE title, hexadecimal>``, then ``.dcm``. The stem is the
SOP Instance UID; ``<UID>-<first 16 of sha256>`` if that UID came with other bytes
before. 166 characters at most, made of digits, letters, ``.``, ``-`` and ``~``. Pure.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from isocenter.core.errors import MalformedError
from isocenter.storescp.identify import is_uid

SUFFIX = ".dcm"
_HASHED = 16
_NAME = re.compile(
    r"(?P<uid>[0-9.]{1,64})(?P<other>-[0-9a-f]{16})?"
    r"~(?P<sha256>[0-9a-f]{64})~(?P<ae>([0-9a-f]{2}){0,16})"
)


class SpoolName(NamedTuple):
    """What a spool file's name says.

    Attributes:
        sop_instance_uid: of the instance.
        sha256: of the file, hexadecimal.
        calling_ae: who sent it.
        conflict: whether the UID was known with other bytes.
    """

    sop_instance_uid: str
    sha256: str
    calling_ae: str
    conflict: bool = False

    @property
    def stem(self) -> str:
        """Last part of the object's key, without suffix."""
        if self.conflict:
            return f"{self.sop_instance_uid}-{self.sha256[:_HASHED]}"
        return self.sop_instance_uid

    def __str__(self) -> str:
        return f"{self.stem}~{self.sha256}~{_hexadecimal(self.calling_ae)}"

    @staticmethod
    def parse(name: str) -> "SpoolName":
        """Read a name, without ``.dcm``.

        Raises:
            MalformedError: it is none of ours.
        """
        return _parsed(name)


@lru_cache(maxsize=1024)
def _parsed(name: str) -> SpoolName:
    """Asked for several times within a moment, from reception to the journal."""
    found = _NAME.fullmatch(name)
    if found is None or not is_uid(found["uid"]):
        raise MalformedError(f"{name!r} is not the name of a spooled instance")
    return SpoolName(
        sop_instance_uid=found["uid"],
        sha256=found["sha256"],
        calling_ae=bytes.fromhex(found["ae"]).decode("ascii", "replace"),
        conflict=found["other"] is not None,
    )


@lru_cache(maxsize=256)
def _hexadecimal(title: str) -> str:
    return title.encode().hex()
