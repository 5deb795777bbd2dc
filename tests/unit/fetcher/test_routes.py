import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import uvicorn

from isocenter.core.dataset import parse_dataset
from isocenter.core.testing.image_sets import identifier
from isocenter.fetcher.dataset import FetchOptions, open_downloader
from isocenter.fetcher.job_record import DatasetOrder, JobRecord
from isocenter.fetcher.jobs import Jobs, JobStore
from isocenter.fetcher.routes import create_app

PREFIX = "s3://b/jobs/"
OUTPUT = "s3://out/datasets/1"


@pytest.fixture
def make_jobs(objects, healthimaging, settings):
    """Jobs as a process that starts now would have them."""

    def make(*, workers=4, **changes):
        limited = settings.model_copy(update={"workers": workers})
        options = {"concurrent": 2, "max_queued": 10} | changes
        return Jobs(
            objects,
            JobStore(objects, PREFIX),
            downloader=open_downloader(limited, healthimaging),
            options=FetchOptions.of(settings),
            work_dir=settings.work_dir,
            **options,
        )

    return make


@pytest.fixture
def lab(lab, make_jobs, order):
    return SimpleNamespace(**vars(lab), make_jobs=make_jobs, order=order)


@contextmanager
def serving(app):
    """The application behind a real server; leaving is SIGTERM's shutdown."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started, bool)
    (listener,) = server.servers[0].sockets
    port = listener.getsockname()[1]
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def client(make_jobs):
    with serving(create_app(make_jobs())) as client:
        yield client


@pytest.fixture
def order(datastore):
    def order(*contents, output=OUTPUT, **more):
        ids = [getattr(c, "image_set_id", c) for c in contents]
        return {
            "datastoreId": datastore,
            "imageSets": [{"id": i} for i in ids],
            "outputS3Uri": output,
        } | more

    return order


def ended(client, job):
    return until(
        lambda: client.get(f"/v1/datasets/{job}").json(),
        lambda j: j["status"] in {"Succeeded", "Failed"},
    )


def until(read, good):
    for _ in range(500):
        value = read()
        if good(value):
            return value
        time.sleep(0.01)
    raise AssertionError(value)


def test_an_order_becomes_a_dataset(lab, client, settings):
    content = lab.put([lab.make_slice(i) for i in range(3)])
    answer = client.post("/v1/datasets", json=lab.order(content))
    assert answer.status_code == 202
    job = answer.json()["id"]
    assert answer.headers["Location"] == f"/v1/datasets/{job}"

    record = ended(client, job)

    assert record["status"] == "Succeeded"
    assert record["result"]["manifestS3Uri"] == f"{OUTPUT}/manifest.json"
    assert record["result"]["arrays"] == 1
    assert record["progress"]["framesDone"] == record["progress"]["framesTotal"] == 3
    manifest = parse_dataset(lab.objects.held[f"{OUTPUT}/manifest.json"], source="x")
    array = manifest.image_sets[0].arrays[0]
    body = lab.objects.held[f"{OUTPUT}/{array.path}"]
    assert len(body) == array.bytes
    values = np.frombuffer(body[-3 * 40 * 32 * 2 :], np.int16).reshape(3, 40, 32)
    assert np.array_equal(values[2], lab.make_slice(2).frames[0])
    outputs = [uri for uri in lab.objects.written if uri.startswith(OUTPUT)]
    assert outputs[-1] == f"{OUTPUT}/manifest.json"
    assert f"{PREFIX}open/{job}" not in lab.objects.held
    assert not list(settings.work_dir.iterdir())


def test_the_record_is_durable_before_the_answer(
    client, put, make_slice, order, objects
):
    objects.fail.add("write")
    answer = client.post("/v1/datasets", json=order(put([make_slice(0)])))
    assert answer.status_code == 503
    assert answer.json()["error"] == "UnavailableError"
    objects.fail.clear()
    job = client.post("/v1/datasets", json=order(put([make_slice(0)]))).json()["id"]
    assert f"{PREFIX}{job}.json" in objects.held
    assert ended(client, job)["status"] == "Succeeded"


def test_the_same_order_is_the_same_job(client, put, make_slice, order, healthimaging):
    wanted = order(put([make_slice(0)]))
    one = client.post("/v1/datasets", json=wanted).json()
    ended(client, one["id"])
    before = dict(healthimaging.calls)
    other = client.post("/v1/datasets", json=wanted)
    assert other.status_code == 202
    assert (other.json()["id"], other.json()["status"]) == (one["id"], "Succeeded")
    assert dict(healthimaging.calls) == before
    different = client.post("/v1/datasets", json=wanted | {"allowOmissions": True})
    assert different.json()["id"] != one["id"]


def test_what_is_missing_fails_the_job_and_asking_again_tries_it_again(lab, client):
    content = lab.put([lab.make_slice(0)])
    lab.healthimaging.deny(content.image_set_id)
    wanted = lab.order(content)
    job = client.post("/v1/datasets", json=wanted).json()["id"]
    record = ended(client, job)
    assert record["status"] == "Failed"
    assert "AccessDenied" in record["message"]
    assert [o["reason"] for o in record["omissions"]] == ["AccessDenied"]
    assert f"{OUTPUT}/manifest.json" not in lab.objects.held

    lab.healthimaging._denied.clear()
    again = client.post("/v1/datasets", json=wanted).json()
    assert (again["id"], again["attempt"]) == (job, 2)
    assert ended(client, job)["status"] == "Succeeded"


def test_a_prefix_with_another_dataset_is_not_mixed(client, put, make_slice, order):
    one, other = put([make_slice(0)], name="1"), put([make_slice(1)], name="2")
    ended(client, client.post("/v1/datasets", json=order(one)).json()["id"])
    record = ended(client, client.post("/v1/datasets", json=order(other)).json()["id"])
    assert record["status"] == "Failed"
    assert "another request" in record["message"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"datastoreId": "x"}, "body.datastoreId"),
        ({"imageSets": []}, "body.imageSets"),
        ({"imageSets": [{"id": "../../etc"}]}, "body.imageSets.0.id"),
        ({"outputS3Uri": "file:///etc"}, "body.outputS3Uri"),
        ({"more": 1}, "body.more"),
    ],
)
def test_a_bad_order_is_told_what_is_wrong(client, order, change, words):
    answer = client.post("/v1/datasets", json=order(identifier("a")) | change)
    assert answer.status_code == 422
    assert answer.json()["error"] == "InvalidRequest"
    assert words in answer.json()["message"]


@pytest.mark.parametrize(("job", "status"), [("0" * 32, 404), ("x", 422)])
def test_an_unknown_job(client, job, status):
    assert client.get(f"/v1/datasets/{job}").status_code == status


def test_jobs_queue_and_too_many_are_refused(
    make_jobs, put, make_slice, order, healthimaging
):
    contents = [put([make_slice(0)], name=str(i)) for i in range(3)]
    gate = healthimaging.hold(next(iter(contents[0].frames)))
    with serving(create_app(make_jobs(concurrent=1, max_queued=1))) as client:

        def post(index):
            return client.post(
                "/v1/datasets", json=order(contents[index], output=f"s3://out/{index}")
            )

        first = post(0).json()["id"]
        show = lambda job: client.get(f"/v1/datasets/{job}").json()  # noqa: E731
        running = until(
            lambda: show(first), lambda j: j["progress"]["framesTotal"] == 1
        )
        assert running["status"] == "Running"
        second = post(1).json()["id"]
        assert show(second)["status"] == "Queued"
        refused = post(2)
        assert refused.status_code == 429
        assert "ask again later" in refused.json()["message"]
        gate.set()
        assert ended(client, second)["status"] == "Succeeded"
        assert post(2).status_code == 202


def test_a_restart_takes_up_what_was_left(lab):
    content = lab.put([lab.make_slice(i) for i in range(2)])
    first, _ = content.frames
    gate = lab.healthimaging.hold(first)
    with serving(create_app(lab.make_jobs(workers=1))) as client:
        job = client.post("/v1/datasets", json=lab.order(content)).json()["id"]
        until(lambda: lab.healthimaging.calls["frame"], lambda count: count >= 1)
        # The frame under way ends only after the shutdown has begun.
        threading.Timer(0.3, gate.set).start()
    left = JobRecord.model_validate_json(lab.objects.held[f"{PREFIX}{job}.json"])
    assert left.status == "Running"
    assert f"{PREFIX}open/{job}" in lab.objects.held
    assert f"{OUTPUT}/manifest.json" not in lab.objects.held
    with serving(create_app(lab.make_jobs())) as client:
        assert ended(client, job)["status"] == "Succeeded"
        assert client.get("/readyz").status_code == 200


def test_killed_after_the_upload_nothing_is_fetched_again(lab):
    wanted = lab.order(lab.put([lab.make_slice(0)]))
    with serving(create_app(lab.make_jobs())) as client:
        job = client.post("/v1/datasets", json=wanted).json()["id"]
        ended(client, job)
    record = JobRecord.model_validate_json(lab.objects.held[f"{PREFIX}{job}.json"])
    stale = record.model_copy(update={"status": "Running", "result": None})
    JobStore(lab.objects, PREFIX).save(stale)
    before = dict(lab.healthimaging.calls)
    with serving(create_app(lab.make_jobs())) as client:
        again = ended(client, job)
    assert again["status"] == "Succeeded"
    assert again["result"] == record.model_dump(by_alias=True)["result"]
    assert dict(lab.healthimaging.calls) == before


def test_marks_without_a_record_and_broken_records(make_jobs, objects, datastore):
    objects.held[f"{PREFIX}open/{'a' * 32}"] = b""
    objects.held[f"{PREFIX}open/{'b' * 32}"] = b""
    objects.held[f"{PREFIX}{'b' * 32}.json"] = b"not json"
    with serving(create_app(make_jobs())) as client:
        until(lambda: client.get("/readyz").status_code, lambda s: s == 200)
    assert f"{PREFIX}open/{'a' * 32}" not in objects.held
    assert f"{PREFIX}{'b' * 32}.json" in objects.held


def test_not_ready_until_the_records_were_read(make_jobs, objects):
    objects.fail.add("names")
    with serving(create_app(make_jobs())) as client:
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "job records" in answer.text
        assert client.get("/healthz").status_code == 200


def test_passing_trouble_with_s3_is_gone_through(lab, client, monkeypatch):
    monkeypatch.setattr("isocenter.fetcher.jobs._RECOVER_PAUSE", 0.01)
    upload, failed = lab.objects.upload, []

    def flaky(uri, path):
        if not failed:
            failed.append(uri)
            lab.objects.fail.add("upload")
        try:
            upload(uri, path)
        finally:
            lab.objects.fail.clear()

    monkeypatch.setattr(lab.objects, "upload", flaky)
    job = client.post(
        "/v1/datasets", json=lab.order(lab.put([lab.make_slice(0)]))
    ).json()["id"]
    assert ended(client, job)["status"] == "Succeeded"
    assert failed


def test_metrics(client, put, make_slice, order):
    ended(
        client,
        client.post("/v1/datasets", json=order(put([make_slice(0)]))).json()["id"],
    )
    text = client.get("/metrics").text
    assert 'isocenter_fetcher_frames_total{outcome="ok"}' in text
    assert "isocenter_fetcher_stored_bytes_total" in text


def test_a_job_id_is_the_order(datastore):
    order = DatasetOrder(
        datastore_id=datastore,
        image_sets=[{"id": identifier("1")}],
        output_s3_uri="s3://out/a",
    )
    assert order.job_id == order.model_copy().job_id
    assert order.job_id != order.model_copy(update={"allow_omissions": True}).job_id
    assert order.output("x") == "s3://out/a/x"


def test_omissions_that_another_order_allowed_are_not_passed_off(lab, client):
    good, bad = (lab.put([lab.make_slice(i)], name=str(i)) for i in range(2))
    lab.healthimaging.deny(bad.image_set_id)
    allowed = lab.order(good, bad, allowOmissions=True)
    first = client.post("/v1/datasets", json=allowed).json()["id"]
    assert ended(client, first)["status"] == "Succeeded"

    strict = lab.order(good, bad)
    record = ended(client, client.post("/v1/datasets", json=strict).json()["id"])

    assert record["status"] == "Failed"
    assert "AccessDenied" in record["message"]


def test_an_order_half_stored_keeps_its_mark(lab, monkeypatch):
    """A restart that reads the records meanwhile must not take it for a leaving."""
    running, content = (lab.put([lab.make_slice(i)], name=str(i)) for i in range(2))
    gate = lab.healthimaging.hold(next(iter(running.frames)))
    jobs = lab.make_jobs(concurrent=1)
    jobs.submit(DatasetOrder.model_validate(lab.order(running, output="s3://out/0")))
    order = DatasetOrder.model_validate(lab.order(content))
    until(lambda: lab.healthimaging.calls["frame"], lambda count: count >= 1)
    marked, go_on, write = threading.Event(), threading.Event(), lab.objects.write

    def slow(uri, body):
        write(uri, body)
        if "/open/" in uri and not marked.is_set():
            marked.set()
            go_on.wait(5)

    monkeypatch.setattr(lab.objects, "write", slow)
    submitting = threading.Thread(target=jobs.submit, args=[order])
    submitting.start()
    marked.wait(5)
    jobs.start()
    time.sleep(0.1)
    go_on.set()
    submitting.join()
    until(lambda: jobs.not_ready, lambda problem: problem is None)
    assert f"{PREFIX}open/{order.job_id}" in lab.objects.held
    gate.set()
    jobs.close()


def test_a_failure_is_recorded_when_s3_is_back(lab, client, monkeypatch):
    monkeypatch.setattr("isocenter.fetcher.jobs._RECOVER_PAUSE", 0.01)
    content = lab.put([lab.make_slice(0)])
    gate = lab.healthimaging.hold(next(iter(content.frames)))
    lab.healthimaging.corrupt(next(iter(content.frames)), times=99)
    job = client.post("/v1/datasets", json=lab.order(content)).json()["id"]
    until(lambda: lab.healthimaging.calls["frame"], lambda count: count >= 1)
    lab.objects.fail.add("write")
    gate.set()
    time.sleep(1.5)
    assert client.get(f"/v1/datasets/{job}").json()["status"] == "Running"
    lab.objects.fail.clear()
    assert ended(client, job)["status"] == "Failed"
    stored = JobRecord.model_validate_json(lab.objects.held[f"{PREFIX}{job}.json"])
    assert stored.status == "Failed"


def test_two_jobs_never_write_to_one_prefix(lab, client):
    one, other = (lab.put([lab.make_slice(i)], name=str(i)) for i in range(2))
    gate = lab.healthimaging.hold(next(iter(one.frames)))
    first = client.post("/v1/datasets", json=lab.order(one)).json()["id"]
    wanted = lab.order(other, output=f"{OUTPUT}/")
    refused = client.post("/v1/datasets", json=wanted)
    gate.set()
    assert refused.status_code == 409
    assert refused.json()["error"] == "OutputInUseError"
    assert f"{OUTPUT}/ is being written" in refused.json()["message"]
    assert ended(client, first)["status"] == "Succeeded"
    manifest = parse_dataset(lab.objects.held[f"{OUTPUT}/manifest.json"], source="x")
    assert [entry.image_set_id for entry in manifest.image_sets] == [one.image_set_id]
