"""AWS and the API server as the operator's edges see them: small SDK-level fakes.

Every request is validated by botocore's own service model.
"""

import copy
import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import ClassVar

import botocore.loaders
import botocore.model
import botocore.validate
import pytest
from botocore.exceptions import ClientError
from kubernetes.client.exceptions import ApiException

from isocenter.core.healthimaging.client import HealthImaging
from isocenter.operator.cluster import Cluster
from isocenter.operator.executions import Executions
from isocenter.operator.objects import ObjectStore

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
DATASTORE = "d" * 32
BUCKET = "a-bucket"
NAMESPACE = "imaging"
PIPELINE = {
    "Version": "2020-12-01",
    "Parameters": [
        {"Name": "DatastoreId", "Type": "String"},
        {"Name": "ImageSetId", "Type": "String"},
        {"Name": "RequestS3Uri", "Type": "String"},
        {"Name": "OutputS3Uri", "Type": "String"},
        {"Name": "Epochs", "Type": "String"},
    ],
    "Steps": [{"Name": "FetchImageData"}, {"Name": "TrainModel"}],
}


def refused(code, operation, status=400):
    return ClientError(
        {
            "Error": {"Code": code, "Message": f"{code} happened"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        operation,
    )


class FakeService:
    """Validates requests, counts calls and fails on demand."""

    service = ""
    _models: ClassVar[dict] = {}

    def __init__(self):
        if self.service not in self._models:
            self._models[self.service] = botocore.model.ServiceModel(
                botocore.loaders.Loader().load_service_model(self.service, "service-2")
            )
        self.calls = []
        self.failures = {}

    def call(self, operation, params):
        shape = self._models[self.service].operation_model(operation).input_shape
        report = botocore.validate.ParamValidator().validate(params, shape)
        assert not report.has_errors(), report.generate_report()
        self.calls.append(operation)
        if failures := self.failures.get(operation):
            failure = failures.pop(0)
            if failure is not None:
                raise failure

    def fail(self, operation, *codes, status=400):
        """The next calls fail so; a None lets one through."""
        self.failures[operation] = [
            code and refused(code, operation, status) for code in codes
        ]

    def get_paginator(self, method):
        return SimpleNamespace(
            paginate=lambda **params: [getattr(self, method)(**params)]
        )


class FakeS3(FakeService):
    service = "s3"

    def __init__(self):
        super().__init__()
        self.objects = {}
        self.modified = {}

    def _bucket(self, operation, name):
        if name != BUCKET:
            raise refused("NoSuchBucket", operation, 404)

    def put_object(self, **p):
        self.call("PutObject", p)
        self._bucket("PutObject", p["Bucket"])
        self.objects[p["Key"]] = p["Body"]
        self.modified.setdefault(p["Key"], NOW)

    def get_object(self, **p):
        self.call("GetObject", p)
        self._bucket("GetObject", p["Bucket"])
        if p["Key"] not in self.objects:
            raise refused("NoSuchKey", "GetObject", 404)
        return {"Body": io.BytesIO(self.objects[p["Key"]])}

    def list_objects_v2(self, **p):
        self.call("ListObjectsV2", p)
        self._bucket("ListObjectsV2", p["Bucket"])
        keys = sorted(key for key in self.objects if key.startswith(p["Prefix"]))
        contents = [
            {"Key": key, "LastModified": self.modified.get(key, NOW)} for key in keys
        ][: p.get("MaxKeys", 1000)]
        return {"Contents": contents} if contents else {}


class FakeSageMaker(FakeService):
    service = "sagemaker"

    def __init__(self):
        super().__init__()
        self.pipelines = {"train": json.dumps(PIPELINE)}
        self.executions = {}
        self.by_token = {}
        self.steps = {}
        self.jobs = {}

    def describe_pipeline(self, **p):
        self.call("DescribePipeline", p)
        if p["PipelineName"] not in self.pipelines:
            raise refused("ResourceNotFound", "DescribePipeline")
        return {"PipelineDefinition": self.pipelines[p["PipelineName"]]}

    def start_pipeline_execution(self, **p):
        self.call("StartPipelineExecution", p)
        token = p["ClientRequestToken"]
        if token not in self.by_token:
            arn = (
                "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/train/execution/"
                f"e{len(self.executions):011d}"
            )
            self.by_token[token] = arn
            self.executions[arn] = {
                "request": p,
                "PipelineExecutionStatus": "Executing",
                "CreationTime": NOW,
                "LastModifiedTime": NOW,
            }
            self.steps[arn] = []
        return {"PipelineExecutionArn": self.by_token[token]}

    def describe_pipeline_execution(self, **p):
        self.call("DescribePipelineExecution", p)
        if p["PipelineExecutionArn"] not in self.executions:
            raise refused("ResourceNotFound", "DescribePipelineExecution")
        return self.executions[p["PipelineExecutionArn"]]

    def list_pipeline_execution_steps(self, **p):
        self.call("ListPipelineExecutionSteps", p)
        return {"PipelineExecutionSteps": self.steps[p["PipelineExecutionArn"]]}

    def describe_processing_job(self, **p):
        self.call("DescribeProcessingJob", p)
        return self.jobs[p["ProcessingJobName"]]

    def describe_training_job(self, **p):
        self.call("DescribeTrainingJob", p)
        return self.jobs[p["TrainingJobName"]]


class FakeHealthImaging(FakeService):
    service = "medical-imaging"

    def __init__(self):
        super().__init__()
        self.image_sets = {}
        self.jobs = {}
        self.by_token = {}

    def add(self, image_set_id, **changes):
        self.image_sets[image_set_id] = {
            "versionId": "1",
            "imageSetState": "ACTIVE",
            "imageSetWorkflowStatus": "CREATED",
            "isPrimary": True,
            "updatedAt": NOW,
        } | changes

    def get_image_set(self, **p):
        self.call("GetImageSet", p)
        found = self.image_sets.get(p["imageSetId"])
        if found is None or p.get("versionId", found["versionId"]) > found["versionId"]:
            raise refused("ResourceNotFoundException", "GetImageSet", 404)
        return {"imageSetId": p["imageSetId"]} | found

    def search_image_sets(self, **p):
        self.call("SearchImageSets", p)
        start, end = p["searchCriteria"]["filters"][0]["values"]
        return {
            "imageSetsMetadataSummaries": [
                {
                    "imageSetId": name,
                    "version": int(found["versionId"]),
                    "isPrimary": found["isPrimary"],
                    "updatedAt": found["updatedAt"],
                }
                for name, found in self.image_sets.items()
                if start["updatedAt"] <= found["updatedAt"] <= end["updatedAt"]
            ]
        }

    def start_dicom_import_job(self, **p):
        self.call("StartDICOMImportJob", p)
        if p["datastoreId"] != DATASTORE:
            raise refused("ResourceNotFoundException", "StartDICOMImportJob", 404)
        job_id = self.by_token.setdefault(p["clientToken"], f"j{len(self.by_token)}")
        job = {"jobId": job_id, "jobStatus": "SUBMITTED", "request": p}
        self.jobs.setdefault(
            job_id,
            job
            | {"outputS3Uri": f"{p['outputS3Uri']}{DATASTORE}-DicomImport-{job_id}/"},
        )
        return {"jobId": job_id}

    def get_dicom_import_job(self, **p):
        self.call("GetDICOMImportJob", p)
        if p["jobId"] not in self.jobs:
            raise refused("ResourceNotFoundException", "GetDICOMImportJob", 404)
        return {"jobProperties": self.jobs[p["jobId"]]}


class FakeCustomObjects:
    """CustomObjectsApi over a dict, with resource versions and generations."""

    def __init__(self):
        self.objects = {}
        self.version = 0
        self.failures = []

    def _stamp(self, body):
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(body)

    def _enter(self):
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure

    def _find(self, plural, name):
        self._enter()
        if (plural, name) not in self.objects:
            raise ApiException(status=404, reason="Not Found")
        return self.objects[plural, name]

    def create_namespaced_custom_object(self, *, plural, body, **_):
        self._enter()
        key = plural, body["metadata"]["name"]
        if key in self.objects:
            raise ApiException(status=409, reason="Conflict")
        stored = copy.deepcopy(dict(body))
        stored["metadata"] |= {
            "namespace": NAMESPACE,
            "uid": f"uid-{len(self.objects)}",
            "generation": 1,
            "creationTimestamp": "2026-11-23T09:00:00Z",
        }
        self.objects[key] = stored
        return self._stamp(stored)

    def list_namespaced_custom_object(self, *, plural, limit, _continue="0", **_):
        self._enter()
        found = [o for (kind, _), o in self.objects.items() if kind == plural]
        start = int(_continue)
        more = start + 2 < len(found)  # pages of two: paging is always exercised
        return {
            "items": copy.deepcopy(found[start : start + 2]),
            "metadata": {"continue": str(start + 2)} if more else {},
        }

    def get_namespaced_custom_object(self, *, plural, name, **_):
        return copy.deepcopy(self._find(plural, name))

    def patch_namespaced_custom_object_status(self, *, plural, name, body, **_):
        stored = self._find(plural, name)
        expected = body["metadata"]["resourceVersion"]
        if expected != stored["metadata"]["resourceVersion"]:
            raise ApiException(status=409, reason="Conflict")
        status = stored.setdefault("status", {})
        for key, value in body["status"].items():
            if value is None:
                status.pop(key, None)
            else:
                status[key] = copy.deepcopy(value)
        return self._stamp(stored)

    def patch_namespaced_custom_object(self, *, plural, name, body, **_):
        stored = self._find(plural, name)
        stored["metadata"].setdefault("annotations", {}).update(
            body["metadata"]["annotations"]
        )
        return self._stamp(stored)


@pytest.fixture
def s3():
    return FakeS3()


@pytest.fixture
def sagemaker():
    return FakeSageMaker()


@pytest.fixture
def healthimaging_api():
    return FakeHealthImaging()


@pytest.fixture
def healthimaging(healthimaging_api):
    return HealthImaging(healthimaging_api)


@pytest.fixture
def objects(s3):
    return ObjectStore(s3)


@pytest.fixture
def executions(sagemaker, objects):
    return Executions(sagemaker, objects, bucket=BUCKET, runs_prefix="runs/")


@pytest.fixture
def api():
    return FakeCustomObjects()


@pytest.fixture
def cluster(api):
    return Cluster(api, NAMESPACE)


@pytest.fixture
def run_body():
    return {
        "metadata": {
            "name": "a-run",
            "namespace": NAMESPACE,
            "uid": "0f2f5a3e-6a3b-4d0e-9f57-1f4f6f1f3c11",
            "generation": 1,
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-23T09:00:00Z",
        },
        "spec": {
            "datastoreId": DATASTORE,
            "imageSets": [{"id": "1" * 32, "versionId": "1"}],
            "pipeline": {"name": "train", "parameters": {"Epochs": "2"}},
        },
    }


@pytest.fixture
def import_body():
    return {
        "metadata": {
            "name": "a-batch",
            "namespace": NAMESPACE,
            "uid": "uid-of-import",
            "generation": 1,
            "resourceVersion": "3",
        },
        "spec": {
            "datastoreId": DATASTORE,
            "inputS3Uri": f"s3://{BUCKET}/DICOM/a-batch/",
            "outputS3Uri": f"s3://{BUCKET}/import-output/",
        },
    }


@pytest.fixture
def trigger_body():
    def build(name="t", **spec):
        return {
            "metadata": {"name": name},
            "spec": {
                "datastoreId": DATASTORE,
                "template": {"pipeline": {"name": "train"}},
            }
            | spec,
        }

    return build


@pytest.fixture
def merged():
    """A body after its status was patched."""

    def merge(body, patch):
        status = dict(body.get("status") or {})
        for key, value in patch.items():
            if value is None:
                status.pop(key, None)
            else:
                status[key] = value
        return body | {"status": status}

    return merge
