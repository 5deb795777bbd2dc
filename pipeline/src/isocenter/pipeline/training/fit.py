"""Fits the network to the training planes and judges it on the held-out ones."""

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax

from isocenter.pipeline.training.errors import DivergedError, StoppedError
from isocenter.pipeline.training.hyperparameters import Hyperparameters
from isocenter.pipeline.training.network import (
    Parameters,
    estimated_noise,
    initial,
)
from isocenter.pipeline.training.partition import Partition, Plane
from isocenter.pipeline.training.patches import draw

log = logging.getLogger(__name__)

_LOG_EVERY = 25
_VALIDATION_BATCHES = 4
_DIVERGED = 100.0
"""Multiples of the noise's variance, which is the loss of a network that does
nothing and of ours at the start."""


@dataclass(frozen=True)
class Metrics:
    """Peak signal-to-noise ratios on held-out patches, in dB; the peak is 1."""

    psnr_noisy_db: float
    psnr_denoised_db: float

    @property
    def psnr_gain_db(self) -> float:
        """How much the network improves."""
        return self.psnr_denoised_db - self.psnr_noisy_db


@dataclass(frozen=True)
class Fitted:
    """The result; ``steps`` is less than asked for if SIGTERM came."""

    parameters: Parameters
    steps: int
    loss: float
    metrics: Metrics


def fit(partition: Partition, hyper: Hyperparameters, stop: threading.Event) -> Fitted:
    """Train for ``hyper.steps`` steps, or until ``stop`` is set.

    The same dataset, hyperparameters and versions give the same result.

    Raises:
        DivergedError: the loss is far above what it was at the start.
        StoppedError: ``stop`` was set before the first step was done.
    """
    rng = np.random.default_rng(hyper.seed)
    parameters = initial(hyper.seed, features=hyper.features, depth=hyper.depth)
    optimiser = optax.adam(
        optax.cosine_decay_schedule(hyper.learning_rate, hyper.steps)
    )
    state = optimiser.init(parameters)

    def loss_of(
        parameters: Parameters, clean: jax.Array, noise: jax.Array
    ) -> jax.Array:
        return jnp.mean((estimated_noise(parameters, clean + noise) - noise) ** 2)

    def update(
        parameters: Parameters, state: object, clean: jax.Array, noise: jax.Array
    ) -> tuple[Parameters, object, jax.Array]:
        loss, gradient = jax.value_and_grad(loss_of)(parameters, clean, noise)
        updates, state = optimiser.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss

    step = jax.jit(update)
    loss, done = math.nan, 0
    while done < hyper.steps and not stop.is_set():
        clean = draw(partition.train, rng, hyper.batch, hyper.patch)
        noise = _noise(rng, clean.shape, hyper.sigma)
        parameters, state, latest = step(parameters, state, clean, noise)
        done += 1
        if done % _LOG_EVERY == 0 or done in {1, hyper.steps}:
            loss = float(latest)
            if not loss <= _DIVERGED * hyper.sigma**2:
                raise DivergedError(
                    f"the loss is {loss:.3g} after step {done}, a network that does "
                    f"nothing has {hyper.sigma**2:.3g}: lower learning_rate"
                )
            log.info("step %d of %d; train:loss=%.8f;", done, hyper.steps, loss)
    if not done:
        raise StoppedError("stopped before the first training step")
    return Fitted(
        parameters, done, loss, judge(parameters, partition.validation, hyper)
    )


def judge(
    parameters: Parameters, planes: Sequence[Plane], hyper: Hyperparameters
) -> Metrics:
    """PSNR before and after, over patches that depend on the seed alone.

    Raises:
        DivergedError: the network's answer is not finite.
    """
    rng = np.random.default_rng([hyper.seed, 1])
    estimate = jax.jit(estimated_noise)
    before = after = 0.0
    for _ in range(_VALIDATION_BATCHES):
        clean = draw(planes, rng, hyper.batch, hyper.patch)
        noise = _noise(rng, clean.shape, hyper.sigma)
        left = noise - np.asarray(estimate(parameters, clean + noise))
        before += float(np.mean(noise.astype(np.float64) ** 2))
        after += float(np.mean(left.astype(np.float64) ** 2))
    if not math.isfinite(after):
        raise DivergedError("the network answers no numbers: lower learning_rate")
    metrics = Metrics(
        psnr_noisy_db=-10 * math.log10(before / _VALIDATION_BATCHES),
        psnr_denoised_db=-10 * math.log10(after / _VALIDATION_BATCHES),
    )
    # These lines are what the pipeline's MetricDefinitions read.
    log.info("validation:psnr_noisy_db=%.4f;", metrics.psnr_noisy_db)
    log.info("validation:psnr_denoised_db=%.4f;", metrics.psnr_denoised_db)
    log.info("validation:psnr_gain_db=%.4f;", metrics.psnr_gain_db)
    if metrics.psnr_gain_db <= 0:
        log.warning("the network does not improve held-out images: train for longer")
    return metrics


def _noise(
    rng: np.random.Generator, shape: tuple[int, ...], sigma: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.float32(sigma) * rng.standard_normal(shape, dtype=np.float32)
