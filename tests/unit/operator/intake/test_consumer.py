import threading

import pytest
from kubernetes.client.exceptions import ApiException

from isocenter.core.errors import RefusedError, UnavailableError
from isocenter.operator.intake.consumer import Consumer

ONE = "1" * 32
BATCH = "20261123t100000-pod-0"


@pytest.fixture
def consumer(queue, reactions, tally):
    return Consumer(
        queue, reactions, tally, batches_prefix="batches/", max_backoff_s=900
    )


def test_a_sealed_batch_becomes_an_import(
    consumer, queue, s3, stored, batch_event, manifest
):
    s3.objects[f"batches/{BATCH}.json"] = manifest
    queue.send(batch_event)
    consumer.once()
    job = stored("dicomimportjobs", BATCH)
    assert job["spec"]["inputS3Uri"] == f"s3://a-bucket/DICOM/{BATCH}/"
    assert not queue.messages


def test_an_image_set_becomes_a_run_of_each_trigger(
    consumer, queue, healthimaging_api, stored, add_trigger, image_set_event
):
    healthimaging_api.add(ONE)
    for name in ("a", "b", "c"):
        add_trigger(name)
    add_trigger("elsewhere", datastoreId="e" * 32)
    queue.send(image_set_event(ONE))
    consumer.once()
    assert stored("trainingruns") == [f"{t}-{ONE}-v1" for t in "abc"]
    assert not queue.messages
    assert stored("trainingtriggers", "a")["status"]["runsCreated"] == 1
    assert "status" not in stored("trainingtriggers", "elsewhere")


def test_a_trigger_whose_run_is_refused_does_not_hold_the_others(
    consumer, queue, api, healthimaging_api, stored, add_trigger, image_set_event
):
    healthimaging_api.add(ONE)
    for name in ("a", "b"):
        add_trigger(name)
    queue.send(image_set_event(ONE))
    # listing the triggers works, creating the first run does not
    api.failures = [None, ApiException(status=403, reason="exceeded quota")]
    consumer.once()
    assert stored("trainingruns") == [f"b-{ONE}-v1"]
    assert list(queue.messages) == ["m0"]


def test_killed_between_creating_and_deleting(
    consumer, queue, healthimaging_api, stored, add_trigger, image_set_event
):
    """The message comes again, and makes no second run."""
    healthimaging_api.add(ONE)
    add_trigger()
    queue.send(image_set_event(ONE))
    killed = queue.delete
    queue.delete = lambda message: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        consumer.once()
    assert stored("trainingruns") == [f"t-{ONE}-v1"]
    version = stored("trainingruns", f"t-{ONE}-v1")["metadata"]["resourceVersion"]
    queue.delete = killed
    consumer.once()
    run = stored("trainingruns", f"t-{ONE}-v1")
    assert run["metadata"]["resourceVersion"] == version
    assert stored("trainingruns") == [f"t-{ONE}-v1"]
    assert not queue.messages


def test_no_message_is_deleted_before_its_resource_exists(
    consumer, queue, api, healthimaging_api, stored, add_trigger, image_set_event
):
    healthimaging_api.add(ONE)
    add_trigger()
    queue.send(image_set_event(ONE))
    # listing the triggers works, creating the run does not
    api.failures = [None, ApiException(status=503, reason="Unavailable")]
    consumer.once()
    assert stored("trainingruns") == []
    assert queue.postponed == [("m0", 10)]
    consumer.once()
    assert stored("trainingruns") == [f"t-{ONE}-v1"]
    assert not queue.messages


def test_a_locked_image_set_is_put_back_with_back_off(
    consumer, queue, healthimaging_api, stored, add_trigger, image_set_event
):
    healthimaging_api.add(ONE, imageSetState="LOCKED")
    add_trigger()
    queue.send(image_set_event(ONE))
    for _ in range(3):
        consumer.once()
    assert [seconds for _, seconds in queue.postponed] == [10, 20, 40]
    assert "status" not in stored("trainingtriggers", "t")
    healthimaging_api.add(ONE)
    consumer.once()
    assert stored("trainingtriggers", "t")["status"]["eventsSeen"] == 1


def test_skipped_without_asking_healthimaging(
    consumer, queue, healthimaging_api, stored, add_trigger, image_set_event
):
    add_trigger()
    queue.send(image_set_event(ONE, isPrimary=False))
    consumer.once()
    assert stored("trainingruns") == []
    assert healthimaging_api.calls == []
    status = stored("trainingtriggers", "t")["status"]
    assert (status["eventsSeen"], status["skipped"]) == (1, {"NonPrimary": 1})
    assert not queue.messages


def test_a_run_that_was_deleted_on_purpose_does_not_come_back(
    consumer, queue, healthimaging_api, s3, stored, add_trigger, image_set_event
):
    healthimaging_api.add(ONE)
    add_trigger()
    s3.objects[f"runs/imaging/t-{ONE}-v1/attempt-1/request.json"] = b"{}"
    queue.send(image_set_event(ONE))
    consumer.once()
    assert stored("trainingruns") == []
    assert stored("trainingtriggers", "t")["status"]["skipped"] == {"RunExists": 1}


def test_an_image_set_that_is_gone_makes_nothing(
    consumer, queue, stored, add_trigger, image_set_event
):
    add_trigger()
    queue.send(image_set_event(ONE))
    consumer.once()
    assert stored("trainingtriggers", "t")["status"]["skipped"] == {"Deleted": 1}
    assert not queue.messages


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[" * 100_000,
        '{"source": "aws.s3", "detail-type": "Object Created"}',
    ],
)
def test_what_can_not_be_read_is_left_for_the_dead_letter_queue(
    consumer, queue, body, caplog
):
    queue.send(body)
    consumer.once()
    assert list(queue.messages) == ["m0"]
    assert queue.postponed == []
    assert "dead-letter" in caplog.text


def test_a_broken_manifest_is_left_and_named(
    consumer, queue, s3, stored, batch_event, caplog
):
    s3.objects[f"batches/{BATCH}.json"] = b'{"schema": 1}'
    queue.send(batch_event)
    consumer.once()
    assert stored("dicomimportjobs") == []
    assert queue.messages
    (record,) = [r for r in caplog.records if "dead-letter" in r.message]
    assert f"s3://a-bucket/batches/{BATCH}.json" in record.error


def test_one_bad_message_does_not_hold_the_others(
    consumer, queue, healthimaging_api, stored, add_trigger, image_set_event
):
    healthimaging_api.add(ONE)
    add_trigger()
    queue.send("not json")
    queue.send(image_set_event(ONE))
    consumer.once()
    assert list(queue.messages) == ["m0"]
    assert stored("trainingruns") == [f"t-{ONE}-v1"]


def test_a_failure_nobody_foresaw_does_not_hold_the_others(
    consumer, queue, healthimaging_api, stored, add_trigger, image_set_event, caplog
):
    healthimaging_api.add(ONE)
    add_trigger()
    queue.send(image_set_event("2" * 32))
    queue.send(image_set_event(ONE))
    asked = healthimaging_api.get_image_set

    def get_image_set(**p):
        if p["imageSetId"] != ONE:
            raise KeyError("a bug")
        return asked(**p)

    healthimaging_api.get_image_set = get_image_set
    consumer.once()
    assert list(queue.messages) == ["m0"]
    assert stored("trainingruns") == [f"t-{ONE}-v1"]
    assert "dead-letter" in caplog.text


def test_a_receipt_that_expired_does_not_hold_the_others(
    consumer, queue, healthimaging_api, stored, add_trigger, image_set_event
):
    healthimaging_api.add("2" * 32, imageSetState="LOCKED")
    healthimaging_api.add(ONE)
    add_trigger()
    queue.send(image_set_event("2" * 32))
    queue.send(image_set_event(ONE))

    def postpone(message, seconds):
        raise RefusedError("MessageNotInflight")

    queue.postpone = postpone
    consumer.once()
    assert list(queue.messages) == ["m0"]
    assert stored("trainingruns") == [f"t-{ONE}-v1"]


def test_a_batch_of_another_bucket_is_not_ours(consumer, queue, stored, batch_event):
    batch_event["detail"]["bucket"]["name"] = "elsewhere"
    queue.send(batch_event)
    consumer.once()
    assert not queue.messages
    assert stored("dicomimportjobs") == []


def test_unrelated_events_are_deleted(consumer, queue, stored):
    queue.send({"source": "aws.ec2"})
    consumer.once()
    assert not queue.messages


def test_hints_annotate_and_never_hold_a_message(
    consumer, queue, cluster, stored, run_body, import_body, api
):
    cluster.create("trainingruns", run_body)
    cluster.create("dicomimportjobs", import_body)
    execution = {
        "id": "event-3",
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Model Building Pipeline Execution Status Change",
        "detail": {
            "pipelineExecutionArn": "arn:e",
            "pipelineExecutionDescription": "isocenter TrainingRun imaging/a-run",
        },
    }
    other = execution["detail"] | {
        "pipelineExecutionDescription": "isocenter TrainingRun elsewhere/a-run"
    }
    imported = {
        "id": "event-4",
        "source": "aws.medical-imaging",
        "detail-type": "Import Job Completed",
        "detail": {"datastoreId": "d" * 32, "jobId": "2" * 32, "jobName": "a-batch"},
    }
    unknown = imported["detail"] | {"jobName": "by-somebody-else"}
    queue.send(execution)
    queue.send(execution | {"id": "event-5", "detail": other})
    queue.send(imported)
    queue.send(imported | {"detail": unknown})
    consumer.once()
    hint = "isocenter.dev/hint"
    annotations = stored("trainingruns", "a-run")["metadata"]["annotations"]
    assert annotations[hint] == "event-3"
    annotations = stored("dicomimportjobs", "a-batch")["metadata"]["annotations"]
    assert annotations[hint] == "event-4"
    queue.send(imported)
    api.failures = [ApiException(status=500, reason="broken")]
    consumer.once()
    assert not queue.messages


def test_triggers_are_listed_once_for_messages_that_came_together(
    consumer, queue, healthimaging_api, add_trigger, image_set_event, reactions
):
    add_trigger()
    listed = []
    triggers = reactions.triggers
    reactions.triggers = lambda: listed.append(1) or triggers()
    for number in range(5):
        healthimaging_api.add(str(number) * 32)
        queue.send(image_set_event(str(number) * 32))
    consumer.once()
    assert listed == [1]


def test_the_loop_survives_a_queue_that_does_not_answer(consumer, queue):
    stop = threading.Event()
    failures = [UnavailableError("no answer"), RuntimeError("bug")]

    def receive():
        if failures:
            raise failures.pop(0)
        stop.set()
        return []

    queue.receive = receive
    stop_wait = stop.wait
    stop.wait = lambda timeout=None: stop_wait(0)
    consumer.run(stop)
    assert failures == []
    assert consumer.problem is None
