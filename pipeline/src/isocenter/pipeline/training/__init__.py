"""The training step: a self-supervised denoiser of the fetched volumes.

Runs in the trainer image as SageMaker runs any training container: input under
``/opt/ml/input``, model to ``/opt/ml/model``, reason of a failure to
``/opt/ml/output/failure`` (SageMaker developer guide, "How Amazon SageMaker AI
runs your training image"). Needs the ``train`` extra: jax, numpy, optax.
"""
