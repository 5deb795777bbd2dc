"""docs/conformance.md: the DICOM conformance statement of the Store SCP.

Its chapters are those of the template in PS3.2 Annex A; what they say comes from
``conformance_facts`` wherever the code has it.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from generate.conformance_facts import (
    Registered,
    cipher_suites,
    default,
    entity,
    name_of,
    oldest_tls,
    registered,
    sop_classes,
    verification_syntaxes,
)
from isocenter.storescp.identify import DEFLATED
from isocenter.storescp.status import MAX_COMMENT, MEANING

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"


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
    storage = [e for e in accepted if e.storage]
    return f"""## 1. Overview

isocenter's Store SCP receives instances from modalities, keeps them on a durable
volume until Amazon S3 has them, and hands them on in batches to AWS HealthImaging. It
initiates no association, answers no query, prints nothing and writes no media.

{
        _table(
            ("service class", "SCU", "SCP", "SOP classes"),
            (
                ("Verification", "no", "yes", 1),
                (
                    "Storage",
                    "no",
                    "yes",
                    f"{len(storage)} of the standard, and private",
                ),
                ("Storage Commitment", "no", "no", ""),
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
that comes again with the same bytes while its batch is open is acknowledged and kept
once; with other bytes it goes into a new batch.

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
            ),
        )
    }
"""


def _policies() -> str:
    found = entity()
    return f"""### 3.3 Association policies

{
        _table(
            ("", ""),
            (
                ("Application context name", f"`{APPLICATION_CONTEXT}`"),
                ("Associations initiated", "none"),
                (
                    "Associations accepted at the same time",
                    f"{found.maximum_associations} (`max_associations`)",
                ),
                ("Outstanding asynchronous operations", "1: not negotiated"),
                (
                    "Largest PDU received",
                    f"{found.maximum_pdu_size} bytes (`max_pdu`)",
                ),
                (
                    "Time without anything from the peer, then A-ABORT",
                    f"{found.network_timeout:g} s (`network_timeout_s`)",
                ),
                (
                    "Time for the association request, and for a release",
                    f"{found.acse_timeout} s",
                ),
                (
                    "Implementation Class UID",
                    f"`{found.implementation_class_uid}`",
                ),
                (
                    "Implementation Version Name",
                    f"`{found.implementation_version_name}`",
                ),
            ),
        )
    }

**Acceptance.** Any calling AE title is accepted{
        "" if found.require_calling_aet else ", and any called AE title"
    }.
Who may connect is decided by the network, and by client certificates (chapter 6). An
association beyond the limit is rejected (result 2, rejected transient; source 3,
presentation; reason 2, local limit exceeded). When the process ends, it takes no more
associations, waits up to half of `shutdown_grace_s`
({default("shutdown_grace_s"):g} s) for those that run, then aborts them.

**Presentation contexts.**

{
        _table(
            ("abstract syntax", "transfer syntaxes", "role"),
            (
                (
                    "Verification",
                    ", ".join(map(name_of, verification_syntaxes())),
                    "SCP",
                ),
                (
                    "storage, private, or not known to the negotiation",
                    "any: the first that is proposed",
                    "SCP",
                ),
                ("any other", "rejected: abstract syntax not supported", ""),
            ),
        )
    }

The instance is stored in the transfer syntax it comes in; nothing is converted. A
sender that wants a syntax taken proposes it alone or first in its context.
SCP/SCU role selection is answered as proposed, but the entity sends no request in any
role. User identity (of any type) is neither checked nor answered. SOP class extended
negotiation is not answered; common extended negotiation changes nothing.
"""


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
are ours (PS3.10 7.1), with the sender's AE title as Source Application Entity Title.

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

### 3.5 Network interfaces

TCP over IPv4 and, with `listen_address` `::`, IPv6. DICOM over TLS on port
{default("tls_port")} (`tls_port`); DICOM without TLS only if `plain_port` is set.
"""


def _configuration() -> str:
    rows = (
        ("ae_title", "AE title"),
        ("tls_port", "port, TLS"),
        ("plain_port", "port, no TLS"),
        ("max_associations", "associations at the same time"),
        ("max_pdu", "largest PDU, bytes"),
        ("network_timeout_s", "seconds of silence"),
        ("spool_min_free_bytes", "free bytes under which instances are refused"),
    )
    return f"""### 3.6 Configuration

{
        _table(
            ("", "setting", "default"),
            (
                (text, f"`{name}`", "none" if default(name) is None else default(name))
                for name, text in rows
            ),
        )
    }

All settings are in the [reference](reference/settings.md#storescp). There are no remote
AE titles to configure.
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

Neither AE titles nor user identity are access control. The network (a load balancer's
source ranges, network policies) and client certificates are.
"""


def _annexes() -> str:
    accepted, rejected = sop_classes()
    storage = [e for e in accepted if e.storage]
    others = [e for e in accepted if not e.storage and e.uid != "1.2.840.10008.1.1"]
    refused = [e for e in rejected if e.storage]
    syntaxes = list(registered(frozenset({"Transfer Syntax"})))
    return f"""## 7. Annexes

### A. Storage SOP classes

{len(storage)} of the registry (PS3.6 Annex A) are accepted, and so is every private
one.

{_uids(storage)}

### B. Storage SOP classes that are not accepted

They are not of patients' composite instances, or are media's.

{_uids(refused)}

### C. Other abstract syntaxes whose contexts are accepted

The negotiation does not know these as services of their own and takes them for storage.
No request but C-STORE is served on such a context: a device that proposes one of them
for another service is answered with a failure there.

{_uids(others)}

### D. Transfer syntaxes

Any may be proposed for storage, private ones too. Those of the registry:

{_uids(syntaxes)}

What HealthImaging then imports is less, and is AWS's to say: an instance it refuses
stays in S3, and the DICOMImportJob says so (condition AllInstancesImported).

### E. Private and extended

No private SOP class, attribute or transfer syntax is defined by isocenter, no
standard-extended SOP class created, no coded terminology used, and no image displayed
by this entity (Grayscale Standard Display Function: not applicable).
"""
