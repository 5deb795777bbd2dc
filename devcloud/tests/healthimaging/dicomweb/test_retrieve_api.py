"""WADO-RS over HTTP."""

import gzip
import io
import json

import imagecodecs
import numpy as np
import pydicom
import pytest

CT = "studies/1.2.3.1/series/1.2.3.1.1"
MR = "studies/1.2.3.2/series/1.2.3.2.1/instances/1.2.3.2.1.1"
US = "studies/1.2.3.3/series/1.2.3.3.1/instances/1.2.3.3.1.1"
SR = "studies/1.2.3.1/series/1.2.3.1.2/instances/1.2.3.1.2.1"
ELE = "1.2.840.10008.1.2.1"
HTJ2K = "1.2.840.10008.1.2.4.202"
J2K = "1.2.840.10008.1.2.4.90"
JPEG = "1.2.840.10008.1.2.4.50"


def expected(ds, stored=HTJ2K):
    """The data set as pydicom says it in JSON, and the stored transfer syntax."""
    found = ds.to_json_dict(bulk_data_threshold=1 << 30)
    found.pop("7FE00010", None)
    found["00020010"] = {"vr": "UI", "Value": [stored]}
    return found


def parts(answer):
    """(bodies, Content-Types) of a multipart answer (RFC 2046 5.1)."""
    kind, inner, boundary = answer.headers["Content-Type"].split("; ")
    assert (kind, inner) == ("multipart/related", 'type="application/octet-stream"')
    mark = b"--" + boundary.removeprefix("boundary=").encode()
    assert answer.body.startswith(mark + b"\r\n")
    assert answer.body.endswith(mark + b"--\r\n")
    pieces = (mark, *answer.body.split(b"\r\n" + mark))
    heads, bodies = zip(
        *(piece.removeprefix(mark).split(b"\r\n\r\n", 1) for piece in pieces[1:-1]),
        strict=True,
    )
    types = [head.strip().removeprefix(b"Content-Type: ").decode() for head in heads]
    return list(bodies), types


def frames(web, path, transfer_syntax=None, **more):
    accept = "multipart/related; type=application/octet-stream"
    if transfer_syntax:
        accept += f"; transfer-syntax={transfer_syntax}"
    return web.get(path, accept=accept, **more)


def p10_of(web, path, transfer_syntax=None, **more):
    accept = "application/dicom"
    if transfer_syntax:
        accept += f"; transfer-syntax={transfer_syntax}"
    answer = web.get(path, accept=accept, **more)
    assert answer.status == 200, answer.body
    ds = pydicom.dcmread(io.BytesIO(answer.body))
    sent = f"application/dicom; transfer-syntax={ds.file_meta.TransferSyntaxUID}"
    assert answer.headers["Content-Type"] == sent
    return ds


def test_series_metadata_is_what_was_sent(archive, reread, annex_f):
    answer = archive.get(f"{CT}/metadata")
    assert answer.headers["Content-Type"] == "application/dicom+json"
    assert answer.json() == [expected(reread(ds)) for ds in archive.sent.ct]
    for each in answer.json():
        annex_f(each)


def test_instance_metadata_is_what_was_sent(archive, reread):
    (metadata,) = archive.get(f"{US}/metadata").json()
    assert metadata == expected(reread(archive.sent.us))
    (metadata,) = archive.get(f"{SR}/metadata").json()
    assert metadata == expected(reread(archive.sent.sr), ELE)


def test_a_set_that_is_not_primary_by_its_id(archive, reread):
    primary, other = archive.image_sets("1.2.3.1.1")
    query = [("imageSetId", other)]
    answer = archive.get(f"{CT}/metadata", query=query)
    assert answer.json() == [expected(reread(archive.sent.other))]
    path = f"{CT}/instances/1.2.3.1.1.9"
    assert archive.get(f"{path}/metadata").error == (404, "ResourceNotFoundException")
    assert archive.get(f"{path}/metadata", query=query).status == 200
    assert p10_of(archive, path, query=query).PatientID == "P-9"
    assert frames(archive, f"{path}/frames/1", query=query).status == 200
    query = [("imageSetId", primary)]
    assert archive.get(f"{path}/metadata", query=query).error[0] == 404
    assert archive.get(f"{CT}/metadata", query=query).status == 200


@pytest.mark.parametrize(
    ("path", "query", "error"),
    [
        ("studies/1.2/series/1.2/metadata", [], (404, "ResourceNotFoundException")),
        (f"{CT}/instances/9/metadata", [], (404, "ResourceNotFoundException")),
        ("studies/x/series/1.2/metadata", [], (400, "ValidationException")),
        (f"{CT}/metadata", [("imageSetId", "no")], (400, "ValidationException")),
        (
            f"{CT}/metadata",
            [("imageSetId", "0" * 32)],
            (404, "ResourceNotFoundException"),
        ),
        (
            f"{SR}/bulkdata/{'0' * 32}",
            [],
            (404, "ResourceNotFoundException"),
        ),
    ],
)
def test_what_is_not_there(archive, path, query, error):
    accept = "*/*"
    assert archive.get(path, accept=accept, query=query).error == error


@pytest.mark.parametrize("asked", [None, ELE])
def test_an_instance_comes_uncompressed(archive, asked):
    for path, sent in ((MR, archive.sent.mr), (US, archive.sent.us)):
        ds = p10_of(archive, path, asked)
        assert ds.file_meta.TransferSyntaxUID == ELE
        assert ds.PixelData[: len(sent.PixelData)] == sent.PixelData
        assert np.array_equal(ds.pixel_array, sent.pixel_array)
        del ds.PixelData
        without = sent.to_json_dict()
        del without["7FE00010"]
        assert ds.to_json_dict() == without


@pytest.mark.parametrize(("asked", "comes"), [("*", HTJ2K), (HTJ2K, HTJ2K), (J2K, J2K)])
def test_an_instance_comes_compressed(archive, asked, comes):
    decode = {HTJ2K: imagecodecs.htj2k_decode, J2K: imagecodecs.jpeg2k_decode}[comes]
    ds = p10_of(archive, MR, asked)
    assert ds.file_meta.TransferSyntaxUID == comes
    stored = pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=2)
    decoded = np.stack([decode(each) for each in stored])
    assert np.array_equal(decoded, archive.sent.mr.pixel_array)


def test_an_instance_without_pixels(archive):
    for asked in (None, "*", ELE):
        ds = p10_of(archive, SR, asked)
        assert ds.file_meta.TransferSyntaxUID == ELE
        assert ds.to_json_dict() == archive.sent.sr.to_json_dict()
    answer = archive.get(SR, accept=f"application/dicom; transfer-syntax={J2K}")
    assert answer.error == (406, "NotAcceptableException")
    assert frames(archive, f"{SR}/frames/1").error[0] == 404


def test_frames_come_in_the_order_asked_for(archive):
    sent = archive.sent.mr.pixel_array
    bodies, types = parts(frames(archive, f"{MR}/frames/2,1"))
    assert bodies == [sent[1].tobytes(), sent[0].tobytes()]
    assert types == [f"application/octet-stream; transfer-syntax={ELE}"] * 2
    (stored,), types = parts(frames(archive, f"{MR}/frames/2", "*"))
    assert types == [f"application/octet-stream; transfer-syntax={HTJ2K}"]
    assert np.array_equal(imagecodecs.htj2k_decode(stored), sent[1])
    (stored,), _ = parts(archive.get(f"{MR}/frames/1", accept=None))
    assert stored == sent[0].tobytes()


def test_frames_stored_are_those_of_get_image_frame(archive):
    client, image_set = archive.hi.client, archive.image_sets("1.2.3.2.1")[0]
    blob = client.get_image_set_metadata(
        datastoreId=archive.datastore_id, imageSetId=image_set
    )["imageSetMetadataBlob"]
    metadata = json.loads(gzip.decompress(blob.read()))
    (instance,) = metadata["Study"]["Series"]["1.2.3.2.1"]["Instances"].values()
    bodies, _ = parts(frames(archive, f"{MR}/frames/1,2", HTJ2K))
    for body, entry in zip(bodies, instance["ImageFrames"], strict=True):
        frame = client.get_image_frame(
            datastoreId=archive.datastore_id,
            imageSetId=image_set,
            imageFrameInformation={"imageFrameId": entry["ID"]},
        )
        assert frame["imageFrameBlob"].read() == body


@pytest.mark.parametrize(
    ("numbers", "asked", "error"),
    [
        ("3", None, (404, "ResourceNotFoundException")),
        ("0", None, (400, "ValidationException")),
        ("1,1", None, (400, "ValidationException")),
        ("1,", None, (400, "ValidationException")),
        ("one", None, (400, "ValidationException")),
        ("1", JPEG, (406, "NotAcceptableException")),
    ],
)
def test_frames_that_cannot_be_had(archive, numbers, asked, error):
    assert frames(archive, f"{MR}/frames/{numbers}", asked).error == error


def test_only_documented_forms(archive):
    for path in (MR, f"{MR}/frames/1", f"{MR}/metadata"):
        answer = archive.get(path, accept="image/png")
        assert answer.error == (406, "NotAcceptableException")


@pytest.fixture(scope="session")
def odd(web_of, dataset, p10, noise):
    """Instances that are not transcoded: lossy, malformed, a blob, bulk data."""
    web = web_of("dicomweb-odd")
    lossy = imagecodecs.jpeg_encode(noise((8, 16), "uint8"), level=80)
    made = {"1": dataset(noise((8, 16), "uint8"), transfer_syntax_uid=JPEG)}
    made["1"].PixelData = pydicom.encaps.encapsulate([lossy])
    made["1"]["PixelData"].is_undefined_length = True
    made["2"] = dataset(noise((2, 8, 8), "uint16"), NumberOfFrames=3)
    made["3"] = dataset(noise((8, 8), "uint16"), Rows=4, BitsAllocated=32)
    made["4"] = dataset()
    made["4"].add_new(0x00451026, "UN", b"\1" * ((1 << 20) + 2))
    made["4"].add_new(0x00450010, "LO", "SOMEBODY")
    web.sent = made
    for number, ds in made.items():
        ds.SeriesInstanceUID = f"1.2.9.{number}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = (
            f"1.2.9.{number}.1"
        )
    web.files = {number: p10(ds) for number, ds in made.items()}
    web.lossy = lossy
    web.import_all("dicomweb-odd", web.files)
    return web


def instance_path(number):
    return f"studies/1.2.3.100/series/1.2.9.{number}/instances/1.2.9.{number}.1"


def test_lossy_frames_stay_as_they_are(odd):
    path = instance_path(1)
    for asked in (None, "*", JPEG):
        (body,), (kind,) = parts(frames(odd, f"{path}/frames/1", asked))
        assert kind == f"application/octet-stream; transfer-syntax={JPEG}"
        assert body.rstrip(b"\0") == odd.lossy  # an item has an even length
        ds = p10_of(odd, path, asked)
        assert ds.file_meta.TransferSyntaxUID == JPEG
        (stored,) = pydicom.encaps.generate_frames(ds.PixelData, number_of_frames=1)
        assert stored == body
    for asked in (ELE, HTJ2K, J2K):
        assert frames(odd, f"{path}/frames/1", asked).error[0] == 406
    (metadata,) = odd.get(f"{path}/metadata").json()
    assert metadata["00020010"]["Value"] == [JPEG]


@pytest.mark.parametrize("number", [2, 3])
def test_pixels_with_a_warning_come_with_the_whole_file(odd, number):
    answer = odd.get(instance_path(number), accept="application/dicom")
    assert answer.body == odd.files[str(number)]
    asked = f"application/dicom; transfer-syntax={J2K}"
    assert odd.get(instance_path(number), accept=asked).error[0] == 406


def test_warnings_can_be_searched(odd):
    path = "studies/1.2.3.100/series/1.2.9.{}/instances"
    assert len(odd.rows(path.format(2), ("WarningReason", "45329"))) == 1
    assert len(odd.rows(path.format(3), ("00081196", "453*"))) == 1
    assert odd.rows(path.format(1), ("WarningReason", "*")) == []


def test_malformed_frames_and_blobs(odd):
    assert frames(odd, f"{instance_path(2)}/frames/1", "*").error == (
        406,
        "NotAcceptableException",
    )
    (blob,), _ = parts(frames(odd, f"{instance_path(3)}/frames/1", "*"))
    assert blob == odd.sent["3"].PixelData
    assert frames(odd, f"{instance_path(3)}/frames/1", ELE).status == 200  # as stored
    assert frames(odd, f"{instance_path(3)}/frames/1", J2K).error[0] == 406


def test_large_binary_values_have_a_url_of_their_own(odd, annex_f):
    path = instance_path(4)
    (metadata,) = odd.get(f"{path}/metadata").json()
    annex_f(metadata)
    url = metadata["00451026"]["BulkDataURI"]
    assert metadata["00451026"] == {"vr": "UN", "BulkDataURI": url}
    assert url.startswith(f"{odd.url}/{path}/bulkdata/")
    answer = odd.get(url.removeprefix(f"{odd.url}/"), accept="application/octet-stream")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.body == odd.sent["4"][0x00451026].value
    # In a search it needs its creator (developer guide, "Private tags").
    search = "studies/1.2.3.100/series/1.2.9.4/instances"
    asked = ("includefield", "00451026")
    (row,) = odd.rows(search, asked, ("00450010", "SOMEBODY"))
    assert row["00451026"]["BulkDataURI"] == url
    (row,) = odd.rows(search, asked, ("00450010", "ANYBODY"))
    assert not {"00451026", "00450010"} & row.keys()
    (row,) = odd.rows(search, asked)
    assert "00451026" not in row
    (row,) = odd.rows(search, ("00450010", "SOMEBODY"))
    assert row["00450010"]["Value"] == ["SOMEBODY"]
