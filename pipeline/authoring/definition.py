# ruff: noqa: INP001 - a script beside the package, not in one
"""Builds the default pipeline with the SageMaker Python SDK 3.x and prints it.

The answer is the template that isocenter.pipeline ships as definition.json: the
SDK decides on the shape, isocenter.pipeline.definition fills in images, role and
bucket at run time. Account, bucket and images here are placeholders of AWS's
documentation account. Run by generate.sh in a virtual environment of its own
(the SDK is 1 GB); it needs neither credentials nor a network.
"""

import json
import sys
from typing import Any

import boto3
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    MetricDefinition,
    ProcessingOutput,
    ProcessingS3Output,
)
from sagemaker.core.training.configs import (
    Compute,
    InputData,
    Networking,
    OutputDataConfig,
    StoppingCondition,
)
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.parameters import ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.retry import (
    SageMakerJobExceptionTypeEnum,
    SageMakerJobStepRetryPolicy,
)
from sagemaker.mlops.workflow.steps import ProcessingStep, TrainingStep
from sagemaker.train.model_trainer import ModelTrainer

REGION = "us-east-1"
ROLE = "arn:aws:iam::111122223333:role/isocenter-pipeline"
REGISTRY = f"111122223333.dkr.ecr.{REGION}.amazonaws.com/isocenter"
BUCKET = "isocenter-111122223333"

# SageMaker refuses an empty string as a parameter's value and as a container
# argument, whatever the API model says; the fetcher counts this word as absent.
ABSENT = "none"

NUMBER = r"([-+]?[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?)"
METRICS = (
    "train:loss",
    "validation:psnr_noisy_db",
    "validation:psnr_denoised_db",
    "validation:psnr_gain_db",
)


def retry_of_service_faults() -> list[SageMakerJobStepRetryPolicy]:
    """Retries what AWS may cure; a container's own failure is never repeated."""
    return [
        SageMakerJobStepRetryPolicy(
            failure_reason_types=[
                SageMakerJobExceptionTypeEnum.INTERNAL_ERROR,
                SageMakerJobExceptionTypeEnum.CAPACITY_ERROR,
            ],
            interval_seconds=60,
            backoff_rate=2.0,
            max_attempts=3,
        )
    ]


def build(session: PipelineSession) -> dict[str, Any]:
    """The definition: parameters, FetchImageData and TrainModel."""
    datastore = ParameterString(name="DatastoreId", default_value=ABSENT)
    image_set = ParameterString(name="ImageSetId", default_value=ABSENT)
    request = ParameterString(name="RequestS3Uri", default_value=ABSENT)
    output = ParameterString(
        name="OutputS3Uri", default_value=f"s3://{BUCKET}/runs/manual"
    )
    execution = ExecutionVariables.PIPELINE_EXECUTION_ID

    fetcher = Processor(
        role=ROLE,
        image_uri=f"{REGISTRY}/fetcher:placeholder",
        instance_count=1,
        instance_type="ml.m5.xlarge",
        volume_size_in_gb=100,
        max_runtime_in_seconds=6 * 3600,
        entrypoint=["isocenter-fetcher"],
        # boto3 reads the second, newer AWS SDKs the first.
        env={"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION},
        sagemaker_session=session,
    )
    fetch = ProcessingStep(
        name="FetchImageData",
        step_args=fetcher.run(
            arguments=[
                "fetch",
                "--datastore-id",
                datastore,
                "--image-set-id",
                image_set,
                "--request-s3-uri",
                request,
                "--output-dir",
                "/opt/ml/processing/output",
            ],
            outputs=[
                ProcessingOutput(
                    output_name="dataset",
                    s3_output=ProcessingS3Output(
                        s3_uri=Join(on="/", values=[output, execution, "dataset"]),
                        local_path="/opt/ml/processing/output",
                        s3_upload_mode="EndOfJob",
                    ),
                )
            ],
        ),
        retry_policies=retry_of_service_faults(),
    )

    trainer = ModelTrainer(
        sagemaker_session=session,
        role=ROLE,
        base_job_name="isocenter-train",
        training_image=f"{REGISTRY}/trainer:placeholder",
        compute=Compute(
            instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=100
        ),
        # The training container needs no network: SageMaker itself moves the data.
        networking=Networking(enable_network_isolation=True),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=3600),
        output_data_config=OutputDataConfig(
            s3_output_path=Join(on="/", values=[output, execution, "model"])
        ),
        hyperparameters={
            "steps": 200,
            "batch": 16,
            "patch": 40,
            "features": 24,
            "depth": 5,
            "learning_rate": 0.002,
            "sigma": 0.1,
            "seed": 20200101,
        },
    ).with_metric_definitions(
        [MetricDefinition(name=name, regex=f"{name}={NUMBER};") for name in METRICS]
    )
    outputs = fetch.properties.ProcessingOutputConfig.Outputs
    train = TrainingStep(
        name="TrainModel",
        step_args=trainer.train(
            input_data_config=[
                InputData(
                    channel_name="dataset",
                    data_source=outputs["dataset"].S3Output.S3Uri,
                )
            ]
        ),
        retry_policies=retry_of_service_faults(),
    )

    pipeline = Pipeline(
        name="ahi-mlops-pipeline",
        parameters=[datastore, image_set, request, output],
        pipeline_experiment_config=None,
        steps=[fetch, train],
        sagemaker_session=session,
    )
    return finish(json.loads(pipeline.definition()))


def finish(definition: dict[str, Any]) -> dict[str, Any]:
    """What the SDK cannot say or says too much of."""
    # Null for "no experiment": leaving them out asks for no experiment rights.
    for unused in ("PipelineExperimentConfig", "MlflowConfig"):
        if definition[unused] is not None:
            raise SystemExit(f"the SDK set {unused}; the pipeline must not have one")
        del definition[unused]
    # ModelTrainer names an entrypoint only for source code that it uploads itself;
    # the API takes one for any image (CreateTrainingJob, AlgorithmSpecification).
    train = next(step for step in definition["Steps"] if step["Name"] == "TrainModel")
    train["Arguments"]["AlgorithmSpecification"]["ContainerEntrypoint"] = [
        "isocenter-train"
    ]
    return definition


def main() -> None:
    """Print the template as it is committed."""
    session = PipelineSession(
        boto_session=boto3.Session(
            region_name=REGION,
            # Nothing is signed: the session only wants some credentials to exist.
            aws_access_key_id="unused",
            aws_secret_access_key="unused",  # noqa: S106 - not a secret
        ),
        default_bucket=BUCKET,
    )
    sys.stdout.write(json.dumps(build(session), indent=2) + "\n")


if __name__ == "__main__":
    main()
