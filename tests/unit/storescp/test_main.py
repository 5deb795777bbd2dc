import json
import logging
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest

from isocenter.core.errors import ConfigurationError
from isocenter.core.health import HealthServer
from isocenter.storescp import main, reception, serving, shutdown
from isocenter.storescp.commitment.request import Reference
from isocenter.storescp.commitment.transactions import Transaction, Transactions


@pytest.fixture
def _logging_restored():
    root, ours = logging.getLogger(), logging.getLogger("isocenter")
    before = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.mark.usefixtures("_logging_restored")
def test_a_bad_setting_stops_the_start(monkeypatch, capsys):
    monkeypatch.delenv("STORESCP_BUCKET", raising=False)
    assert main.main([]) == 2
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["service"] == "storescp"
    assert "STORESCP_BUCKET" in line["error"]


def test_a_port_in_use_is_named(start, make_settings, s3, tmp_path, helpers):
    running = start()
    port = running.settings.scp_port
    settings = make_settings(scp_port=port, spool_dir=tmp_path / "other")
    process = helpers.build(settings, s3)
    with pytest.raises(ConfigurationError, match="STORESCP_SCP_PORT"):
        process.start()
    process.stop()


def test_stop_seals_and_drains(start, associate, s3, helpers):
    process = start()
    assoc = associate(process)
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    assoc.release()
    assert process.stop()
    assert len(s3.keys("DICOM/")) == 1
    assert len(s3.keys("batches/")) == 1
    assert process.ready() == "stopping"
    assert not associate(process).is_established


def test_a_running_association_may_end(start, associate, s3, helpers):
    process = start(shutdown_grace_s=10.0)
    assoc = associate(process)
    stopping = threading.Thread(target=process.stop)
    stopping.start()
    helpers.eventually(process.stopping.is_set)
    time.sleep(0.3)
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    assoc.release()
    stopping.join(10)
    assert len(s3.keys("batches/")) == 1


@pytest.mark.parametrize("durability", ["spool", "object_store"])
def test_what_came_before_does_not_wait_for_the_last_association(
    start, associate, s3, helpers, durability
):
    process = start(shutdown_grace_s=40.0, durability=durability, batch_quiet_s=0.2)
    assoc = associate(process)
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    stopping = threading.Thread(target=process.stop)
    stopping.start()
    helpers.eventually(lambda: len(s3.keys("batches/")) == 1, 20)
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    assoc.release()
    stopping.join(20)
    assert not assoc.is_aborted
    assert len(s3.keys("DICOM/")) == len(s3.keys("batches/")) == 2


def test_an_association_has_the_grace_time_but_the_reserve_and_nothing_is_lost(
    start, associate, s3, helpers, monkeypatch
):
    # A reserve that a loaded machine has enough of: the share is tested elsewhere.
    monkeypatch.setattr(shutdown, "RESERVE_SHARE", 0.95)
    process = start(shutdown_grace_s=20.0)
    assoc = associate(process)
    assert assoc.send_c_store(helpers.ct()).Status == 0x0000
    began = time.monotonic()
    assert process.stop()
    assert 1.0 <= time.monotonic() - began < 20
    helpers.eventually(lambda: assoc.is_aborted)
    assert len(s3.keys("DICOM/")) == len(s3.keys("batches/")) == 1


def test_requests_for_commitment_of_a_worker_that_is_gone_go_on_beside_ours(
    start, tmp_path
):
    # Two workers let one Transaction UID be used for different instances.
    for worker, instance in (("w0", "1.2.1"), ("w1", "1.2.2")):
        transactions = Transactions(tmp_path / "spool" / worker / "commitment")
        transactions.prepare()
        transactions.keep(
            Transaction.asked(
                "1.9.1",
                (Reference("1.2.840.10008.5.1.4.1.1.2", instance),),
                calling_ae="CT1",
                called_ae="S3SCP",
                now=datetime.now(UTC),
            )
        )
    process = start(workers=1, commitment_peers={"CT1": "127.0.0.1:1"})
    assert process.commitment.waiting() == 2


def test_what_cannot_be_drained_stays_for_the_next_process(
    start, associate, s3, helpers
):
    s3.away = True
    process = start(shutdown_grace_s=0.5)
    dataset = helpers.ct()
    assoc = associate(process)
    assert assoc.send_c_store(dataset).Status == 0x0000
    assoc.release()
    assert not process.stop()
    s3.away = False
    start()
    [key] = helpers.eventually(lambda: s3.keys("batches/"))
    manifest = json.loads(s3.objects["inbox", key])
    assert manifest["instances"][0]["sopInstanceUid"] == dataset.SOPInstanceUID


def test_ticks_seal_a_quiet_batch(start, associate, s3, helpers):
    process = start(batch_quiet_s=0.2)
    associate(process).send_c_store(helpers.ct())
    assert not s3.keys("batches/")

    def ticked():
        process.tick()
        return s3.keys("batches/")

    helpers.eventually(ticked)


def test_metrics_and_probes(start, associate, helpers):
    process = start()
    associate(process).send_c_store(helpers.ct())
    server = HealthServer(0, alive=process.alive, ready=process.ready)

    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}") as answer:
            return answer.read().decode()

    try:
        assert get("/healthz") == "ok\n"
        assert get("/readyz") == "ok\n"
        metrics = get("/metrics")
    finally:
        server.close()
    assert 'isocenter_storescp_stores_total{status="0000"}' in metrics
    assert "isocenter_storescp_associations_active 1.0" in metrics
    assert "isocenter_storescp_spool_free_bytes" in metrics


def test_a_long_take_over_does_not_look_dead(make_settings, s3, helpers, monkeypatch):
    """The backlog of hours without S3 is read before anything else is done."""
    port = helpers.free_port()
    process = helpers.build(make_settings(health_port=port), s3)
    answers = []

    def recover(*_, **__):
        for path in ("healthz", "readyz"):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}") as got:
                    answers.append(got.status)
            except urllib.error.HTTPError as error:
                answers.append(error.code)
                error.close()
        process.stopping.set()

    def expose(alive, ready):
        return HealthServer(port, alive=alive, ready=ready).close

    monkeypatch.setattr(reception, "recover", recover)
    monkeypatch.setattr(serving.signal, "signal", lambda *_: None)
    serving.run(process, expose)
    assert answers == [200, 503]


def test_two_processes_do_not_share_a_spool(start, make_settings, s3, helpers):
    running = start()
    second = helpers.build(make_settings(), s3)
    with pytest.raises(ConfigurationError, match="in use by another process"):
        second.start()
    running.stop()
    second.reception.spool.prepare()
    second.stop()


def test_a_spool_in_which_somebody_still_writes_is_not_given_up(
    start, make_settings, associate, s3, helpers, monkeypatch
):
    process = start(shutdown_grace_s=0.2)
    written, go_on = threading.Event(), threading.Event()

    def slow(_file):
        written.set()
        go_on.wait(10)

    monkeypatch.setattr(os, "fdatasync", slow)
    assoc = associate(process)
    sending = threading.Thread(target=assoc.send_c_store, args=(helpers.ct(),))
    sending.start()
    assert written.wait(5)
    process.stop()
    following = helpers.build(make_settings(), s3)
    with pytest.raises(ConfigurationError, match="in use by another process"):
        following.reception.spool.prepare()
    go_on.set()
    sending.join(10)
    following.stop()
    process.reception.spool.release()


@pytest.mark.parametrize(
    ("verb", "said"), [("--help", "quarantine"), ("nonsense", "invalid choice")]
)
@pytest.mark.usefixtures("_logging_restored")
def test_the_command_line_says_what_there_is(verb, said, capsys):
    with pytest.raises(SystemExit):
        main.main([verb])
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_the_parent_of_workers_loads_no_sdk():
    """Several workers: their parent should cost next to nothing."""
    program = (
        "import sys, isocenter.storescp.main, isocenter.storescp.workers.together\n"
        "sdks = {'boto3', 'botocore', 'pydicom', 'pynetdicom'}\n"
        "print(sorted(sdks & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
