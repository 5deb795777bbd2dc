"""Batch manifest, run request, import output and image set metadata."""

import gzip
import io
import json
from types import SimpleNamespace

import pytest

from isocenter.core.batch import BatchManifest, client_token, parse_manifest
from isocenter.core.errors import MalformedError
from isocenter.core.healthimaging.client import HealthImaging
from isocenter.core.healthimaging.image_set import (
    number,
    numbers,
    parse_metadata,
    text,
)
from isocenter.core.healthimaging.import_output import (
    manifest_uri,
    parse_import_output,
)
from isocenter.core.run_request import ImageSetRef, RunRequest, parse_request

MANIFEST = {
    "schema": 1,
    "batch": "b20261123t031500-ab12",
    "datastore": "d" * 32,
    "sealedAt": "2026-11-23T03:15:00Z",
    "instances": [
        {
            "key": "DICOM/b20261123t031500-ab12/1.2.3.dcm",
            "sopInstanceUid": "1.2.3",
            "sopClassUid": "1.2.840.10008.5.1.4.1.1.2",
            "studyInstanceUid": "1.2",
            "seriesInstanceUid": "1.2.1",
            "transferSyntaxUid": "1.2.840.10008.1.2.1",
            "bytes": 526000,
            "sha256": "0" * 64,
            "callingAE": "CT1",
            "receivedAt": "2026-11-23T03:14:50Z",
        }
    ],
}


def test_batch_manifest_round_trip_keeps_the_documented_names():
    parsed = parse_manifest(json.dumps(MANIFEST).encode(), source="s3://b/k")
    written = json.loads(parsed.to_json())
    assert written == MANIFEST
    assert parsed.to_json() == BatchManifest.model_validate(written).to_json()
    assert len(client_token(parsed.to_json())) == 64


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema": 2}, "schema"),
        ({"instances": []}, "instances"),
        ({"batch": "../up"}, "batch"),
        ({"batch": "Upper"}, "batch"),
    ],
)
def test_batch_manifest_refuses(change, named):
    with pytest.raises(MalformedError, match=f"s3://b/k .*{named}"):
        parse_manifest(json.dumps({**MANIFEST, **change}).encode(), source="s3://b/k")


def test_manifest_that_is_not_json():
    with pytest.raises(MalformedError, match="s3://b/k"):
        parse_manifest(b"not json", source="s3://b/k")


def test_run_request_round_trip():
    request = RunRequest(
        datastore_id="a" * 32, image_sets=(ImageSetRef(id="b" * 32, version_id="2"),)
    )
    assert parse_request(request.to_json(), source="x") == request
    assert json.loads(request.to_json())["imageSets"] == [
        {"id": "b" * 32, "versionId": "2"}
    ]


def test_run_request_names_what_is_wrong():
    with pytest.raises(MalformedError, match=r"imageSets\.0\.id"):
        parse_request(
            json.dumps(
                {"schema": 1, "datastoreId": "a" * 32, "imageSets": [{"id": "no"}]}
            ).encode(),
            source="x",
        )


@pytest.mark.parametrize("slash", ["", "/"])
def test_manifest_uri_with_and_without_a_last_slash(slash):
    assert (
        manifest_uri(f"s3://b/out/ds-DicomImport-j{slash}")
        == "s3://b/out/ds-DicomImport-j/job-output-manifest.json"
    )


def test_import_output_of_the_old_documents():
    summary = parse_import_output(
        {
            "jobSummary": {
                "jobId": "j",
                "datastoreId": "d",
                "outputS3Uri": "s3://b/o/",
                "numberOfScannedFiles": 5,
                "numberOfImportedFiles": 3,
                "numberOfFilesWithCustomerError": 2,
                "imageSetsSummary": [
                    {"imageSetId": "i", "numberOfMatchedSOPInstances": 3}
                ],
            }
        },
        source="x",
    )
    assert summary.image_sets_summary[0].number_of_matched_sop_instances == 3
    assert summary.image_sets_summary[0].is_primary is None


def test_import_output_malformed():
    with pytest.raises(MalformedError, match="x is not"):
        parse_import_output({"jobSummary": {}}, source="x")


METADATA = {
    "SchemaVersion": "1.1",
    "DatastoreID": "d",
    "ImageSetID": "i",
    "Patient": {"DICOM": {"PatientID": "P"}},
    "Study": {
        "DICOM": {"StudyInstanceUID": "1.2"},
        "Series": {
            "1.2.1": {
                "DICOM": {"Modality": "CT"},
                "Instances": {
                    "1.2.3": {
                        "DICOM": {"RescaleSlope": "1 "},
                        "ImageFrames": [
                            {
                                "ID": "f",
                                "PixelDataChecksumFromBaseToFullResolution": [
                                    {"Width": 256, "Height": 188, "Checksum": 1},
                                    {"Width": 512, "Height": 375, "Checksum": 2},
                                ],
                            }
                        ],
                    },
                    "1.2.4": {"DICOM": {}, "StoredTransferSyntaxUID": None},
                },
            }
        },
    },
}


def test_metadata():
    parsed = parse_metadata(METADATA)
    first, second = parsed.instances
    # The last checksum is full resolution; absent syntax is HTJ2K RPCL.
    assert first.frames[0].crc32 == 2
    assert first.stored_transfer_syntax == "1.2.840.10008.1.2.4.202"
    assert second.frames == ()
    assert parsed.series["1.2.1"]["Modality"] == "CT"


@pytest.mark.parametrize("missing", ["Study", "Patient", "DatastoreID"])
def test_metadata_without_a_member(missing):
    document = {key: value for key, value in METADATA.items() if key != missing}
    with pytest.raises(MalformedError, match=missing):
        parse_metadata(document)


@pytest.mark.parametrize(
    ("value", "as_text", "as_number", "as_numbers"),
    [
        ("1 ", "1", 1.0, (1.0,)),
        (None, None, None, None),
        ("", None, None, None),
        (512, "512", 512.0, (512.0,)),
        (["-1.5", "2 "], "-1.5", -1.5, (-1.5, 2.0)),
        ("0.5\\0.5", "0.5\\0.5", None, (0.5, 0.5)),
        ("none", "none", None, None),
        ("nan", "nan", None, None),
        (["1", "1e999"], "1", 1.0, None),
    ],
)
def test_values(value, as_text, as_number, as_numbers):
    dicom = {"K": value}
    assert text(dicom, "K") == as_text
    assert number(dicom, "K") == as_number
    assert numbers(dicom, "K") == as_numbers


def metadata_answer(body):
    client = SimpleNamespace(
        get_image_set_metadata=lambda **_: {"imageSetMetadataBlob": io.BytesIO(body)}
    )
    return HealthImaging(client).metadata("d" * 32, "i" * 32, "1")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "not gzipped JSON"),
        (gzip.compress(b"{"), "not gzipped JSON"),
        (gzip.compress(b"{}")[:-9], "not gzipped JSON"),
        (gzip.compress(b"[" * 100_000), "not gzipped JSON"),
        (gzip.compress(b"[]"), "not a JSON object"),
        (gzip.compress(b" " * 300_000), "over 200000 bytes"),
    ],
    ids=["plain", "half a document", "half a blob", "deep", "a list", "a bomb"],
)
def test_a_metadata_blob_that_can_not_be_read(monkeypatch, body, words):
    monkeypatch.setattr("isocenter.core.healthimaging.client.MAX_METADATA", 200_000)
    with pytest.raises(MalformedError, match=words):
        metadata_answer(body)


def test_a_metadata_blob_is_inflated():
    assert metadata_answer(gzip.compress(b'{"Study": 1}')) == {"Study": 1}


@pytest.mark.parametrize("level", ["Patient", "Study", "Series", "Instance"])
def test_attributes_that_are_no_object(level):
    document = json.loads(json.dumps(METADATA))
    series = next(iter(document["Study"]["Series"].values()))
    instance = next(iter(series["Instances"].values()))
    held = {"Patient": document["Patient"], "Study": document["Study"]}
    {**held, "Series": series, "Instance": instance}[level]["DICOM"] = ["x"]
    with pytest.raises(MalformedError, match="DICOM, which is no object"):
        parse_metadata(document)


def test_import_output_quotes_no_value():
    with pytest.raises(MalformedError, match="numberOfScannedFiles: ") as caught:
        parse_import_output({"jobSummary": {"jobId": "Doe^Jane"}}, source="s3://b/k")
    assert "Doe" not in str(caught.value)
    assert caught.value.__cause__ is None
