"""What each role may do and may not, by the policies as they are deployed."""

import json

import pytest
from infra.policy_evaluation import allowed
from isocenter_infra.permissions import ROLES

S3 = {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}
IMAGING = {"kms:ViaService": "medical-imaging.eu-west-1.amazonaws.com"}
TO_SAGEMAKER = {"iam:PassedToService": "sagemaker.amazonaws.com"}
TO_IMAGING = {"iam:PassedToService": "medical-imaging.amazonaws.com"}
FRAME, SET = "medical-imaging:GetImageFrame", "medical-imaging:GetImageSet"

MAY = [
    ("Storescp", "s3:PutObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Storescp", "s3:PutObject", "{bucket}/quarantine/damaged/0f.dcm", {}),
    ("Storescp", "s3:GetObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Storescp", "s3:GetObject", "{bucket}/import-output/b1/success.ndjson", {}),
    ("Storescp", "s3:DeleteObject", "{bucket}/quarantine/damaged/0f.dcm", {}),
    ("Storescp", "s3:ListBucket", "{bucket}", {}),
    ("Storescp", "s3:PutObject", "{bucket}/batches/b1.json", {}),
    ("Storescp", "s3:AbortMultipartUpload", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Storescp", "kms:GenerateDataKey", "{key}", {**S3, "objects": "yes"}),
    ("TlmProxy", FRAME, "{datastore}", {}),
    ("TlmProxy", FRAME, "{datastore}/imageset/1", {}),
    ("TlmProxy", "medical-imaging:SearchImageSets", "{datastore}", {}),
    ("TlmProxy", "s3:GetObject", "{bucket}/runs/n/r/attempt-1/request.json", {}),
    ("Fetcher", FRAME, "{datastore}/imageset/1", {}),
    ("Fetcher", "s3:PutObject", "{bucket}/runs/n/r/attempt-1/e/dataset/a.npy", {}),
    ("Operator", "medical-imaging:StartDICOMImportJob", "{datastore}", {}),
    ("Operator", "iam:PassRole", "{import}", TO_IMAGING),
    ("Operator", "sagemaker:StartPipelineExecution", "{pipeline}", {}),
    ("Operator", "sagemaker:DescribePipelineExecution", "{pipeline}/execution/e", {}),
    ("Operator", "s3:PutObject", "{bucket}/runs/n/r/attempt-1/request.json", {}),
    (
        "Operator",
        "s3:GetObject",
        "{bucket}/import-output/x/job-output-manifest.json",
        {},
    ),
    ("Intake", "sqs:ReceiveMessage", "{queue}", {}),
    ("Intake", "sqs:DeleteMessage", "{queue}", {}),
    ("Intake", "s3:GetObject", "{bucket}/batches/b1.json", {}),
    ("Intake", "s3:ListBucket", "{bucket}", {"s3:prefix": "batches/"}),
    ("Intake", "medical-imaging:SearchImageSets", "{datastore}", {}),
    (
        "Intake",
        "kms:Decrypt",
        "{key}",
        {"kms:ViaService": "sqs.eu-west-1.amazonaws.com"},
    ),
    ("Pipeline", "sagemaker:CreatePipeline", "{pipeline}", {}),
    ("Pipeline", "iam:PassRole", "{sagemaker}", TO_SAGEMAKER),
    ("Import", "s3:GetObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Import", "s3:PutObject", "{bucket}/import-output/x", {}),
    ("Import", "s3:ListBucket", "{bucket}", {}),
    ("SageMaker", "sagemaker:CreateTrainingJob", "{jobs}:training-job/pipelines-x", {}),
    ("SageMaker", "iam:PassRole", "{processing}", TO_SAGEMAKER),
    ("SageMaker", "iam:PassRole", "{training}", TO_SAGEMAKER),
    ("Processing", FRAME, "{datastore}/imageset/1", {}),
    ("Processing", "kms:Decrypt", "{key}", IMAGING),
    ("Processing", "s3:PutObject", "{bucket}/runs/n/r/attempt-1/e/dataset/a.npy", {}),
    ("Training", "s3:GetObject", "{bucket}/runs/n/r/attempt-1/e/dataset/a.npy", {}),
    (
        "Training",
        "s3:PutObject",
        "{bucket}/runs/n/r/attempt-1/e/model/model.tar.gz",
        {},
    ),
]
MAY_NOT = [
    # a role writes and reads under its own prefixes only
    ("Storescp", "s3:GetObject", "{bucket}/runs/a/b/request.json", {}),
    ("Storescp", "s3:DeleteObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Storescp", "s3:PutObject", "{bucket}/runs/x", {}),
    ("Storescp", "s3:PutObject", "{bucket}/import-output/x", {}),
    ("Storescp", "s3:PutObject", "arn:aws:s3:::another/DICOM/1", {}),
    ("Storescp", "iam:PassRole", "{import}", TO_IMAGING),
    ("Storescp", FRAME, "{datastore}/imageset/1", {}),
    ("Storescp", "kms:Decrypt", "{key}", {}),
    ("Storescp", "kms:Decrypt", "{key}", IMAGING),
    ("TlmProxy", "s3:GetObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("TlmProxy", "s3:PutObject", "{bucket}/runs/x", {}),
    ("TlmProxy", FRAME, "{other_datastore}/imageset/1", {}),
    ("TlmProxy", "medical-imaging:DeleteImageSet", "{datastore}/imageset/1", {}),
    (
        "TlmProxy",
        "medical-imaging:UpdateImageSetMetadata",
        "{datastore}/imageset/1",
        {},
    ),
    ("TlmProxy", "medical-imaging:StoreDICOM", "{datastore}", {}),
    ("Fetcher", "s3:GetObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Fetcher", "s3:DeleteObject", "{bucket}/runs/n/r/x", {}),
    ("Fetcher", "sagemaker:StartPipelineExecution", "{pipeline}", {}),
    ("Operator", "s3:GetObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Operator", FRAME, "{datastore}/imageset/1", {}),
    ("Operator", "sqs:ReceiveMessage", "{queue}", {}),
    ("Operator", "iam:PassRole", "{import}", {}),
    ("Operator", "iam:PassRole", "{import}", TO_SAGEMAKER),
    ("Operator", "iam:PassRole", "{sagemaker}", TO_SAGEMAKER),
    ("Operator", "sagemaker:StartPipelineExecution", "{pipeline}-another", {}),
    ("Operator", "sagemaker:UpdatePipeline", "{pipeline}", {}),
    ("Intake", "sqs:ReceiveMessage", "{dead_letters}", {}),
    ("Intake", "sqs:SendMessage", "{queue}", {}),
    ("Intake", "sqs:PurgeQueue", "{queue}", {}),
    ("Intake", "s3:ListBucket", "{bucket}", {"s3:prefix": "DICOM/"}),
    ("Intake", "s3:ListBucket", "{bucket}", {}),
    ("Intake", "s3:GetObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Intake", "medical-imaging:StartDICOMImportJob", "{datastore}", {}),
    ("Pipeline", "sagemaker:StartPipelineExecution", "{pipeline}", {}),
    ("Pipeline", "sagemaker:DeletePipeline", "{pipeline}", {}),
    ("Pipeline", "sagemaker:CreatePipeline", "{pipeline}-another", {}),
    ("Pipeline", "iam:PassRole", "{processing}", TO_SAGEMAKER),
    ("Pipeline", "iam:PassRole", "{sagemaker}", {}),
    ("Import", "s3:PutObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Import", "s3:GetObject", "{bucket}/runs/x", {}),
    ("Import", "s3:DeleteObject", "{bucket}/import-output/x", {}),
    ("SageMaker", "sagemaker:CreateTrainingJob", "{jobs}:training-job/mine", {}),
    ("SageMaker", "s3:GetObject", "{bucket}/runs/x", {}),
    ("SageMaker", "iam:PassRole", "{import}", TO_SAGEMAKER),
    ("Processing", "s3:GetObject", "{bucket}/DICOM/b1/1.2.dcm", {}),
    ("Processing", "iam:PassRole", "{training}", TO_SAGEMAKER),
    # training has the dataset, never the images or the names in them
    ("Training", FRAME, "{datastore}/imageset/1", {}),
    ("Training", SET, "{datastore}/imageset/1", {}),
    ("Training", "medical-imaging:GetImageSetMetadata", "{datastore}/imageset/1", {}),
    ("Training", "kms:Decrypt", "{key}", IMAGING),
    ("Training", "s3:GetObject", "{bucket}/batches/b1.json", {}),
]
ROLE_OUTPUTS = (
    *("Storescp", "TlmProxy", "Fetcher", "Operator", "Intake", "Pipeline"),
    *("Import", "SageMaker", "Processing", "Training"),
)


@pytest.fixture(scope="module")
def names(outputs):
    region, account = outputs["QueueArn"].split(":")[3:5]
    imaging = f"arn:aws:medical-imaging:{region}:{account}:datastore/"
    name = outputs["PipelineName"]
    return {
        "bucket": f"arn:aws:s3:::{outputs['ReceiveBucketName']}",
        "datastore": imaging + outputs["DatastoreId"],
        "other_datastore": imaging + "0" * 32,
        "queue": outputs["QueueArn"],
        "dead_letters": outputs["QueueArn"].rpartition(":")[0]
        + ":"
        + outputs["DlqUrl"].rpartition("/")[2],
        "key": outputs["KmsKeyArn"],
        "pipeline": f"arn:aws:sagemaker:{region}:{account}:pipeline/{name}",
        "jobs": f"arn:aws:sagemaker:{region}:{account}",
        "import": outputs["ImportRoleArn"],
        "sagemaker": outputs["SageMakerRoleArn"],
        "processing": outputs["ProcessingRoleArn"],
        "training": outputs["TrainingRoleArn"],
    }


@pytest.fixture
def may(role_statements, names):
    def ask(role, action, resource, context):
        context = dict(context)
        if context.pop("objects", None):
            context["kms:EncryptionContext:aws:s3:arn"] = names["bucket"]
        statements = role_statements(f"{role}RoleArn")
        return allowed(statements, action, resource.format_map(names), context)

    return ask


@pytest.mark.parametrize(("role", "action", "resource", "context"), MAY)
def test_may(may, role, action, resource, context):
    assert may(role, action, resource, context)


@pytest.mark.parametrize(("role", "action", "resource", "context"), MAY_NOT)
def test_may_not(may, role, action, resource, context):
    assert not may(role, action, resource, context)


@pytest.mark.parametrize("role", ROLE_OUTPUTS)
def test_no_action_is_a_pattern_and_no_resource_everything(role_statements, role):
    no_resource = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}
    for statement in role_statements(f"{role}RoleArn"):
        assert not [each for each in statement["Action"] if "*" in each]
        if "*" in statement["Resource"]:
            assert set(statement["Action"]) <= no_resource


@pytest.mark.parametrize("role", ROLE_OUTPUTS)
def test_who_takes_a_role(deployed, outputs, role):
    arn = outputs[f"{role}RoleArn"]
    document = deployed.client("iam").get_role(RoleName=arn.rpartition("/")[2])["Role"][
        "AssumeRolePolicyDocument"
    ]
    document = json.loads(document) if isinstance(document, str) else document
    (statement,) = document["Statement"]
    condition = statement["Condition"]
    assert condition["StringEquals"]["aws:SourceAccount"] == arn.split(":")[4]
    service = statement["Principal"]["Service"]
    actions = statement["Action"]
    if service == "pods.eks.amazonaws.com":
        assert set(actions) == {"sts:AssumeRole", "sts:TagSession"}
        equal = condition["StringEquals"]
        assert equal["aws:RequestTag/eks-cluster-name"] == outputs["ClusterName"]
        assert equal["aws:RequestTag/kubernetes-namespace"] == outputs["Namespace"]
        account = equal["aws:RequestTag/kubernetes-service-account"]
        assert account.replace("-", "").removeprefix("isocenter") == role.lower()
    else:
        assert actions in ("sts:AssumeRole", ["sts:AssumeRole"])
        expected = "medical-imaging" if role == "Import" else "sagemaker"
        assert service == f"{expected}.amazonaws.com"
        if role == "Import":
            assert outputs["DatastoreId"] in condition["ArnLike"]["aws:SourceArn"]


def test_every_role_is_looked_at(outputs):
    outputs_of_roles = {name for name in outputs if name.endswith("RoleArn")}
    assert {f"{role}RoleArn" for role in ROLE_OUTPUTS} == outputs_of_roles
    assert len(ROLES) == len(ROLE_OUTPUTS)
