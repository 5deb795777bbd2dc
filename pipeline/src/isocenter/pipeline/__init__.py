"""The default SageMaker pipeline, its deployment and its training step."""

from isocenter.pipeline.deployment import Pipeline, get_pipeline

__all__ = ["Pipeline", "get_pipeline"]
