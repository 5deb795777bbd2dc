import pytest

from isocenter.devcloud.healthimaging.dicomweb.accept import (
    DICOM,
    FRAMES,
    accepted_json,
    accepted_transfer_syntax,
)
from isocenter.devcloud.healthimaging.dicomweb.pixels import resolve
from isocenter.devcloud.healthimaging.errors import NotAcceptableError

ELE, HTJ2K, J2K = (f"1.2.840.10008.1.2.{end}" for end in ("1", "4.202", "4.90"))
JPEG, HTJ2K_LOSSY = (f"1.2.840.10008.1.2.4.{end}" for end in ("50", "203"))


@pytest.mark.parametrize(
    ("header", "form", "asked"),
    [
        (None, DICOM, None),
        ("", FRAMES, None),
        ("*/*", FRAMES, None),
        ("application/dicom; transfer-syntax=*", DICOM, "*"),
        (f"application/dicom;transfer-syntax={HTJ2K}", DICOM, HTJ2K),
        (f"image/png, application/dicom; Transfer-Syntax={J2K}", DICOM, J2K),
        ("multipart/related; type=application/octet-stream", FRAMES, None),
        (
            'multipart/related; type="application/octet-stream"; transfer-syntax="*"',
            FRAMES,
            "*",
        ),
        (f"application/octet-stream; transfer-syntax={ELE}", FRAMES, ELE),
    ],
)
def test_transfer_syntaxes(header, form, asked):
    assert accepted_transfer_syntax(header, form) == asked


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("image/jpeg", FRAMES),
        ("multipart/related; type=image/jpeg", FRAMES),
        ("multipart/related; type=application/dicom", DICOM),
        ("application/json", DICOM),
    ],
)
def test_other_forms(header, form):
    with pytest.raises(NotAcceptableError):
        accepted_transfer_syntax(header, form)


def test_json():
    assert accepted_json("text/html, application/dicom+json") == (
        "application/dicom+json"
    )
    assert accepted_json("application/json") == "application/json"
    with pytest.raises(NotAcceptableError):
        accepted_json("text/html")


@pytest.mark.parametrize(
    ("asked", "stored", "sent"),
    [
        (None, HTJ2K, ELE),
        (ELE, HTJ2K, ELE),
        ("*", HTJ2K, HTJ2K),
        (HTJ2K, HTJ2K, HTJ2K),
        (J2K, HTJ2K, J2K),
        (None, J2K, ELE),
        (HTJ2K, J2K, None),
        (None, JPEG, JPEG),
        ("*", JPEG, JPEG),
        (JPEG, JPEG, JPEG),
        (ELE, JPEG, None),
        (J2K, JPEG, None),
        (JPEG, HTJ2K, None),
        (ELE, HTJ2K_LOSSY, None),
    ],
)
def test_what_is_sent(asked, stored, sent):
    if sent is None:
        with pytest.raises(NotAcceptableError, match=r"transfer-syntax=\*"):
            resolve(asked, stored)
    else:
        assert resolve(asked, stored) == sent


def test_pixels_with_a_warning_are_sent_as_they_came():
    assert resolve(None, HTJ2K, whole=True) == HTJ2K
    with pytest.raises(NotAcceptableError):
        resolve(ELE, HTJ2K, whole=True)
