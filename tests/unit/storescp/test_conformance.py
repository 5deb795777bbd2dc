"""docs/conformance.md against the Store SCP itself, by associations."""

import re
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID_dictionary
from pynetdicom.sop_class import Verification

STATEMENT = (Path(__file__).parents[3] / "docs" / "conformance.md").read_text()
MOST_CONTEXTS = 128
WORKLIST_FIND = "1.2.840.10008.5.1.4.31"


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
    said = uids("A. Storage SOP classes") | uids(
        "C. Other abstract syntaxes whose contexts are accepted"
    )
    assert len(said) > 200
    assert accepted == said | {Verification}
    refused = uids("B. Storage SOP classes that are not accepted")
    assert refused
    assert not refused & accepted


def test_nothing_but_storage_is_served_on_other_contexts(start, associate):
    assoc = associate(start(), contexts=[(WORKLIST_FIND, None)])
    query = Dataset()
    query.PatientID = "*"
    ((status, _),) = assoc.send_c_find(query, WORKLIST_FIND)
    assert status.Status >= 0xA700


def test_identity_and_limits_are_those_of_the_statement(start, associate):
    assoc = associate(start())
    policies = chapter("3.3 Association policies")
    assert f"| {assoc.acceptor.maximum_length} bytes (`max_pdu`) |" in policies
    assert f"| `{assoc.acceptor.implementation_class_uid}` |" in policies
    assert f"| `{assoc.acceptor.implementation_version_name}` |" in policies


@pytest.mark.parametrize("called", ["S3SCP", "ANYTHING"])
def test_any_called_ae_title_is_accepted(start, associate, called):
    assert "any called AE title" in chapter("3.3 Association policies")
    assert associate(start(), ae_title=called).is_established
