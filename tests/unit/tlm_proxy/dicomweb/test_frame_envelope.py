import pytest

from isocenter.tlm_proxy.dicomweb.frame_envelope import BOUNDARY, frame_envelope


def test_the_form_that_cornerstone_reads():
    found = frame_envelope("1.2.840.10008.1.2.4.202")
    assert found.media_type == (
        'multipart/related; type="image/jphc"; '
        f"transfer-syntax=1.2.840.10008.1.2.4.202; boundary={BOUNDARY}"
    )
    assert found.head == (
        b"--%b\r\nContent-Type: image/jphc;transfer-syntax=1.2.840.10008.1.2.4.202"
        b"\r\n\r\n" % BOUNDARY.encode()
    )
    assert found.tail == b"\r\n--%b--\r\n" % BOUNDARY.encode()


@pytest.mark.parametrize(
    ("syntax", "media_type"),
    [
        ("1.2.840.10008.1.2.4.201", "image/jphc"),
        ("1.2.840.10008.1.2.4.203", "image/jphc"),
        ("1.2.840.10008.1.2.4.90", "image/jp2"),
        ("1.2.840.10008.1.2.4.91", "image/jp2"),
        ("1.2.840.10008.1.2.4.50", "image/jpeg"),
        ("1.2.840.10008.1.2.4.112", "image/jxl"),
        ("1.2.840.10008.1.2.4.102", "video/mp4"),
        ("1.2.840.10008.1.2.4.100", "video/mpeg"),
        ("1.2.840.10008.1.2.1", "application/octet-stream"),
        ("1.2.3", "application/octet-stream"),
    ],
)
def test_every_stored_syntax_has_its_media_type(syntax, media_type):
    found = frame_envelope(syntax)
    assert f'type="{media_type}"; transfer-syntax={syntax};' in found.media_type
    assert f"Content-Type: {media_type};transfer-syntax={syntax}".encode() in found.head
