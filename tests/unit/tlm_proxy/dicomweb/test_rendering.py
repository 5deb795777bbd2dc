import io

import numpy as np
import pytest
from PIL import Image

from isocenter.core.codestream import scan_levels
from isocenter.core.errors import MalformedError
from isocenter.core.testing.image_sets import encode
from isocenter.tlm_proxy.dicomweb.drawable import is_drawable, reduction
from isocenter.tlm_proxy.dicomweb.presentation import presentation_of
from isocenter.tlm_proxy.dicomweb.rendering import draw
from isocenter.tlm_proxy.errors import NoThumbnailError

HTJ2K = "1.2.840.10008.1.2.4.202"
J2K = "1.2.840.10008.1.2.4.90"
JPEG = "1.2.840.10008.1.2.4.50"
RAW = "1.2.840.10008.1.2.1"
ROWS, COLUMNS = 192, 320


def shown(array, **more):
    colour = array.ndim == 3
    return presentation_of(
        {
            "Rows": array.shape[0],
            "Columns": array.shape[1],
            "SamplesPerPixel": 3 if colour else 1,
            "BitsAllocated": array.dtype.itemsize * 8,
            "PixelRepresentation": int(array.dtype.kind == "i"),
            "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
            **more,
        }
    )


def picture(stored, syntax, presentation, box=(160, 96), n=None):
    if n is None:
        n = reduction(presentation, box)
    jpeg = draw(stored, syntax, presentation, n, box)
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.format == "JPEG"
        return np.asarray(image).astype(int)


@pytest.fixture(scope="session")
def pixels():
    """Grows from 0 at the left to 2552 at the right."""
    return np.tile((np.arange(COLUMNS) * 8).astype(np.int16), (ROWS, 1))


WINDOW = {"WindowCenter": "1276 ", "WindowWidth": ["2552 ", "100"]}
IDEAL = np.arange(160) * 255 / 159


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize("syntax", [HTJ2K, J2K, RAW])
def test_a_window_maps_values_to_grey(pixels, dtype, syntax):
    array = pixels.astype(dtype)
    stored = array.tobytes() if syntax == RAW else encode(array, syntax)
    found = picture(stored, syntax, shown(array, **WINDOW))
    assert found.shape == (96, 160)
    assert np.abs(found.mean(axis=0) - IDEAL).max() < 4


def test_monochrome1_is_inverted(pixels):
    stored = encode(pixels, HTJ2K)
    how = shown(pixels, **WINDOW, PhotometricInterpretation="MONOCHROME1")
    assert np.abs(picture(stored, HTJ2K, how).mean(axis=0) - IDEAL[::-1]).max() < 4


def test_the_window_is_over_rescaled_values(pixels):
    stored = encode(pixels, HTJ2K)
    how = shown(
        pixels,
        RescaleSlope="2 ",
        RescaleIntercept="-1024",
        WindowCenter="1528",
        WindowWidth="5104",
    )
    assert np.abs(picture(stored, HTJ2K, how).mean(axis=0) - IDEAL).max() < 4


def test_without_a_window_percentiles_are_taken_but_not_of_the_padding(pixels):
    array = pixels.copy()
    array[:10] = -2000
    how = shown(array, PixelPaddingValue=-2000)
    found = picture(array.tobytes(), RAW, how)
    assert np.abs(found[30:].mean(axis=0) - IDEAL).max() < 8
    assert found[:4].max() < 5


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_other_window_functions(pixels, function):
    how = shown(pixels, **WINDOW, VOILUTFunction=function)
    means = picture(pixels.tobytes(), RAW, how).mean(axis=0)
    assert means[80] == pytest.approx(128, abs=4)
    assert (np.diff(means) > -1.5).all()


def test_a_window_of_one_is_black_and_white(pixels):
    how = shown(pixels, WindowCenter="1276", WindowWidth="1")
    means = picture(pixels.tobytes(), RAW, how).mean(axis=0)
    assert means[:70].max() < 10
    assert means[90:].min() > 245


def test_the_prefix_of_a_level_draws_as_the_whole(pixels):
    stored = encode(pixels, HTJ2K)
    ends = scan_levels(stored).ends
    how = shown(pixels, **WINDOW)
    assert reduction(how, (160, 96)) == 1
    prefix = picture(stored[: ends[-2]], HTJ2K, how)
    assert np.array_equal(prefix, picture(stored, HTJ2K, how))


def test_undershoot_at_reduced_size_does_not_wrap():
    """imagecodecs answers 65535 where the wavelet goes below 0."""
    array = np.zeros((ROWS, COLUMNS), np.uint16)
    array[64:128, 96:224] = 1954
    how = shown(array, WindowCenter="32768", WindowWidth="65536")
    found = picture(encode(array, HTJ2K), HTJ2K, how, box=(80, 48), n=2)
    assert found.max() < 20


def test_colours_stay(pixels):
    array = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    array[:, :160] = (200, 30, 40)
    array[:, 160:] = (20, 60, 220)
    for stored, syntax in (
        (encode(array, HTJ2K), HTJ2K),
        (encode(array, J2K), J2K),
        (encode(array, JPEG), JPEG),
        (array.tobytes(), RAW),
    ):
        found = picture(stored, syntax, shown(array))
        assert np.abs(found[40, 40] - (200, 30, 40)).max() < 12, syntax
        assert np.abs(found[40, 120] - (20, 60, 220)).max() < 12, syntax
    planar = np.moveaxis(array, -1, 0).tobytes()
    found = picture(planar, RAW, shown(array, PlanarConfiguration=1))
    assert np.abs(found[40, 120] - (20, 60, 220)).max() < 12


def test_full_ybr_without_a_transform_is_converted():
    rgb = np.full((ROWS, COLUMNS, 3), (200, 30, 40), np.uint8)
    ybr = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
    how = shown(ybr, PhotometricInterpretation="YBR_FULL")
    assert np.abs(picture(ybr.tobytes(), RAW, how)[5, 5] - (200, 30, 40)).max() < 12


def test_one_bit_segmentations():
    array = np.zeros((ROWS, COLUMNS), np.uint8)
    array[:, :160] = 1
    stored = np.packbits(array.ravel(), bitorder="little").tobytes()
    how = shown(array, BitsAllocated=1, WindowCenter="0.5", WindowWidth="1")
    found = picture(stored, RAW, how)
    assert (found[:, 10].mean(), found[:, 150].mean()) == (255, 0)


def test_signs_that_disagree_are_read_as_the_data_set_says(pixels):
    array = pixels - 1000
    stored = encode(array.view(np.uint16), J2K)
    how = shown(array, WindowCenter="276", WindowWidth="2552")
    means = picture(stored, J2K, how, box=(COLUMNS, ROWS)).mean(axis=0)
    assert means[0] < 5
    assert means[-1] > 250


def test_never_larger_than_the_frame_nor_than_the_box(pixels):
    how = shown(pixels)
    assert picture(pixels.tobytes(), RAW, how, box=(1024, 1024)).shape == (192, 320)
    assert picture(pixels.tobytes(), RAW, how, box=(64, 64)).shape == (38, 64)


@pytest.mark.parametrize(
    ("box", "n"),
    [((320, 192), 0), ((161, 97), 0), ((160, 96), 1), ((40, 1000), 3), ((1, 1), 8)],
)
def test_reduction_keeps_enough(pixels, box, n):
    assert reduction(shown(pixels), box) == n


@pytest.mark.parametrize(
    ("syntax", "change", "expected"),
    [
        (HTJ2K, {}, True),
        ("1.2.840.10008.1.2.4.102", {}, False),
        ("1.2.840.10008.1.2.4.112", {}, False),
        (HTJ2K, {"PhotometricInterpretation": "PALETTE COLOR"}, False),
        (HTJ2K, {"PhotometricInterpretation": "RGB"}, False),
        (HTJ2K, {"Rows": 0}, False),
        (HTJ2K, {"Rows": "99999999"}, False),
        (HTJ2K, {"PhotometricInterpretation": None}, False),
    ],
)
def test_what_is_drawn(pixels, syntax, change, expected):
    assert is_drawable(syntax, shown(pixels, **change)) is expected


@pytest.mark.parametrize("syntax", [HTJ2K, J2K, JPEG, RAW])
def test_broken_frames_raise(pixels, syntax):
    how = shown(pixels.astype(np.uint8) if syntax == JPEG else pixels)
    for stored in (b"", b"\xff\x4f\xff", b"x" * 1000):
        with pytest.raises(MalformedError):
            draw(stored, syntax, how, 0, (64, 64))


@pytest.mark.parametrize("syntax", [HTJ2K, J2K, JPEG])
def test_a_frame_of_another_size_raises(pixels, syntax):
    array = pixels.astype(np.uint8) if syntax == JPEG else pixels
    with pytest.raises(MalformedError, match="size"):
        draw(encode(array, syntax), syntax, shown(array, Rows=7), 0, (64, 64))


def test_floats_are_not_drawn(pixels):
    with pytest.raises(NoThumbnailError, match="32"):
        draw(b"x" * 999_999, RAW, shown(pixels, BitsAllocated=32), 0, (64, 64))


def test_functional_groups_of_enhanced_images():
    found = presentation_of(
        {
            "Rows": 1,
            "SharedFunctionalGroupsSequence": [
                {
                    "PixelValueTransformationSequence": [
                        {"RescaleSlope": "2", "RescaleIntercept": "-5 "}
                    ]
                }
            ],
            "PerFrameFunctionalGroupsSequence": [
                {
                    "FrameVOILUTSequence": [
                        {"WindowCenter": ["40"], "WindowWidth": ["400"]}
                    ]
                }
            ],
        }
    )
    assert (found.slope, found.intercept) == (2, -5)
    assert (found.center, found.width) == (40, 400)
    assert presentation_of({"ModalityLUTSequence": [{}], **WINDOW}).center is None
    assert presentation_of({"RescaleSlope": "0"}).slope == 1


def test_a_huge_frame_without_levels_is_not_decoded(monkeypatch, pixels):
    monkeypatch.setattr(
        "isocenter.tlm_proxy.dicomweb.rendering.MAX_DECODED_J2K", ROWS * COLUMNS // 2
    )
    how, stored = shown(pixels, **WINDOW), encode(pixels, HTJ2K)
    assert picture(stored, HTJ2K, how).shape == (96, 160)
    with pytest.raises(NoThumbnailError, match="levels"):
        draw(stored, HTJ2K, how, 0, (160, 96))


def test_a_sign_that_ends_at_bits_stored(pixels):
    array = pixels - 1000
    how = shown(array, BitsStored=12, WindowCenter="276", WindowWidth="2552")
    stored = (array & 0x0FFF).tobytes()
    extended = picture(array.tobytes(), RAW, how)
    assert (picture(stored, RAW, how) == extended).all()
    assert extended[:, 0].mean() < 5


def test_a_jpeg_that_cannot_be_reduced_enough_is_not_decoded(monkeypatch):
    # libjpeg reduces by what the shorter side allows: here not at all.
    array = np.zeros((100, 4000), np.uint8)
    out = io.BytesIO()
    Image.fromarray(array).save(out, "JPEG")
    how = shown(array)
    assert picture(out.getvalue(), JPEG, how).shape == (4, 160)
    monkeypatch.setattr(
        "isocenter.tlm_proxy.dicomweb.rendering.MAX_DECODED", array.size - 1
    )
    with pytest.raises(NoThumbnailError, match="too large"):
        draw(out.getvalue(), JPEG, how, 0, (160, 160))
