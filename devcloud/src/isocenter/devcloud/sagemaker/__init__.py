"""SageMaker pipelines: definitions parsed, executions walked, steps really run."""
