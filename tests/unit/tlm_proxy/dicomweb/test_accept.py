import pytest

from isocenter.tlm_proxy.dicomweb.accept import require, require_frame
from isocenter.tlm_proxy.errors import NotAcceptableError

HTJ2K = "1.2.840.10008.1.2.4.202"
JPEG = "1.2.840.10008.1.2.4.50"


@pytest.mark.parametrize(
    ("accept", "syntax", "taken"),
    [
        (None, HTJ2K, True),
        ("*/*", HTJ2K, True),
        ("multipart/related", HTJ2K, True),
        # OHIF with and without quotation marks
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            JPEG,
            True,
        ),
        (
            'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
            HTJ2K,
            True,
        ),
        ('multipart/related; type="application/octet-stream"', HTJ2K, True),
        (
            f'multipart/related; type="image/jphc"; transfer-syntax={HTJ2K}',
            HTJ2K,
            True,
        ),
        (f'multipart/related; type="image/jphc"; transfer-syntax={HTJ2K}', JPEG, False),
        ('multipart/related; type="image/jphc"', HTJ2K, True),
        ('multipart/related; type="image/*"', HTJ2K, True),
        ('multipart/related; type="image/jpeg"', HTJ2K, False),
        ('multipart/related; type="image/jpeg"', JPEG, True),
        (
            'multipart/related; type="application/octet-stream; transfer-syntax=1.2"',
            HTJ2K,
            False,
        ),
        ("application/dicom", HTJ2K, False),
        ("image/jphc", HTJ2K, False),
        ("*/*;q=0", HTJ2K, False),
        ("image/png, multipart/related;q=0.5", HTJ2K, True),
        (";;;, ,", HTJ2K, False),
    ],
)
def test_frames(accept, syntax, taken):
    if taken:
        require_frame(accept, syntax)
    else:
        with pytest.raises(NotAcceptableError, match=syntax):
            require_frame(accept, syntax)


@pytest.mark.parametrize(
    ("accept", "media_type", "taken"),
    [
        ("application/dicom+json", "application/dicom+json", True),
        ("application/json", "application/dicom+json", True),
        ("application/dicom+xml", "application/dicom+json", False),
        ("image/avif,image/webp,image/*,*/*;q=0.8", "image/jpeg", True),
        ("image/png", "image/jpeg", False),
        (None, "image/jpeg", True),
    ],
)
def test_other_answers(accept, media_type, taken):
    if taken:
        require(accept, media_type)
    else:
        with pytest.raises(NotAcceptableError):
            require(accept, media_type)
