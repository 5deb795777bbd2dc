"""docs/conformance.md against the Store SCP itself, by associations."""

import re
from pathlib import Path

import pytest
from pydicom.uid import UID_dictionary
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification
from support.dimse_sender import DimseSender, RefusedError

STATEMENT = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text()
MOST_CONTEXTS = 128


def chapter(title: str) -> str:
    """A chapter's text."""
    until_next = rf"^### {title}\n(.*?)(?=^##|\Z)"
    (found,) = re.findall(until_next, STATEMENT, re.MULTILINE | re.DOTALL)
    return found


def uids(title: str) -> set[str]:
    return set(re.findall(r"\| `([0-9.]+)` \|", chapter(title)))


def test_what_is_said_to_be_accepted_is(start, associate):
    process = start()
    proposed = sorted(
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if name and kind in {"SOP Class", "Meta SOP Class"}
    )
    accepted = set()
    for first in range(0, len(proposed), MOST_CONTEXTS):
        contexts = [(uid, None) for uid in proposed[first : first + MOST_CONTEXTS]]
        assoc = associate(process, contexts=contexts)
        accepted |= {cx.abstract_syntax for cx in assoc.accepted_contexts}
    said = uids("A. Storage SOP classes")
    assert len(said) > 190
    assert accepted == said | {Verification, StorageCommitmentPushModel}
    refused = uids("B. Storage SOP classes that are not accepted")
    assert refused
    assert not refused & accepted


def test_identity_and_limits_are_those_of_the_statement(start, associate):
    assoc = associate(start())
    policies = chapter("3.3 Association policies")
    assert f"| {assoc.acceptor.maximum_length} bytes (`maximum_pdu_size`) |" in policies
    assert f"| `{assoc.acceptor.implementation_class_uid}` |" in policies
    assert f"| `{assoc.acceptor.implementation_version_name}` |" in policies


REJECTED = [
    # settings, called AE title, what the statement says of it
    ({"called_ae_titles": []}, "OTHER", "called AE title"),
    ({"allowed_peers": []}, "S3SCP", "calling AE title, address or certificate"),
    ({"maximum_associations": 1}, "S3SCP", "too many associations"),
]


@pytest.mark.parametrize(("settings", "called", "why"), REJECTED)
def test_rejections_are_those_of_the_statement(start, settings, called, why):
    process = start(**settings)
    port = process.settings.scp_port
    # Not pynetdicom: it now and then aborts after it has read a rejection.
    with DimseSender.connect(port) as first, DimseSender.connect(port) as second:
        if "maximum_associations" in settings:
            first.associate()
        with pytest.raises(RefusedError) as refused:
            second.associate(called=called)
    found = ", ".join(str(number) for number in refused.value.pdu[7:10])
    assert f"| {why} | {found} |" in chapter("3.3 Association policies")
