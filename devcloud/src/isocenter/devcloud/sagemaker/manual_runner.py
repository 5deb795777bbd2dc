"""Executor `manual`: a control call says how a step ends.

For contract tests without a cluster; the calls are under `/_devcloud/sagemaker/`.
"""

import threading

from isocenter.devcloud.sagemaker.models import Job, Observation


class ManualRunner:
    """Jobs stay in Training until `end` is called for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends: dict[str, Observation] = {}

    def start(self, job: Job) -> None:
        """Nothing to begin."""

    def observe(self, job: Job) -> Observation:
        """Starting, then Training, then what `end` said."""
        with self._lock:
            end = self._ends.get(job.name)
        if not job.transitions:
            return Observation("Starting")
        if end is None or job.secondary == "Starting":
            return Observation("Training")
        return end

    def stop(self, job: Job) -> None:
        """The job ends as Stopped, unless its end was said before."""
        with self._lock:
            self._ends.setdefault(job.name, Observation("Stopped"))

    def log(self, job: Job) -> str:
        """The log given with the end."""
        with self._lock:
            end = self._ends.get(job.name)
        return (end.log if end else None) or ""

    def end(self, job: Job, observation: Observation) -> bool:
        """Say how the job ends; False when that was said before."""
        with self._lock:
            return self._ends.setdefault(job.name, observation) is observation
