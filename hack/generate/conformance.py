"""docs/conformance.md: the DICOM conformance statement of the Store SCP.

Its chapters are those of the template in PS3.2 Annex A; what they say comes from
``conformance_facts`` wherever the code has it.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from generate.conformance_commitment import commitment
from generate.conformance_facts import (
    Registered,
    cipher_suites,
    default,
    name_of,
    oldest_tls,
    registered,
    sop_classes,
    syntaxes,
)
from isocenter.storescp.association.abstract_syntax import Service
from isocenter.storescp.association.acceptance import APPLICATION_CONTEXT
from isocenter.storescp.association.refusal import Rejection
from isocenter.storescp.association.request import MAX_ITEMS
from isocenter.storescp.file_meta import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from isocenter.storescp.front.pending import MAX_REQUEST
from isocenter.storescp.identify import DEFLATED
from isocenter.storescp.shutdown import LONGEST_RESERVE_S, RESERVE_SHARE
from isocenter.storescp.status import MAX_COMMENT, MEANING


def conformance() -> str:
    """The page's text."""
    chapters = (_head, _overview, _introduction, _networking, _policies, _storage)
    rest = (_configuration, _media, _character_sets, _security, _annexes)
    return "\n".join(chapter().strip() + "\n" for chapter in (*chapters, *rest))


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _uids(entries: Iterable[Registered]) -> str:
    return _table(
        ("name", "UID", ""),
        ((e.name, f"`{e.uid}`", "retired" if e.retired else "") for e in entries),
    )


def _head() -> str:
    return f"""# DICOM conformance statement

Made by `make generate` from the Store SCP's code and DICOM's registry of UIDs; don't
edit. Product: isocenter storescp {version("isocenter-storescp")}. The chapters are
those of the template in PS3.2 Annex A.
"""


def _overview() -> str:
    accepted, _ = sop_classes()
    return f"""## 1. Overview

isocenter's Store SCP receives instances from modalities, keeps them on a durable
volume until Amazon S3 has them, and hands them on in batches to AWS HealthImaging. It
initiates associations only to report storage commitment, answers no query, prints
nothing and writes no media.

{
        _table(
            ("service class", "SCU", "SCP", "SOP classes"),
            (
                ("Verification", "no", "yes", 1),
                (
                    "Storage",
                    "no",
                    "yes",
                    f"{len(accepted)} of the standard, and private",
                ),
                ("Storage Commitment", "no", "yes", 1),
                ("Query/Retrieve", "no", "no", ""),
                ("Modality Worklist, Performed Procedure Step", "no", "no", ""),
                ("Print Management", "no", "no", ""),
                ("Media storage", "no", "no", ""),
            ),
        )
    }

The tile proxy offers searches, metadata and frames of HealthImaging's data stores as
DICOMweb (PS3.18): its resources are in [HTTP APIs](reference/http-api.md).
"""


def _introduction() -> str:
    return """## 2. Introduction

For those who connect a device to isocenter, and who know DICOM. That two statements
match does not prove that the devices work together: test the connection, with the
device's own images. *Instance* means composite SOP instance, *batch* the instances
that were received together, *volume* the file system of the setting `spool_dir`.
References: DICOM PS3.2 to PS3.8, PS3.15 (<https://www.dicomstandard.org/current>).
"""


def _networking() -> str:
    return f"""## 3. Networking

### 3.1 Implementation model

One application entity. A remote entity asks for an association and sends C-STORE
requests; each data set goes to the volume as its bytes come, neither decoded nor
held in memory. When file and folder are synchronised to the volume, and not before, the
request is answered with status 0000: the instance then survives the death of process
and node. It is copied to S3 in the background, and batches are sealed after
{default("batch_quiet_s"):g} seconds without an instance, {default("batch_max_age_s"):g}
seconds after the first one, or {default("batch_max_instances")} instances.

There is no order that the steps of different associations must follow. An instance
that comes again with the same bytes is acknowledged and kept once; with other bytes
both are kept, the second under a name that has its hash.

### 3.2 SOP classes

{
        _table(
            ("SOP class", "UID", "SCU", "SCP"),
            (
                ("Verification", "`1.2.840.10008.1.1`", "no", "yes"),
                (
                    "Storage, each of the [annex](#a-storage-sop-classes)",
                    "",
                    "no",
                    "yes",
                ),
                (
                    "Storage Commitment Push Model",
                    "`1.2.840.10008.1.20.1`",
                    "no",
                    "yes",
                ),
            ),
        )
    }
"""


def _policies() -> str:
    return f"""### 3.3 Association policies

{
        _table(
            ("", ""),
            (
                ("Application context name", f"`{APPLICATION_CONTEXT}`"),
                ("Associations initiated", "for reports of storage commitment only"),
                _limit(
                    "Associations accepted at the same time", "maximum_associations"
                ),
                _limit(
                    "of these, of one AE title at one address, in all workers",
                    "maximum_associations_per_peer",
                ),
                _limit(
                    "Outstanding asynchronous operations performed, if asked for",
                    "max_operations_performed",
                ),
                ("Outstanding asynchronous operations invoked", "1"),
                _limit("Largest PDU received", "maximum_pdu_size", " bytes"),
                (
                    "Largest A-ASSOCIATE-RQ received",
                    f"{MAX_REQUEST} bytes, {MAX_ITEMS} items",
                ),
                _limit(
                    "Time for the TLS handshake and the association request",
                    "artim_timeout",
                    " s",
                ),
                _limit(
                    "Time without anything from the peer, then A-ABORT",
                    "network_timeout",
                    " s",
                ),
                _limit(
                    "The same within a message that has begun", "dimse_timeout", " s"
                ),
                ("Implementation Class UID", f"`{IMPLEMENTATION_CLASS_UID}`"),
                ("Implementation Version Name", f"`{IMPLEMENTATION_VERSION_NAME}`"),
            ),
        )
    }

**Acceptance.** Only peers of `allowed_peers` may call: by calling AE title, and, where
that is set, the network they call from and the subject of their certificate. By default
there are none. They must call `ae_title`, or one of `called_ae_titles`. What is not
accepted is rejected or aborted, and the log says why:

{
        _table(
            ("why", "A-ASSOCIATE-RJ: result, source, reason"),
            ((text, ", ".join(map(str, why.value))) for why, text in _REJECTIONS),
        )
    }

What is no A-ASSOCIATE-RQ, or breaks PS3.8 9.3.2, is answered by A-ABORT, source 2
(service provider), reason 1 (unrecognized PDU), 2 (unexpected PDU) or 6 (invalid
parameter value); a claimed length over the largest is not waited for. When there are
too many connections without an association (`maximum_pending`,
`maximum_pending_per_peer`), the longest waiting one of the peer that has most is
closed.

When the process ends, it takes no more associations, waits for those that run
for `shutdown_grace_s` ({default("shutdown_grace_s"):g} s) but a reserve of
{RESERVE_SHARE:.0%} of it, {LONGEST_RESERVE_S:g} s at most, then aborts those that are
left between two requests.

**Presentation contexts.**

{
        _table(
            ("abstract syntax", "transfer syntaxes", "role"),
            (
                ("Verification", _names(Service.VERIFICATION), "SCP"),
                (
                    "Storage Commitment Push Model, unless `commitment` is `off`",
                    _names(Service.COMMITMENT),
                    "SCP",
                ),
                (
                    "storage of the [annex](#a-storage-sop-classes), or newer than it",
                    "any: the first that is proposed",
                    "SCP",
                ),
                (
                    "private, unless `accept_private_sop_classes` is off",
                    "any: the first that is proposed",
                    "SCP",
                ),
                ("any other", "rejected: abstract syntax not supported", ""),
            ),
        )
    }

The instance is stored in the transfer syntax it comes in; nothing is converted. A
sender that wants a syntax taken proposes it alone or first in its context.
SCP/SCU role selection is answered where it is proposed: the peer may be SCU, not SCP; a
context for which it would be SCP only is rejected. User identity (of any type) is
neither read nor answered. SOP class extended negotiation is not answered; common
extended negotiation changes nothing.
"""


_REJECTIONS = (
    (Rejection.CALLING_AE_TITLE, "calling AE title, address or certificate"),
    (Rejection.CALLED_AE_TITLE, "called AE title"),
    (Rejection.APPLICATION_CONTEXT, "another application context name"),
    (Rejection.PROTOCOL_VERSION, "another version of the protocol"),
    (Rejection.NO_REASON, "a largest PDU under 128 bytes"),
    (Rejection.LOCAL_LIMIT, "too many associations"),
    (Rejection.CONGESTION, "the process ends"),
)


def _limit(text: str, setting: str, unit: str = "") -> tuple[str, str]:
    return text, f"{default(setting):g}{unit} (`{setting}`)"


def _names(service: Service) -> str:
    return ", ".join(map(name_of, syntaxes(service)))


def _storage() -> str:
    statuses = _table(
        ("status", "name", "meaning"),
        (
            (f"{int(code):04X}", code.name.replace("_", " ").capitalize(), text)
            for code, text in MEANING.items()
        ),
    )
    return f"""### 3.4 Storage as SCP

Level 2 (full, PS3.4 B.4.1): all attributes are kept, standard, Standard Extended and
private, and no element is coerced. The data set's bytes are stored as received, so
digital signatures in it stay valid; the preamble and File Meta Information before it
are ours (PS3.10 7.1).

Needed in the data set: SOP Class UID (0008,0016) and SOP Instance UID (0008,0018) as in
the request, Study Instance UID (0020,000D) and Series Instance UID (0020,000E). Nothing
else is looked at. UIDs may have components with leading zeros. Deflated data sets
({", ".join(map(name_of, sorted(DEFLATED)))})
are inflated only as far as is needed to find these.

{statuses}

An Error Comment (0000,0902) of at most {MAX_COMMENT} characters goes with every
failure, and Offending Element (0000,0901) where one element is at fault. No warning
status (B000, B006, B007) is ever answered. A refused instance does not end the
association.

### 3.5 {commitment(_table, default).strip()}

### 3.6 Network interfaces

TCP over IPv4 and, with `listen_address` `::`, IPv6. DICOM over TLS on port
{default("tls_port")} (`tls_port`); DICOM without TLS only if `scp_port` is set.
"""


def _configuration() -> str:
    rows = (
        ("ae_title", "AE title"),
        ("tls_port", "port, TLS"),
        ("scp_port", "port, no TLS"),
        ("maximum_associations", "associations at the same time"),
        ("maximum_pdu_size", "largest PDU, bytes"),
        ("network_timeout", "seconds of silence"),
        ("spool_min_free_bytes", "free bytes under which instances are refused"),
    )
    return f"""### 3.7 Configuration

{
        _table(
            ("", "setting", "default"),
            (
                (text, f"`{name}`", "none" if default(name) is None else default(name))
                for name, text in rows
            ),
        )
    }

All settings are in the [reference](reference/settings.md#storescp). Remote AE titles
are configured as `allowed_peers`.
"""


def _media() -> str:
    return """## 4. Media interchange

None.
"""


def _character_sets() -> str:
    return """## 5. Character sets

Every Specific Character Set (0008,0005) is supported, in the sense that no text is
interpreted, converted or checked on reception. With `create_metadata` on, attributes
are also written as DICOM JSON in UTF-8; an element whose text can't be decoded is left
out there.
"""


def _security() -> str:
    suites = _table(("version", "cipher suite"), cipher_suites())
    return f"""## 6. Security

### 6.1 Profiles

Secure transport: the BCP 195 RFC 8996, 9325 TLS profile (PS3.15 B.12) as acceptor.
{oldest_tls()} and later; TLS 1.2 only with forward secrecy and authenticated
encryption; no renegotiation.

{suites}

The server's certificate and key are `tls_cert_file` and `tls_key_file`. With
`tls_ca_file`, a peer must show a certificate of these authorities, or the handshake
fails; without it peers are not authenticated. The profiles for audit trail, digital
signatures, de-identification and media are not supported.

### 6.2 Association and application level

`allowed_peers` names who may call (chapter 3.3). An AE title alone is no proof of who a
peer is, its certificate is: with `tls_ca_file`, an entry can ask for its subject. User
identity is not access control. New files of certificate and key are used without a
restart; associations that run are not disturbed.
"""


def _annexes() -> str:
    accepted, rejected = sop_classes()
    syntaxes_known = list(registered(frozenset({"Transfer Syntax"})))
    return f"""## 7. Annexes

### A. Storage SOP classes

{len(accepted)} of the registry (PS3.6 Annex A) are accepted, and so is every private
one, and one that is newer than the registry and under the root of storage classes.

{_uids(accepted)}

### B. Storage SOP classes that are not accepted

They are not of patients' composite instances, or are media's.

{_uids(rejected)}

### C. Transfer syntaxes

Any may be proposed for storage, private ones too. Those of the registry:

{_uids(syntaxes_known)}

What HealthImaging then imports is less, and is AWS's to say: an instance it refuses
stays in S3, and the DICOMImportJob says so (condition AllInstancesImported).

### D. Private and extended

No private SOP class, attribute or transfer syntax is defined by isocenter, no
standard-extended SOP class created, no coded terminology used, and no image displayed
by this entity (Grayscale Standard Display Function: not applicable).
"""
