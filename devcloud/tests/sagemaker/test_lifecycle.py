"""Executions, steps and jobs walk their states, by a runner that follows a script."""

import json

import pytest

from isocenter.devcloud.sagemaker.engine import Engine
from isocenter.devcloud.sagemaker.models import Observation
from isocenter.devcloud.sagemaker.operations import Operations
from isocenter.devcloud.sagemaker.runner import RunnerError
from isocenter.devcloud.sagemaker.store import Store

ROLE = "arn:aws:iam::111122223333:role/pipeline"


class ScriptedRunner:
    """Each step's observations by the job's kind or step, the last one for ever."""

    def __init__(self, **scripts):
        self.scripts = scripts
        self.started = []
        self.stopped = []
        self.start_errors = []
        self.observe_errors = []

    def start(self, job):
        if self.start_errors:
            raise self.start_errors.pop(0)
        self.started.append(job.name)

    def observe(self, job):
        if self.observe_errors:
            raise self.observe_errors.pop(0)
        step = job.name.split("-")[2]
        if job.name in self.stopped:
            return Observation("Stopped")
        script = self.scripts.setdefault(step, ["Starting", "Training", "Completed"])
        seen = script.pop(0) if len(script) > 1 else script[0]
        return seen if isinstance(seen, Observation) else Observation(seen)

    def stop(self, job):
        self.stopped.append(job.name)

    def log(self, job):
        return ""


class World:
    """An engine with a clock of its own and what it published."""

    def __init__(self, runner, definition, **start):
        self.events = []
        self.now = 1000.0
        self.runner = runner
        store = Store("111122223333", "eu-west-1")
        self.engine = Engine(store, runner, self.publish, clock=lambda: self.now)
        operations = Operations(self.engine, clock=lambda: self.now)
        operations.call(
            "CreatePipeline",
            {
                "PipelineName": "p",
                "PipelineDefinition": json.dumps(definition),
                "RoleArn": ROLE,
                "ClientRequestToken": "t" * 32,
            },
        )
        self.call = operations.call
        answer = operations.call(
            "StartPipelineExecution",
            {
                "PipelineName": "p",
                "ClientRequestToken": "t" * 32,
                "PipelineParameters": [
                    {"Name": "ImageSetId", "Value": "i"},
                    {"Name": "DatastoreId", "Value": "d"},
                ],
                **start,
            },
        )
        self.execution = store.executions[answer["PipelineExecutionArn"]]

    def publish(self, entries):
        self.events += entries

    def tick(self, times=1):
        for _ in range(times):
            self.now += 1
            self.engine.tick()
        return {name: run.status for name, run in self.execution.steps.items()}

    def walked(self, kind):
        """Statuses by the events, in the order they were sent."""
        found = []
        for event in self.events:
            detail = json.loads(event["Detail"])
            status = detail.get(f"current{kind}Status")
            if status:
                found.append((detail.get("stepName"), status))
        return found


def many(count):
    """A definition of independent steps."""
    step = {
        "Type": "Processing",
        "Arguments": {
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceType": "ml.m5.xlarge",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 30,
                }
            },
            "AppSpecification": {"ImageUri": "image:1"},
            "RoleArn": ROLE,
        },
    }
    return {
        "Version": "2020-12-01",
        "Parameters": [
            {"Name": "ImageSetId", "Type": "String"},
            {"Name": "DatastoreId", "Type": "String"},
        ],
        "Steps": [{**step, "Name": f"S{number}"} for number in range(count)],
    }


def test_nothing_is_instant(definition):
    world = World(ScriptedRunner(), definition)
    assert world.tick() == {"FetchFrames": "Starting", "Train": None}
    assert world.tick() == {"FetchFrames": "Executing", "Train": None}
    assert world.tick() == {"FetchFrames": "Executing", "Train": None}
    assert world.tick() == {"FetchFrames": "Succeeded", "Train": "Starting"}
    assert world.execution.status == "Executing"
    assert world.tick(3) == {"FetchFrames": "Succeeded", "Train": "Succeeded"}
    assert world.execution.status == "Succeeded"
    assert world.walked("PipelineExecution") == [
        (None, "Executing"),
        (None, "Succeeded"),
    ]
    assert world.walked("Step") == [
        ("FetchFrames", "Starting"),
        ("FetchFrames", "Executing"),
        ("FetchFrames", "Succeeded"),
        ("Train", "Starting"),
        ("Train", "Executing"),
        ("Train", "Succeeded"),
    ]


def test_events_are_the_documented_ones(definition):
    world = World(
        ScriptedRunner(), definition, PipelineExecutionDisplayName="run-of-uid"
    )
    world.tick(8)
    last = world.events[-1]
    execution = world.execution
    assert last["Source"] == "aws.sagemaker"
    assert last["DetailType"] == (
        "SageMaker Model Building Pipeline Execution Status Change"
    )
    assert last["Resources"] == [execution.pipeline_arn, execution.arn]
    assert json.loads(last["Detail"]) == {
        "pipelineExecutionDisplayName": "run-of-uid",
        "currentPipelineExecutionStatus": "Succeeded",
        "previousPipelineExecutionStatus": "Executing",
        "executionStartTime": "1970-01-01T00:16:40Z",
        "executionEndTime": "1970-01-01T00:16:47Z",
        "pipelineArn": execution.pipeline_arn,
        "pipelineExecutionArn": execution.arn,
    }
    step = json.loads(world.events[3]["Detail"])
    assert step["stepType"] == "Processing"
    arn = execution.steps["FetchFrames"].job.arn
    assert step["metadata"] == {"processingJob": {"arn": arn}}


def test_events_wait_for_eventbridge(definition):
    world = World(ScriptedRunner(), definition)
    publish, failures = world.publish, [OSError("away")] * 3

    def unreliable(entries):
        if failures:
            raise failures.pop()
        publish(entries)

    world.engine._publish = unreliable
    world.tick(3)
    assert world.events == []
    world.tick(5)
    assert world.walked("PipelineExecution")[0] == (None, "Executing")
    assert len(world.walked("Step")) == 6


FAILED = Observation("Failed", failure_reason="AlgorithmError: x, exit code: 1")


def test_after_a_failure_no_step_starts_and_others_end():
    runner = ScriptedRunner(
        S0=["Training", FAILED], S1=["Training"] * 6 + ["Completed"]
    )
    world = World(
        runner,
        many(3),
        ParallelismConfiguration={"MaxParallelExecutionSteps": 2},
    )
    world.tick(4)
    statuses = world.tick()
    assert statuses == {"S0": "Failed", "S1": "Executing", "S2": None}
    assert world.execution.status == "Executing"
    world.tick(5)
    assert world.execution.status == "Failed"
    assert world.execution.steps["S1"].status == "Succeeded"
    assert world.execution.failure_reason.endswith("S0")
    reason = world.execution.steps["S0"].failure_reason
    assert reason == "AlgorithmError: x, exit code: 1"


def test_parallelism():
    world = World(
        ScriptedRunner(),
        many(3),
        ParallelismConfiguration={"MaxParallelExecutionSteps": 1},
    )
    assert list(world.tick().values()) == ["Starting", None, None]
    world.tick(20)
    assert world.execution.status == "Succeeded"


def test_stop_waits_for_the_job(definition):
    world = World(ScriptedRunner(FetchFrames=["Starting", "Training"]), definition)
    world.tick(3)
    world.call(
        "StopPipelineExecution",
        {
            "PipelineExecutionArn": world.execution.arn,
            "ClientRequestToken": "s" * 32,
        },
    )
    assert world.execution.status == "Stopping"
    world.tick(2)
    assert world.execution.status == "Stopped"
    assert world.runner.stopped == [world.execution.steps["FetchFrames"].job.name]
    assert [status for _, status in world.walked("PipelineExecution")] == [
        "Executing",
        "Stopping",
        "Stopped",
    ]


def test_stop_before_the_first_step(definition):
    world = World(ScriptedRunner(), definition)
    world.call(
        "StopPipelineExecution",
        {
            "PipelineExecutionArn": world.execution.arn,
            "ClientRequestToken": "s" * 32,
        },
    )
    assert world.tick() == {"FetchFrames": None, "Train": None}
    assert world.execution.status == "Stopped"


def test_a_runner_that_is_away_is_asked_again(definition):
    runner = ScriptedRunner()
    runner.start_errors = [RunnerError("away"), RunnerError("away")]
    runner.observe_errors = [RunnerError("away")]
    world = World(runner, definition)
    assert world.tick(2)["FetchFrames"] == "Starting"
    world.tick(10)
    assert world.execution.status == "Succeeded"
    assert len(runner.started) == 2


def test_a_runner_that_refuses_fails_the_step(definition):
    runner = ScriptedRunner()
    runner.start_errors = [RunnerError("forbidden: no quota", permanent=True)]
    world = World(runner, definition)
    world.tick()
    run = world.execution.steps["FetchFrames"]
    assert run.status == "Failed"
    assert "forbidden: no quota" in run.failure_reason
    assert world.execution.status == "Failed"


def test_arguments_that_make_no_job_fail_the_step(definition):
    definition["Steps"][0]["Arguments"]["StoppingCondition"] = {
        "MaxRuntimeInSeconds": {"Get": "Parameters.ImageSetId"}
    }
    world = World(ScriptedRunner(), definition)
    world.tick()
    reason = world.execution.steps["FetchFrames"].failure_reason
    assert "sagemaker:CreateProcessingJob" in reason
    assert "axRuntimeInSeconds" in reason


@pytest.mark.parametrize(
    ("phase", "job_status", "words"),
    [
        ("MaxRuntimeExceeded", "Stopped", "longer than its MaxRuntimeInSeconds"),
        ("Stopped", "Stopped", "ended as Stopped"),
    ],
)
def test_a_job_that_ends_by_itself_otherwise(definition, phase, job_status, words):
    world = World(ScriptedRunner(FetchFrames=["Training", phase]), definition)
    world.tick(4)
    run = world.execution.steps["FetchFrames"]
    assert (run.status, run.job.status) == ("Failed", job_status)
    assert words in run.failure_reason
    assert world.execution.status == "Failed"


def test_a_fault_of_the_service_is_not_the_clients(definition):
    reason = "InternalServerError: the step's pod failed"
    world = World(
        ScriptedRunner(FetchFrames=[Observation("Failed", failure_reason=reason)]),
        definition,
    )
    world.tick(4)
    assert world.execution.steps["FetchFrames"].failure_reason == reason
