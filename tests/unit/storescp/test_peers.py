"""Who may call."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from isocenter.storescp.peers import (
    AllowedPeer,
    Caller,
    Mismatch,
    is_ae_title,
    mismatch,
    plain_address,
    subject_of,
)

PEERS = TypeAdapter(tuple[AllowedPeer, ...])


def peers(*given):
    return PEERS.validate_json(json.dumps(given))


TITLES = [
    ("CT1", True),
    ("A" * 16, True),
    ("A" * 17, False),
    ("WITH SPACE", True),
    (" CT", False),
    ("", False),
    (" ", False),
    ("C\\T", False),
    ("C\nT", False),
    ("CÄ", False),
]


@pytest.mark.parametrize(("text", "is_one"), TITLES)
def test_ae_titles(text, is_one):
    assert is_ae_title(text) == is_one


CT1 = {"aeTitle": "CT1", "cidrs": ["10.1.0.0/16", "fd00::/8"]}
MR1 = {"aeTitle": "MR1", "certificateSubject": "CN=mr1, O=St. Mary\\, Inc"}
MR1_SHOWS = "CN=mr1,O=St. Mary\\, Inc"
CASES = [
    # allowed, AE title, address, subject, mismatch
    ([], "CT1", "10.1.0.1", None, Mismatch.AE_TITLE),
    (["*"], "CT1", "10.1.0.1", None, None),
    (["CT1"], "CT1", "192.0.2.1", None, None),
    ([CT1], "CT1", "10.1.0.1", None, None),
    ([CT1], "CT1", "fd00::1", None, None),
    ([CT1], "CT1", "10.2.0.1", None, Mismatch.ADDRESS),
    ([CT1], "CT2", "10.1.0.1", None, Mismatch.AE_TITLE),
    ([CT1, {"aeTitle": "*", "cidrs": ["10.2.0.0/16"]}], "CT1", "10.2.0.1", None, None),
    ([MR1], "MR1", "10.1.0.1", MR1_SHOWS, None),
    ([MR1], "MR1", "10.1.0.1", "cn=mr1,o=St. Mary\\2C Inc", None),
    ([MR1], "MR1", "10.1.0.1", "CN=mr1", Mismatch.CERTIFICATE),
    ([MR1], "MR1", "10.1.0.1", "CN=mr1,O=Other", Mismatch.CERTIFICATE),
    ([MR1], "MR1", "10.1.0.1", None, Mismatch.CERTIFICATE),
    ([{**CT1, **MR1, "aeTitle": "*"}], "X", "10.2.0.1", MR1_SHOWS, Mismatch.ADDRESS),
]


@pytest.mark.parametrize(("allowed", "title", "address", "subject", "wrong"), CASES)
def test_who_may_call(allowed, title, address, subject, wrong):
    assert mismatch(peers(*allowed), title, Caller(address, subject)) is wrong


WRONG = [
    ({"aeTitle": "TOO LONG FOR A TITLE"}, "1 to 16 characters"),
    ({"aeTitle": ""}, "1 to 16 characters"),
    ({"aeTitle": "A", "cidrs": ["10.1.2.3/8"]}, "not a valid IPv4 network"),
    ({"aeTitle": "A", "certificateSubject": "mr1"}, "looks like CN=ct1"),
    ({"aeTitle": "A", "certificateSubject": ""}, "looks like CN=ct1"),
    ({"aeTitle": "A", "cidr": "10.0.0.0/8"}, "cidr"),
    ({"cidrs": ["10.0.0.0/8"]}, "aeTitle"),
]


@pytest.mark.parametrize(("entry", "text"), WRONG)
def test_entries_that_can_not_be_meant(entry, text):
    with pytest.raises(ValidationError, match=text):
        peers(entry)


ADDRESSES = [
    ("10.1.2.3", "10.1.2.3"),
    ("::ffff:10.1.2.3", "10.1.2.3"),
    ("fe80::1%eth0", "fe80::1"),
]


@pytest.mark.parametrize(("given", "plain"), ADDRESSES)
def test_addresses(given, plain):
    assert plain_address(given) == plain


def test_subjects_are_written_most_particular_first():
    certificate = {
        "subject": (
            (("countryName", "AT"),),
            (("organizationName", "St. Mary, Inc"), ("organizationalUnitName", "R+D")),
            (("commonName", "#ct "),),
        )
    }
    written = "CN=\\#ct\\ ,O=St. Mary\\, Inc+OU=R\\+D,C=AT"
    assert subject_of(certificate) == written
    allowed = peers({"aeTitle": "*", "certificateSubject": written})
    assert mismatch(allowed, "A", Caller.at("10.0.0.1", certificate)) is None


@pytest.mark.parametrize("nothing", [None, {}, {"subject": ()}])
def test_without_a_certificate_there_is_no_subject(nothing):
    assert subject_of(nothing) is None
