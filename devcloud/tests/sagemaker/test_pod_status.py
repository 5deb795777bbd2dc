"""What a pod's status means for the job, from tables of real statuses."""

import pytest

from isocenter.devcloud.sagemaker.pod_status import observation, step_state

START = "2026-11-23T10:00:00Z"
T0 = 1795428000.0
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
WAITING = {"waiting": {"reason": "PodInitializing"}}
RUNNING = {"running": {"startedAt": START}}


def pod(inputs=None, step=None, outputs=None, **status):
    def states(**named):
        return [{"name": k, "state": v} for k, v in named.items() if v is not None]

    return {
        "status": {
            "phase": "Pending",
            "startTime": START,
            "initContainerStatuses": states(inputs=inputs, step=step),
            "containerStatuses": states(outputs=outputs),
            **status,
        }
    }


def ended(code, message="", reason="Error"):
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason, message="m"):
    return {"waiting": {"reason": reason, "message": message}}


UNSCHEDULABLE = [
    {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
        "lastTransitionTime": START,
    }
]


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        (pod(), "Starting"),
        (pod(WAITING, WAITING, WAITING), "Starting"),
        (pod(RUNNING, WAITING, WAITING), "Downloading"),
        (pod(DONE, WAITING, WAITING), "Downloading"),
        (pod(DONE, RUNNING, WAITING), "Training"),
        (pod(DONE, DONE, WAITING), "Uploading"),
        (pod(DONE, DONE, RUNNING, phase="Running"), "Uploading"),
        (pod(DONE, DONE, DONE, phase="Running"), "Uploading"),
        (pod(DONE, DONE, DONE, phase="Succeeded"), "Completed"),
        (pod(DONE, WAITING, WAITING, phase="Pending"), "Downloading"),
        (pod(DONE, waiting("ErrImagePull"), WAITING), "Downloading"),
        (pod(conditions=UNSCHEDULABLE), "Starting"),
    ],
)
def test_phases(status, phase):
    assert observation(status, "", T0 + 10).phase == phase


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (pod(DONE, ended(3, "CRC32 differs")), "AlgorithmError: CRC32 differs, exit"),
        (pod(DONE, ended(3, "CRC32 differs")), "differs, exit code: 3"),
        (pod(DONE, ended(1)), "AlgorithmError: container ended: Error, exit code: 1"),
        (pod(DONE, ended(137, reason="OOMKilled")), "OOMKilled), exit code: 137"),
        (pod(DONE, ended(127, "x" * 2000)), "x, exit code: 127"),
        (pod(ended(1, "No S3 objects")), "ClientError: Data download failed: No S3"),
        (pod(DONE, DONE, ended(1, "denied")), "ClientError: Data upload failed: den"),
        (pod(DONE, waiting("ErrImagePull", "404")), "step can't start: ErrImagePull"),
        (pod(DONE, waiting("ImagePullBackOff")), "ImagePullBackOff"),
        (pod(waiting("InvalidImageName")), "inputs can't start: InvalidImageName"),
        (pod(conditions=UNSCHEDULABLE), "CapacityError: Unable to provision"),
        (pod(conditions=UNSCHEDULABLE), "Insufficient cpu"),
        (pod(phase="Failed", reason="Evicted", message="disk"), "pod failed: disk"),
    ],
)
def test_failures(status, words):
    seen = observation(status, "", T0 + 1000)
    assert seen.phase == "Failed"
    assert words in seen.failure_reason
    assert len(seen.failure_reason) <= 1024


def test_an_unusable_image_name_needs_no_patience():
    status = pod(waiting("InvalidImageName"))
    assert observation(status, "", T0 + 1).phase == "Failed"


def test_a_failure_file_counts_from_its_beginning_a_log_from_its_end():
    words = "first " + "x" * 1500 + " last"
    own = observation(pod(DONE, ended(1, words)), "another log", T0)
    assert own.failure_reason.startswith("AlgorithmError: first")
    assert own.exit_message == words
    fallen_back = observation(pod(DONE, ended(1, words)), f"before\n{words}\n", T0)
    assert fallen_back.failure_reason.endswith("last, exit code: 1")
    assert fallen_back.exit_message is None


def test_the_deadline():
    status = pod(DONE, ended(137), phase="Failed", reason="DeadlineExceeded")
    seen = observation(status, "log so far", T0 + 4000)
    assert (seen.phase, seen.log) == ("MaxRuntimeExceeded", "log so far")


def test_an_exit_message_of_a_success():
    done = {"terminated": {"exitCode": 0, "message": "12 image sets"}}
    seen = observation(pod(DONE, done, DONE, phase="Succeeded"), "log", T0)
    assert seen.exit_message == "12 image sets"


def test_when_there_is_a_log():
    assert step_state(pod(DONE, RUNNING)) == "running"
    assert step_state(pod(DONE, WAITING)) == "waiting"
    assert step_state({}) is None
