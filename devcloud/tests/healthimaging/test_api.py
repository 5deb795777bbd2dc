"""The API through boto3 over HTTP: requests and answers by the real SDK."""

import gzip
import hashlib
import json
import urllib.error
import urllib.request
import zlib

import imagecodecs
import numpy as np
import pytest
from botocore.exceptions import ClientError

from isocenter.devcloud.healthimaging.importing import JobLimits
from isocenter.devcloud.shapes import service_model

BUILT = {
    "CreateDatastore",
    "GetDatastore",
    "ListDatastores",
    "StartDICOMImportJob",
    "GetDICOMImportJob",
    "ListDICOMImportJobs",
    "SearchImageSets",
    "GetImageSet",
    "GetImageSetMetadata",
    "GetImageFrame",
    "ListImageSetVersions",
}
ID = "0" * 32
IAM = "arn:aws:iam::"


def metadata(hi, datastore_id, image_set_id, **more):
    answer = hi.client.get_image_set_metadata(
        datastoreId=datastore_id, imageSetId=image_set_id, **more
    )
    assert answer["contentEncoding"] == "gzip"
    return json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))


def instances(document):
    (series,) = document["Study"]["Series"].values()
    return series["Instances"]


def frame(hi, datastore_id, image_set_id, frame_id):
    return hi.client.get_image_frame(
        datastoreId=datastore_id,
        imageSetId=image_set_id,
        imageFrameInformation={"imageFrameId": frame_id},
    )


def manifest(hi, job):
    text = hi.get(job["outputS3Uri"] + "job-output-manifest.json")
    return json.loads(text)["jobSummary"]


def import_all(hi, datastore_id, prefix, files, **more):
    for name, content in files.items():
        hi.put(prefix + name, content)
    return hi.finish(datastore_id, hi.start(datastore_id, prefix, **more))


def code(caught):
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
    )


def post(url, body):
    request = urllib.request.Request(
        url,
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request) as answer:
        return answer.status


def test_a_datastore_is_made_once_and_becomes_active(hi):
    made = hi.client.create_datastore(datastoreName="one", clientToken="known")
    again = hi.client.create_datastore(datastoreName="one", clientToken="known")
    assert made["datastoreStatus"] == "CREATING"
    assert made["datastoreId"] == again["datastoreId"]
    # Known before the data store is made: md5 of account and token.
    expected = hashlib.md5(b"123456789012known", usedforsecurity=False).hexdigest()
    assert made["datastoreId"] == expected
    with pytest.raises(hi.client.exceptions.ConflictException):
        hi.client.create_datastore(datastoreName="two", clientToken="known")
    with pytest.raises(hi.client.exceptions.ConflictException):
        hi.start(made["datastoreId"], "early/")
    assert hi.datastore("other", losslessStorageFormat="JPEG_2000_LOSSLESS")
    pages = hi.client.get_paginator("list_datastores").paginate(
        datastoreStatus="ACTIVE", PaginationConfig={"PageSize": 1}
    )
    ids = [each["datastoreId"] for page in pages for each in page["datastoreSummaries"]]
    assert len(ids) >= 2
    assert len(ids) == len(set(ids))


def test_an_import_from_files_to_frames(hi, event_log, dataset, p10, noise):
    datastore_id = hi.datastore("import")
    pixels = noise((3, 70, 90), "int16")
    slices = [dataset(each, InstanceNumber=n) for n, each in enumerate(pixels, 1)]
    files = {f"ct/{n}.dcm": p10(ds) for n, ds in enumerate(slices)}
    files["other.dcm"] = p10(dataset(pixels[0], PatientID="P2"))
    files["wide.dcm"] = p10(dataset(noise((4, 4), "uint32")))
    files |= {"read.me": b"no DICOM here", "marker": b""}
    job = import_all(hi, datastore_id, "first/", files, jobName="the-first")
    job_id = job["jobId"]
    assert job_id == hi.start(datastore_id, "first/", jobName="the-first")
    assert (job["jobStatus"], job["jobName"]) == ("COMPLETED", "the-first")
    assert job["endedAt"] > job["submittedAt"]
    assert job["outputS3Uri"] == (
        f"s3://images/output/{datastore_id}-DicomImport-{job_id}/"
    )

    summary = manifest(hi, job)
    assert summary["numberOfScannedFiles"] == 6
    assert summary["numberOfImportedFiles"] == 5
    assert summary["numberOfFilesWithCustomerError"] == 1
    primary, other = sorted(
        summary["imageSetsSummary"], key=lambda each: not each["isPrimary"]
    )
    assert (primary["isPrimary"], other["isPrimary"]) == (True, False)
    assert primary["numberOfMatchedSOPInstances"] == 4
    failure = json.loads(hi.get(summary["failureOutputS3Uri"] + "failure.ndjson"))
    assert failure["inputFile"] == "first/read.me"
    warning = json.loads(hi.get(summary["warningsOutputS3Uri"] + "warning.ndjson"))
    assert warning["inputFile"] == "first/wide.dcm"
    assert warning["importResponse"]["warnings"][0]["warning_reason_code"] == 45312

    image_set_id = primary["imageSetId"]
    document = metadata(hi, datastore_id, image_set_id)
    assert document["ImageSetID"] == image_set_id
    assert document["Patient"]["DICOM"]["PatientID"] == "P1"
    for ds, original in zip(slices, pixels, strict=True):
        instance = instances(document)[ds.SOPInstanceUID]
        (entry,) = instance["ImageFrames"]
        answer = frame(hi, datastore_id, image_set_id, entry["ID"])
        assert answer["contentType"] == "image/jph"
        decoded = imagecodecs.htj2k_decode(answer["imageFrameBlob"].read())
        assert np.array_equal(decoded, original)
        checksum = entry["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"]
        assert zlib.crc32(decoded.tobytes()) == checksum
    with pytest.raises(hi.client.exceptions.ResourceNotFoundException):
        frame(hi, datastore_id, other["imageSetId"], entry["ID"])

    events = event_log.wait(datastore_id, 5)
    names = [event["detail-type"] for event in events]
    assert sorted(names) == [
        "Image Set Created",
        "Image Set Created",
        "Import Job Completed",
        "Import Job In Progress",
        "Import Job Submitted",
    ]
    completed = next(e for e in events if e["detail-type"] == "Import Job Completed")
    assert completed["source"] == "aws.medical-imaging"
    assert completed["detail"] == {
        "imagingVersion": "1.0",
        "datastoreId": datastore_id,
        "jobId": job_id,
        "jobName": "the-first",
        "jobStatus": "COMPLETED",
        "inputS3Uri": "s3://images/first/",
        "outputS3Uri": job["outputS3Uri"],
    }
    created = next(e for e in events if image_set_id in json.dumps(e))
    assert created["resources"][0].endswith(
        f":datastore/{datastore_id}/imageset/{image_set_id}"
    )
    assert created["detail"] == {
        "imagingVersion": "1.0",
        "isPrimary": True,
        "imageSetVersion": "1",
        "datastoreId": datastore_id,
        "imagesetId": image_set_id,
        "imageSetState": "ACTIVE",
        "imageSetWorkflowStatus": "CREATED",
    }


def test_a_later_job_grows_the_primary_set(hi, event_log, dataset, p10, noise):
    datastore_id = hi.datastore("grow")
    first, second = dataset(noise((8, 8), "uint8")), dataset(noise((9, 9), "uint8"))
    job = import_all(hi, datastore_id, "grow-1/", {"a.dcm": p10(first)})
    (image_set,) = manifest(hi, job)["imageSetsSummary"]
    image_set_id = image_set["imageSetId"]
    old = instances(metadata(hi, datastore_id, image_set_id))[first.SOPInstanceUID]

    post(f"{hi.url}/_devcloud/healthimaging/event-key", {"key": "imageSetId"})
    first.InstanceNumber = "9"
    files = {"a.dcm": p10(first), "b.dcm": p10(second)}
    job = import_all(hi, datastore_id, "grow-2/", files)
    post(f"{hi.url}/_devcloud/healthimaging/event-key", {"key": "imagesetId"})
    (image_set,) = manifest(hi, job)["imageSetsSummary"]
    assert image_set == {
        "imageSetId": image_set_id,
        "imageSetVersion": 2,
        "isPrimary": True,
        "numberOfMatchedSOPInstances": 2,
    }

    new = instances(metadata(hi, datastore_id, image_set_id))
    assert set(new) == {first.SOPInstanceUID, second.SOPInstanceUID}
    assert new[first.SOPInstanceUID]["DICOM"]["InstanceNumber"] == "9 "
    of_old = metadata(hi, datastore_id, image_set_id, versionId="1")
    assert instances(of_old) == {first.SOPInstanceUID: old}
    old_frame = frame(hi, datastore_id, image_set_id, old["ImageFrames"][0]["ID"])
    assert old_frame["imageFrameBlob"].read()

    got = hi.client.get_image_set(datastoreId=datastore_id, imageSetId=image_set_id)
    assert (got["versionId"], got["imageSetWorkflowStatus"]) == ("2", "UPDATED")
    assert (got["imageSetState"], got["isPrimary"]) == ("ACTIVE", True)
    earlier = hi.client.get_image_set(
        datastoreId=datastore_id, imageSetId=image_set_id, versionId="1"
    )
    assert (earlier["versionId"], earlier["imageSetWorkflowStatus"]) == ("1", "CREATED")
    versions = hi.client.get_paginator("list_image_set_versions").paginate(
        datastoreId=datastore_id,
        imageSetId=image_set_id,
        PaginationConfig={"PageSize": 1},
    )
    assert [
        (each["versionId"], each["ImageSetWorkflowStatus"])
        for page in versions
        for each in page["imageSetPropertiesList"]
    ] == [("2", "UPDATED"), ("1", "CREATED")]

    events = event_log.wait(datastore_id, 8)
    (updated,) = [e for e in events if e["detail-type"] == "Image Set Updated"]
    assert updated["detail"]["imageSetId"] == image_set_id
    assert updated["detail"]["imageSetVersion"] == "2"
    assert "imagesetId" not in updated["detail"]


def test_search_and_lists(hi, dataset, p10):
    datastore_id = hi.datastore("search")
    files = {
        f"{n}.dcm": p10(
            dataset(
                SeriesInstanceUID=f"1.2.3.{n}",
                StudyInstanceUID=f"1.2.4.{n % 2}",
                PatientID=f"P{n % 2}",
                StudyDate=f"2024010{n}",
            )
        )
        for n in range(1, 6)
    }
    import_all(hi, datastore_id, "search/", files)

    def search(size=50, **criteria):
        pages = hi.client.get_paginator("search_image_sets").paginate(
            datastoreId=datastore_id,
            searchCriteria=criteria,
            PaginationConfig={"PageSize": size},
        )
        return [
            each["DICOMTags"]["DICOMSeriesInstanceUID"][-1]
            for page in pages
            for each in page["imageSetsMetadataSummaries"]
        ]

    def equal(**value):
        return [{"operator": "EQUAL", "values": [value]}]

    by_date = {"sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC"}
    assert search(2, sort=by_date) == list("12345")
    assert search(2, sort=by_date | {"sortOrder": "DESC"}) == list("54321")
    assert search(filters=equal(DICOMPatientId="P1"), sort=by_date) == list("135")
    assert search(filters=equal(DICOMSeriesInstanceUID="1.2.3.4")) == ["4"]
    assert search(filters=equal(isPrimary=False)) == []
    dates = [
        {"DICOMStudyDateAndTime": {"DICOMStudyDate": day, "DICOMStudyTime": "000000"}}
        for day in ("20240102", "20240104")
    ]
    between = [{"operator": "BETWEEN", "values": dates}]
    assert search(filters=between, sort=by_date) == list("23")
    (found,) = hi.client.search_image_sets(
        datastoreId=datastore_id,
        searchCriteria={"filters": equal(DICOMSeriesInstanceUID="1.2.3.1")},
    )["imageSetsMetadataSummaries"]
    assert found["version"] == 1
    assert found["DICOMTags"]["DICOMNumberOfStudyRelatedSeries"] == 3
    with pytest.raises(hi.client.exceptions.ValidationException):
        search(filters=[{"operator": "EQUAL", "values": [{"createdAt": 1}]}])

    hi.put("search-2/x", b"x")
    hi.finish(datastore_id, hi.start(datastore_id, "search-2/"))
    jobs = hi.client.get_paginator("list_dicom_import_jobs").paginate(
        datastoreId=datastore_id,
        jobStatus="COMPLETED",
        PaginationConfig={"PageSize": 1},
    )
    assert len([each for page in jobs for each in page["jobSummaries"]]) == 2
    none = hi.client.list_dicom_import_jobs(
        datastoreId=datastore_id, jobStatus="FAILED"
    )
    assert none["jobSummaries"] == []


@pytest.mark.parametrize(
    ("change", "error", "status"),
    [
        ({"datastoreId": ID}, "ResourceNotFoundException", 404),
        (
            {"dataAccessRoleArn": f"{IAM}123456789012:user/x"},
            "ValidationException",
            400,
        ),
        (
            {"dataAccessRoleArn": f"{IAM}999999999999:role/x"},
            "AccessDeniedException",
            403,
        ),
        ({"inputS3Uri": "https://images/x"}, "ValidationException", 400),
        ({"outputS3Uri": "s3://A/x"}, "ValidationException", 400),
        ({"clientToken": "a b"}, "ValidationException", 400),
        ({"clientToken": "taken", "jobName": "another"}, "ConflictException", 409),
    ],
)
def test_jobs_that_do_not_start(hi, change, error, status):
    datastore_id = hi.datastore("refuse")
    hi.start(datastore_id, "nothing/", clientToken="taken")
    with pytest.raises(ClientError) as caught:
        hi.start(datastore_id, "nothing/", **change)
    assert code(caught) == (error, status)
    assert type(caught.value) is getattr(hi.client.exceptions, error)


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        ({}, "holds no files"),
        (
            {"inputS3Uri": "s3://no-such-bucket/x/"},
            "Cannot list the input: NoSuchBucket",
        ),
        ({"outputS3Uri": "s3://no-such-bucket/x/"}, "Cannot use the output: 404"),
    ],
)
def test_jobs_that_fail_say_why(hi, event_log, request_, text):
    datastore_id = hi.datastore(f"fail{len(text)}")
    if request_:
        hi.put("fail/a", b"x")
    prefix = "fail/" if request_ else "fail-empty/"
    job = hi.finish(datastore_id, hi.start(datastore_id, prefix, **request_))
    assert job["jobStatus"] == "FAILED"
    assert text in job["message"]
    names = [event["detail-type"] for event in event_log.wait(datastore_id, 3)]
    assert "Import Job Failed" in names


def test_the_quotas_of_a_job(cloud_of, dataset, p10):
    small = cloud_of(JobLimits(files=1, total_bytes=100, submitted_seconds=0))
    datastore_id = small.datastore()
    for number in range(2):
        small.put(f"quota/many/{number}.dcm", p10(dataset()))
    small.put("quota/large/1.dcm", p10(dataset()))
    for prefix, text in (("many", "holds 2 files"), ("large", "at most 100")):
        job_id = small.start(datastore_id, f"quota/{prefix}/")
        job = small.finish(datastore_id, job_id)
        assert job["jobStatus"] == "FAILED"
        assert text in job["message"]


@pytest.mark.parametrize("operation", service_model("medical-imaging").operation_names)
def test_every_operation_has_a_route(hi, operation):
    params = {
        "datastoreId": ID,
        "imageSetId": ID,
        "sourceImageSetId": ID,
        "jobId": ID,
        "clientToken": "route",
        "latestVersionId": "1",
        "imageFrameInformation": {"imageFrameId": ID},
        "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": "1"}},
        "updateImageSetMetadataUpdates": {"revertToVersionId": "1"},
        "resourceArn": f"arn:aws:medical-imaging:eu-west-1:123456789012:datastore/{ID}",
        "tags": {"a": "b"},
        "tagKeys": ["a"],
        "dataAccessRoleArn": "arn:aws:iam::123456789012:role/x",
        "inputS3Uri": "s3://images/x",
        "outputS3Uri": "s3://images/x",
    }
    shape = service_model("medical-imaging").operation_model(operation).input_shape
    params = {name: params[name] for name in shape.required_members}
    answer = hi.client._make_api_call
    if operation in {"CreateDatastore", "ListDatastores"}:
        assert answer(operation, params)["ResponseMetadata"]["HTTPStatusCode"] == 200
        return
    with pytest.raises(ClientError) as caught:
        answer(operation, params)
    if operation in BUILT:
        assert code(caught) == ("ResourceNotFoundException", 404)
    else:
        assert code(caught) == ("NotImplementedException", 501)
        assert operation in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/datastore/NOT-AN-ID", None, 400),
        ("GET", "/datastore?maxResults=51", None, 400),
        ("GET", "/datastore?maxResults=many", None, 400),
        ("POST", "/datastore", b"{", 400),
        ("POST", "/datastore", b"[]", 400),
        ("POST", "/datastore", b'{"clientToken": "a", "colour": "blue"}', 400),
        ("POST", f"/datastore/{ID}/searchImageSets", b'{"filters": "x"}', 400),
        ("GET", "/nowhere", None, 404),
    ],
)
def test_requests_no_sdk_would_send(hi, method, path, body, status):
    request = urllib.request.Request(hi.url + path, body, method=method)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as answer:
        assert answer.status == status
        if status == 400:
            assert answer.headers["x-amzn-ErrorType"] == "ValidationException"
            assert json.loads(answer.read())["message"]


def test_faults_can_be_switched_on(hi):
    url = f"{hi.url}/_devcloud/healthimaging/faults"
    fault = {"operation": "ListDatastores", "error": "ThrottlingException", "count": 2}
    assert post(url, fault) == 204
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            hi.client.list_datastores()
        assert code(caught) == ("ThrottlingException", 429)
    assert hi.client.list_datastores()["datastoreSummaries"] is not None
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(url, fault | {"operation": "DeleteDatastore"})
    with caught.value as answer:
        assert answer.status == 422
