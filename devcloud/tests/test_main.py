"""The whole cloud in one process, and the console script's two sides."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest
import yaml
from fastapi import FastAPI

from isocenter.devcloud.cloud import DevCloud
from isocenter.devcloud.main import main
from isocenter.devcloud.seed import SeedError
from isocenter.devcloud.settings import Settings

ROLE = "arn:aws:iam::111122223333:role/pipeline"


@pytest.fixture
def settings(settings, tmp_path):
    seed = tmp_path / "seed.yaml"
    arn = "arn:aws:sqs:${region}:${account}:events"
    calls = [
        ("s3", "CreateBucket", {"Bucket": "data"}),
        ("sqs", "CreateQueue", {"QueueName": "events"}),
        (
            "events",
            "PutRule",
            {"Name": "all", "EventPattern": '{"source":["aws.sagemaker"]}'},
        ),
        (
            "events",
            "PutTargets",
            {"Rule": "all", "Targets": [{"Id": "queue", "Arn": arn}]},
        ),
    ]
    keys = ("service", "operation", "parameters")
    seed.write_text(yaml.safe_dump([dict(zip(keys, c, strict=True)) for c in calls]))
    return settings.model_copy(update={"seed_file": seed})


def health(url):
    try:
        with urllib.request.urlopen(f"{url}/_devcloud/health", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_sagemaker_s_events_arrive_in_a_queue(cloud, definition_text, eventually):
    assert health(cloud.endpoints.sagemaker) == 200
    sagemaker, sqs = cloud.client("sagemaker"), cloud.client("sqs")
    sagemaker.create_pipeline(
        PipelineName="p", PipelineDefinition=definition_text, RoleArn=ROLE
    )
    arn = sagemaker.start_pipeline_execution(
        PipelineName="p",
        PipelineParameters=[
            {"Name": "ImageSetId", "Value": "i"},
            {"Name": "DatastoreId", "Value": "d"},
        ],
    )["PipelineExecutionArn"]
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn)
    url = sqs.get_queue_url(QueueName="events")["QueueUrl"]
    seen = []

    def stopped():
        messages = sqs.receive_message(QueueUrl=url).get("Messages", [])
        seen.extend(json.loads(message["Body"]) for message in messages)
        details = [one["detail"] for one in seen]
        return any(
            d.get("currentPipelineExecutionStatus") == "Stopped" for d in details
        )

    assert eventually(stopped)
    assert {one["source"] for one in seen} == {"aws.sagemaker"}
    assert seen[0]["resources"][1] == arn
    sagemaker.close()
    sqs.close()


def test_not_ready_before_the_seed_is_applied(settings):
    cloud = DevCloud(settings, lambda **_: FastAPI())
    applied, seen = threading.Event(), []
    original = cloud.client

    def slow(service):
        seen.append(health(cloud.endpoints.sagemaker))
        applied.set()
        return original(service)

    cloud.client = slow
    with cloud:
        assert health(cloud.endpoints.sagemaker) == 200
    assert set(seen) == {503}
    assert health(cloud.endpoints.sagemaker) is None


def test_a_seed_that_is_refused_stops_the_start(settings, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("[{service: sqs, operation: CreateQueues}]")
    cloud = DevCloud(
        settings.model_copy(update={"seed_file": bad}), lambda **_: FastAPI()
    )
    with pytest.raises(SeedError), cloud:
        pass
    assert health(cloud.endpoints.sagemaker) is None


def test_wrong_settings_name_themselves(monkeypatch):
    monkeypatch.setenv("DEVCLOUD_ACCOUNT_ID", "12")
    with pytest.raises(ValueError, match="account_id"):
        Settings()


def test_step_pods_are_led_here():
    environment = Settings(public_url="http://dc.ns.svc/").endpoints()
    assert environment["AWS_ENDPOINT_URL"] == "http://dc.ns.svc:5000"
    assert environment["AWS_ENDPOINT_URL_SAGEMAKER"] == "http://dc.ns.svc:5002"
    assert environment["AWS_DISABLE_HOST_PREFIX_INJECTION"] == "true"


@pytest.fixture
def led_here(cloud, monkeypatch):
    for name, value in cloud.settings.endpoints().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoints.aws)


def test_inputs_and_outputs_over_the_wire(cloud, led_here, tmp_path, capsys):
    results, again = tmp_path / "results", tmp_path / "again"
    results.mkdir()
    (results / "a.txt").write_text("a")
    trees = [{"path": str(results), "uri": "s3://data/run"}]
    assert main(["outputs", json.dumps({"trees": trees, "archives": []})]) == 0
    source = {
        "name": "in",
        "uri": "s3://data/run/",
        "type": "S3Prefix",
        "path": str(again),
    }
    plan = {"directories": [], "files": {}, "downloads": [source]}
    assert main(["inputs", json.dumps(plan)]) == 0
    assert (again / "a.txt").read_text() == "a"
    source["uri"] = "s3://data/none/"
    assert main(["inputs", json.dumps(plan)]) == 1
    assert "No S3 objects found" in capsys.readouterr().err
    source["uri"] = "s3://no-such-bucket/x"
    assert main(["inputs", json.dumps(plan)]) == 1
    assert "NoSuchBucket" in capsys.readouterr().err


@pytest.mark.timeout(120)
def test_the_process_ends_by_sigterm(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "isocenter.devcloud.main"],
        env={
            **os.environ,
            "DEVCLOUD_AWS_PORT": "0",
            "DEVCLOUD_HEALTHIMAGING_PORT": "0",
            "DEVCLOUD_SAGEMAKER_PORT": "0",
            "DEVCLOUD_DATA_DIR": str(tmp_path),
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stderr:
            if "ready" in json.loads(line)["message"]:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.stderr.close()
