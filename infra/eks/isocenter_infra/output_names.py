"""Names of the outputs: a contract with ``values``, scripts and people."""

from collections.abc import Mapping

DATA_OUTPUTS: Mapping[str, str] = {
    "SageMakerBucketName": "bucket of runs; it is the one that receives",
    "FetcherImageUri": "repository of the pipeline's first step",
    "SageMakerRoleArn": "role of the SageMaker pipeline",
    "CreatePipelineCommand": "creates or updates the SageMaker pipeline",
    "ReceiveBucketName": "bucket of received instances and batches",
    "ImportRoleArn": "role that HealthImaging takes for imports",
    "QueueUrl": "queue of events",
    "QueueArn": "the same",
    "DlqUrl": "queue of events that could not be used",
    "DatastoreId": "HealthImaging data store",
    "PipelineName": "SageMaker pipeline",
    "UserPoolId": "Cognito user pool",
    "UserPoolClientId": "the viewer in it",
    "UserPoolDomain": "where its users log in",
    "KmsKeyArn": "key of everything",
    "EventRuleArn": "rule of new image sets",
    "StorescpRoleArn": "pod role",
    "TlmProxyRoleArn": "pod role",
    "FetcherRoleArn": "pod role",
    "OperatorRoleArn": "pod role",
    "IntakeRoleArn": "pod role",
    "PipelineRoleArn": "pod role of the chart's Job that creates the pipeline",
    "ProcessingRoleArn": "role of the pipeline's first step",
    "TrainingRoleArn": "role of its second step",
    "StorescpImageUri": "repository",
    "TlmProxyImageUri": "repository",
    "ViewerImageUri": "repository",
    "OperatorImageUri": "repository; intake's image too",
    "TrainerImageUri": "repository of the pipeline's second step",
    "ImageRegistry": "registry that has the repositories",
    "Region": "of everything",
    "Namespace": "that the chart's release belongs in",
    "ReleaseName": "that the chart's release must have",
    "Domain": "host name of the viewer",
}
"""Output of IsocenterData -> what it is."""
CERTIFICATE_OUTPUT = "CertificateArn"
"""Only if a certificate is named."""
CLUSTER_OUTPUTS: Mapping[str, str] = {"ClusterName": "EKS cluster"}
"""Output of IsocenterCluster -> what it is."""
