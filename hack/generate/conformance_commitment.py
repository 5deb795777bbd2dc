"""The conformance statement's chapter on storage commitment, from the code's tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any

from isocenter.storescp.commitment.standard import (
    ACTION_MEANING,
    FAILURE_MEANING,
    MAX_INFORMATION_BYTES,
    MAX_REFERENCES,
    SOP_INSTANCE,
)

Table = Callable[[Sequence[str], Iterable[Sequence[object]]], str]


def _codes(table: Table, head: str, meaning: Mapping[Any, str]) -> str:
    rows = ((_hex(code), _name(code), text) for code, text in meaning.items())
    return table((head, "name", "meaning"), rows)


def _hex(code: IntEnum) -> str:
    return f"{int(code):04X}"


def _name(code: IntEnum) -> str:
    words = code.name.replace("_", " ").capitalize()
    for word in ("SOP", "UID"):
        words = words.replace(word.lower(), word)
    return words


def commitment(table: Table, default: Callable[[str], Any]) -> str:
    """The chapter's text, without its number.

    Args:
        table: makes a Markdown table of a head and rows.
        default: a setting's default.
    """
    return f"""Storage commitment as SCP

Storage Commitment Push Model, served unless the setting `commitment` is `off`. N-ACTION
with Action Type ID 1 on the well-known instance `{SOP_INSTANCE}` is answered
by success when the request is on the durable volume. Used of its data set are
Transaction UID (0008,1195) and Referenced SOP Sequence (0008,1199) with Referenced SOP
Class UID and SOP Instance UID: {MAX_REFERENCES:,} items and
{MAX_INFORMATION_BYTES // 1024 // 1024} MiB at most. Storage Media File-Set ID and UID
are ignored, and Retrieve AE Title is not answered: nothing is retrieved from here.

{_codes(table, "N-ACTION status", ACTION_MEANING)}

An instance is committed when it is in Amazon S3 with the bytes that were acknowledged
(`commitment` is `s3`, the default), or when AWS HealthImaging has imported it
(`imported`). Until then it is waited for, at most `commitment_wait_s`
({default("commitment_wait_s"):g} s); one that is not known here, at most
`commitment_unknown_wait_s` ({default("commitment_unknown_wait_s"):g} s). When all
instances are decided, one N-EVENT-REPORT follows: Event Type ID 1 if all are committed,
else 2 with Failed SOP Sequence (0008,1198) and, if any is, the committed ones in
Referenced SOP Sequence.

{_codes(table, "Failure Reason (0008,1197)", FAILURE_MEANING)}

Reasons 0122 and 0213 are not used. The report goes by the association of the request if
that is open one second after the response; else by an association that this entity
initiates, to the address that `commitment_peers` has for the AE title. There it calls
itself by the title that the requester called, proposes the Push Model in Explicit and
Implicit VR Little Endian, and SCP/SCU role selection with the SCP role for itself. Any
answer but 0000, or none, is a failure: it tries again after 5 seconds and then ever
less often, at least every 10 minutes, for `commitment_report_s`
({default("commitment_report_s"):g} s). A report may come twice. The same request again,
under the same Transaction UID, is looked at and reported again.
"""
