import pytest

from isocenter.storescp.commitment.addresses import ReportAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ct1.example.org:104", ReportAddress("ct1.example.org", 104, False)),
        ("192.0.2.7:2762,tls", ReportAddress("192.0.2.7", 2762, True)),
        ("192.0.2.7:2762, tls", ReportAddress("192.0.2.7", 2762, True)),
        ("[2001:db8::7]:104", ReportAddress("2001:db8::7", 104, False)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":104", "host:0", "host:65536", "h:1,ssl", "a b:x"]
)
def test_what_is_no_address_is_refused_by_its_form(text):
    with pytest.raises(ValueError, match="host:port"):
        parse_address(text)
