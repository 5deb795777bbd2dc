import zlib

import pytest

from isocenter.fetcher.verify import checksum, is_intact

STORED, DECODED = b"stored", b"decoded"
OF_STORED, OF_DECODED = zlib.crc32(STORED), zlib.crc32(DECODED)


@pytest.mark.parametrize(
    ("syntax", "expected", "intact"),
    [
        ("1.2.840.10008.1.2.4.202", OF_DECODED, True),
        ("1.2.840.10008.1.2.4.202", OF_STORED, False),
        ("1.2.840.10008.1.2.4.90", OF_DECODED, True),
        ("1.2.840.10008.1.2.4.90", OF_STORED, False),
        ("1.2.840.10008.1.2.4.203", OF_STORED, True),
        ("1.2.840.10008.1.2.4.91", OF_STORED, True),
        ("1.2.840.10008.1.2.4.50", OF_STORED, True),
        ("1.2.840.10008.1.2.1", OF_STORED, True),
        ("1.2.840.10008.1.2.4.91", OF_DECODED, True),
        ("1.2.840.10008.1.2.4.91", 1, False),
        ("1.2.840.10008.1.2.4.202", 1, False),
    ],
)
def test_which_bytes_are_summed(syntax, expected, intact):
    assert is_intact(syntax, expected, STORED, memoryview(DECODED)) is intact


def test_the_checksum_is_unsigned():
    assert checksum(b"1234") == 0x9BE3E0A3
