"""What each role may do: data only.

The roles are made from this table, the tests compare it with the calls that the
components were seen to make, and the preflight asks AWS about it. Sources of the
actions: the Service Authorization Reference; of HealthImaging's resources its page
"Actions, resources, and condition keys" (an image set's actions need the data
store's ARN as well as the image set's).

Resources and condition values are templates that ``Statement.render`` fills in::

    {bucket}       arn:…:s3:::<bucket>            {pipeline}      arn:…:pipeline/<name>
    {datastore}    arn:…:datastore/<id>           {queue}, {key}  ARNs
    {import}, {sagemaker}, {processing}, {training}               ARNs of roles
    {jobs}         arn:…:sagemaker:<region>:<account>
    {logs}         arn:…:logs:<region>:<account>
    {fetcher_repository}, {trainer_repository}                    ARNs
    {region}, {account}                                           as they are
"""

from collections.abc import Mapping

from isocenter_infra.shared_statements import (
    BY_SERVICE,
    DATASTORE,
    IMAGE_SETS,
    IMAGE_SETS_KEY,
    NOT_FOUND,
    job,
    key_through,
    objects_key,
    outputs_key,
    volumes_key,
)
from isocenter_infra.statements import Principal, RolePermissions, Statement

ROLES: Mapping[str, RolePermissions] = {
    "storescp": RolePermissions(
        principal=Principal.PODS,
        purpose="DICOM Store SCP: writes instances, batch manifests and quarantine",
        statements=(
            Statement(
                sid="WriteBatches",
                actions=("s3:PutObject",),
                resources=(
                    "{bucket}/DICOM/*",
                    "{bucket}/batches/*",
                    "{bucket}/metadata/*",
                    "{bucket}/quarantine/*",
                ),
            ),
            Statement(
                sid="WhatBecameOfIt",
                actions=("s3:GetObject",),
                resources=(
                    "{bucket}/DICOM/*",
                    "{bucket}/batches/*",
                    "{bucket}/import-output/*",
                ),
                unseen={
                    "s3:GetObject": "only when an instance comes a second time or its "
                    "storage is to be committed"
                },
            ),
            # Of the whole bucket: NOT_FOUND.
            Statement(
                sid="ListBatches",
                actions=("s3:ListBucket",),
                resources=("{bucket}",),
                unseen={
                    "s3:ListBucket": "only when storage is to be committed, and by the "
                    "quarantine's command line"
                },
            ),
            Statement(
                sid="Quarantine",
                actions=("s3:GetObject", "s3:DeleteObject"),
                resources=("{bucket}/quarantine/*",),
                unseen=dict.fromkeys(
                    ("s3:GetObject", "s3:DeleteObject"),
                    "only by the quarantine's command line, run in the pod",
                ),
            ),
            Statement(
                sid="GiveUpMultipart",
                actions=("s3:AbortMultipartUpload",),
                resources=("{bucket}/DICOM/*", "{bucket}/quarantine/*"),
                unseen={
                    "s3:AbortMultipartUpload": "only when an upload in parts fails; "
                    "the tests' instances go in one part"
                },
            ),
            # Decrypt: S3 needs it to put the parts of a multipart upload together.
            objects_key("kms:GenerateDataKey", "kms:Decrypt"),
        ),
    ),
    "tlm-proxy": RolePermissions(
        principal=Principal.PODS,
        purpose="Tile proxy: reads image sets, and manifests of runs",
        statements=(
            Statement(
                sid="ReadImageSets",
                actions=(
                    "medical-imaging:GetImageFrame",
                    "medical-imaging:GetImageSetMetadata",
                ),
                resources=IMAGE_SETS,
            ),
            Statement(
                sid="SearchAndDicomWeb",
                actions=(
                    "medical-imaging:GetDICOMSeriesMetadata",
                    "medical-imaging:SearchDICOMInstances",
                    "medical-imaging:SearchDICOMSeries",
                    "medical-imaging:SearchDICOMStudies",
                    "medical-imaging:SearchImageSets",
                ),
                resources=DATASTORE,
            ),
            Statement(
                sid="ReadRuns",
                actions=("s3:GetObject",),
                resources=("{bucket}/runs/*",),
            ),
            # Of the whole bucket: NOT_FOUND.
            Statement(
                sid="ListRuns", actions=("s3:ListBucket",), resources=("{bucket}",)
            ),
            objects_key("kms:Decrypt"),
            IMAGE_SETS_KEY,
        ),
    ),
    "fetcher": RolePermissions(
        principal=Principal.PODS,
        purpose="Fetcher as a service: datasets on demand, and its job records",
        statements=(
            Statement(
                sid="ReadImageSets",
                actions=(
                    "medical-imaging:GetImageFrame",
                    "medical-imaging:GetImageSet",
                    "medical-imaging:GetImageSetMetadata",
                ),
                resources=IMAGE_SETS,
            ),
            Statement(
                sid="ReadAndWriteDatasets",
                actions=("s3:GetObject", "s3:PutObject"),
                resources=("{bucket}/fetcher/*", "{bucket}/runs/*"),
            ),
            Statement(
                sid="GiveUpMultipart",
                actions=("s3:AbortMultipartUpload",),
                resources=("{bucket}/fetcher/*", "{bucket}/runs/*"),
                unseen={
                    "s3:AbortMultipartUpload": "only when an upload in parts fails"
                },
            ),
            Statement(
                sid="CloseJobRecords",
                actions=("s3:DeleteObject",),
                resources=("{bucket}/fetcher/jobs/*",),
            ),
            # Of the whole bucket: NOT_FOUND.
            Statement(
                sid="ListJobRecords",
                actions=("s3:ListBucket",),
                resources=("{bucket}",),
            ),
            objects_key("kms:GenerateDataKey", "kms:Decrypt"),
            IMAGE_SETS_KEY,
        ),
    ),
    "operator": RolePermissions(
        principal=Principal.PODS,
        purpose="Operator: starts and watches imports and pipeline executions",
        statements=(
            Statement(
                sid="ImportBatches",
                actions=(
                    "medical-imaging:GetDICOMImportJob",
                    "medical-imaging:StartDICOMImportJob",
                ),
                resources=DATASTORE,
            ),
            Statement(
                sid="GiveImportRole",
                actions=("iam:PassRole",),
                resources=("{import}",),
                conditions={
                    "StringEquals": {"iam:PassedToService": (Principal.HEALTHIMAGING,)}
                },
                unseen={
                    "iam:PassRole": "a right that StartDICOMImportJob asks for, no call"
                },
            ),
            Statement(
                sid="ReadImageSets",
                actions=("medical-imaging:GetImageSet",),
                resources=IMAGE_SETS,
            ),
            Statement(
                sid="RunPipeline",
                actions=(
                    "sagemaker:DescribePipeline",
                    "sagemaker:StartPipelineExecution",
                ),
                resources=("{pipeline}",),
            ),
            Statement(
                sid="WatchExecutions",
                actions=(
                    "sagemaker:DescribePipelineExecution",
                    "sagemaker:ListPipelineExecutionSteps",
                ),
                resources=("{pipeline}/execution/*",),
            ),
            Statement(
                sid="ReadJobs",
                actions=(
                    "sagemaker:DescribeProcessingJob",
                    "sagemaker:DescribeTrainingJob",
                ),
                resources=(
                    "{jobs}:processing-job/pipelines-*",
                    "{jobs}:training-job/pipelines-*",
                ),
            ),
            Statement(
                sid="ReadManifests",
                actions=("s3:GetObject",),
                resources=("{bucket}/batches/*", "{bucket}/import-output/*"),
            ),
            Statement(
                sid="WriteRunRequests",
                actions=("s3:PutObject",),
                resources=("{bucket}/runs/*",),
            ),
            # Of the whole bucket: NOT_FOUND (an import's manifest may lag).
            Statement(
                sid="ListBatches", actions=("s3:ListBucket",), resources=("{bucket}",)
            ),
            objects_key("kms:GenerateDataKey", "kms:Decrypt"),
            IMAGE_SETS_KEY,
        ),
    ),
    "intake": RolePermissions(
        principal=Principal.PODS,
        purpose="Intake: turns events into resources, sweeps what they missed",
        statements=(
            Statement(
                sid="TakeEvents",
                actions=(
                    "sqs:ChangeMessageVisibility",
                    "sqs:DeleteMessage",
                    "sqs:ReceiveMessage",
                ),
                resources=("{queue}",),
                unseen={
                    "sqs:ChangeMessageVisibility": "only when an event has to be "
                    "tried again, which the demo's flow does not bring about"
                },
            ),
            Statement(
                sid="FindImageSets",
                actions=("medical-imaging:SearchImageSets",),
                resources=DATASTORE,
            ),
            Statement(
                sid="ReadImageSets",
                actions=("medical-imaging:GetImageSet",),
                resources=IMAGE_SETS,
            ),
            Statement(
                sid="ReadBatches",
                actions=("s3:GetObject",),
                resources=("{bucket}/batches/*",),
            ),
            Statement(
                sid="ListBatchesAndRuns",
                actions=("s3:ListBucket",),
                resources=("{bucket}",),
                conditions={"StringLike": {"s3:prefix": ("batches/*", "runs/*")}},
            ),
            objects_key("kms:Decrypt"),
            key_through("sqs", "KeyOfEvents"),
            IMAGE_SETS_KEY,
        ),
    ),
    "pipeline": RolePermissions(
        principal=Principal.PODS,
        purpose="The chart's Job that creates or updates the SageMaker pipeline",
        statements=(
            Statement(
                sid="UpsertPipeline",
                actions=("sagemaker:CreatePipeline", "sagemaker:UpdatePipeline"),
                resources=("{pipeline}",),
                unseen={
                    "sagemaker:UpdatePipeline": "only when the pipeline exists: from "
                    "the second release on"
                },
            ),
            Statement(
                sid="GivePipelineRole",
                actions=("iam:PassRole",),
                resources=("{sagemaker}",),
                conditions={
                    "StringEquals": {"iam:PassedToService": (Principal.SAGEMAKER,)}
                },
                unseen={
                    "iam:PassRole": "a right that CreatePipeline asks for, no call"
                },
            ),
        ),
    ),
    "import": RolePermissions(
        principal=Principal.HEALTHIMAGING,
        purpose="HealthImaging's imports: reads instances, writes the results",
        held_by="HealthImaging",
        statements=(
            # Source: HealthImaging developer guide, "Create an IAM role for import".
            Statement(
                sid="ListInputAndOutput",
                actions=("s3:ListBucket",),
                resources=("{bucket}",),
            ),
            Statement(
                sid="ReadInstances",
                actions=("s3:GetObject",),
                resources=("{bucket}/DICOM/*",),
            ),
            Statement(
                sid="WriteResults",
                actions=("s3:PutObject",),
                resources=("{bucket}/import-output/*",),
            ),
            objects_key("kms:GenerateDataKey", "kms:Decrypt"),
        ),
    ),
    "sagemaker": RolePermissions(
        principal=Principal.SAGEMAKER,
        purpose="The pipeline: starts and stops the jobs of its steps",
        held_by="SageMaker",
        statements=(
            Statement(
                sid="RunJobs",
                actions=(
                    "sagemaker:AddTags",
                    "sagemaker:CreateProcessingJob",
                    "sagemaker:CreateTrainingJob",
                    "sagemaker:DescribeProcessingJob",
                    "sagemaker:DescribeTrainingJob",
                    "sagemaker:ListTags",
                    "sagemaker:StopProcessingJob",
                    "sagemaker:StopTrainingJob",
                ),
                # Pipelines names the jobs of its steps pipelines-<execution>-….
                resources=(
                    "{jobs}:processing-job/pipelines-*",
                    "{jobs}:training-job/pipelines-*",
                ),
            ),
            Statement(
                sid="GiveJobRoles",
                actions=("iam:PassRole",),
                resources=("{processing}", "{training}"),
                conditions={
                    "StringEquals": {"iam:PassedToService": (Principal.SAGEMAKER,)}
                },
            ),
            volumes_key(),
        ),
    ),
    "processing": RolePermissions(
        principal=Principal.SAGEMAKER,
        purpose="FetchImageData: reads image sets, leaves datasets in runs/",
        statements=(
            Statement(
                sid="ReadImageSets",
                actions=(
                    "medical-imaging:GetImageFrame",
                    "medical-imaging:GetImageSet",
                    "medical-imaging:GetImageSetMetadata",
                ),
                resources=IMAGE_SETS,
            ),
            Statement(
                sid="ReadRequests",
                actions=("s3:GetObject",),
                resources=("{bucket}/runs/*",),
            ),
            Statement(
                sid="LeaveDatasets",
                actions=("s3:AbortMultipartUpload", "s3:PutObject"),
                resources=("{bucket}/runs/*",),
                unseen=dict.fromkeys(
                    ("s3:AbortMultipartUpload", "s3:PutObject"),
                    BY_SERVICE.format("SageMaker"),
                ),
            ),
            # Of the whole bucket: NOT_FOUND.
            Statement(
                sid="ListRuns",
                actions=("s3:ListBucket",),
                resources=("{bucket}",),
                unseen={"s3:ListBucket": NOT_FOUND},
            ),
            objects_key("kms:GenerateDataKey", "kms:Decrypt"),
            IMAGE_SETS_KEY,
            volumes_key(),
            outputs_key(),
            *job("ProcessingJobs", "fetcher_repository"),
        ),
    ),
    "training": RolePermissions(
        principal=Principal.SAGEMAKER,
        purpose="TrainModel: reads a dataset, leaves a model; knows no image set",
        statements=(
            Statement(
                sid="ReadDatasetsAndLeaveModels",
                actions=("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
                resources=("{bucket}/runs/*",),
                unseen=dict.fromkeys(
                    ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"),
                    BY_SERVICE.format("SageMaker"),
                ),
            ),
            Statement(
                sid="ListRuns",
                actions=("s3:ListBucket",),
                resources=("{bucket}",),
                conditions={"StringLike": {"s3:prefix": ("runs/*",)}},
                unseen={"s3:ListBucket": BY_SERVICE.format("SageMaker")},
            ),
            objects_key("kms:GenerateDataKey", "kms:Decrypt"),
            volumes_key(),
            outputs_key(),
            *job("TrainingJobs", "trainer_repository"),
        ),
    ),
}
"""By name; for pod roles that is the component's."""
