import json

import numpy as np
import pytest

from isocenter.core.dataset import MANIFEST_NAME
from isocenter.core.run_request import ImageSetRef, RunRequest
from isocenter.core.testing.image_sets import identifier
from isocenter.fetcher import dataset, main
from isocenter.fetcher.errors import UsageError

ONE, TWO, STORE = identifier("1"), identifier("2"), identifier("data store")


@pytest.fixture
def cli(monkeypatch, healthimaging, objects, tmp_path):
    """Run the command line against the fakes; answers exit code and message."""
    monkeypatch.setenv("FETCHER_DECODE_PROCESSES", "1")
    monkeypatch.setenv("FETCHER_LOCK_WAIT_SECONDS", "0")
    monkeypatch.setattr(main.logs, "configure", lambda *_: None)
    monkeypatch.setattr(main.signal, "signal", lambda *_: None)
    monkeypatch.setattr(dataset.HealthImaging, "connect", lambda **_: healthimaging)
    monkeypatch.setattr(main.Objects, "connect", lambda: objects)
    message = tmp_path / "message"

    def run(*arguments, output=tmp_path / "out"):
        message.unlink(missing_ok=True)
        code = main.main(
            ["fetch", "--output-dir", str(output), "--message-file", str(message)]
            + [str(a) for a in arguments]
        )
        return code, message.read_text() if message.exists() else ""

    return run


def test_one_image_set(cli, put, make_slice, tmp_path, datastore):
    content = put([make_slice(0)])
    code, message = cli(
        "--datastore-id", datastore, "--image-set-id", content.image_set_id,
        "--version-id", "", "--request-s3-uri", "",
    )  # fmt: skip
    assert (code, message) == (0, "")
    manifest = json.loads((tmp_path / "out" / MANIFEST_NAME).read_text())
    assert manifest["schema"] == 1
    array = manifest["imageSets"][0]["arrays"][0]
    values = np.load(tmp_path / "out" / array["path"])
    assert np.array_equal(values[0], make_slice(0).frames[0])


def test_a_request_of_many(lab, cli):
    request = lab.ask(
        lab.put([lab.make_slice(0)], name="a"), lab.put([lab.make_slice(0)], name="b")
    )
    lab.objects.held["s3://b/request.json"] = request.to_json()
    code, _ = cli(
        "--datastore-id", lab.datastore, "--image-set-id", "",
        "--request-s3-uri", "s3://b/request.json",
    )  # fmt: skip
    assert code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "pass --datastore-id and --image-set-id"),
        (["--datastore-id", STORE], 2, "pass --datastore-id and --image-set-id"),
        (["--datastore-id", "x", "--image-set-id", ONE], 2, "--datastore-id"),
        (
            ["--datastore-id", STORE, "--image-set-id", ONE, "--version-id", "v"],
            2,
            "--version-id",
        ),
        (
            ["--datastore-id", STORE, "--image-set-id", ONE, "--workers", "0"],
            2,
            "--workers",
        ),
        (
            ["--request-s3-uri", "s3://b/garbage.json"],
            2,
            "garbage.json is not a run request",
        ),
        (["--request-s3-uri", "s3://b/down.json"], 5, "503"),
        (["--datastore-id", STORE, "--image-set-id", ONE], 3, "ImageSetNotFound"),
    ],
)
def test_failures_have_their_code_and_reason(cli, objects, arguments, code, words):
    objects.held["s3://b/garbage.json"] = b"{}"
    if code == 5:
        objects.fail.add("read")
    found, message = cli(*arguments)
    assert found == code
    assert words in message
    assert len(message) <= 1024


def test_omissions_fail_unless_allowed(lab, cli, tmp_path):
    request = lab.ask(lab.put([lab.make_slice(0)]), TWO)
    lab.objects.held["s3://b/r.json"] = request.to_json()
    code, message = cli("--request-s3-uri", "s3://b/r.json")
    assert code == 4
    assert TWO in message
    assert not (tmp_path / "out" / MANIFEST_NAME).exists()
    assert cli("--request-s3-uri", "s3://b/r.json", "--allow-omissions")[0] == 0


def test_an_output_that_is_no_directory(cli, put, make_slice, datastore, tmp_path):
    content = put([make_slice(0)])
    file = tmp_path / "file"
    file.write_text("")
    code, message = cli(
        "--datastore-id", datastore, "--image-set-id", content.image_set_id, output=file
    )
    assert code == 6
    assert "file" in message


def test_an_unforeseen_error_is_told_without_its_text(lab, cli, monkeypatch, caplog):
    name = "DOE" + "^JANE"

    def stumble(*_):
        raise KeyError(name)

    monkeypatch.setattr("isocenter.fetcher.image_set_fetch.plan_image_set", stumble)
    content = lab.put([lab.make_slice(0)])
    code, message = cli(
        "--datastore-id", lab.datastore, "--image-set-id", content.image_set_id
    )
    assert code == 1
    assert "KeyError" in message
    assert "DOE" not in message + caplog.text
    assert "in stumble" in caplog.text


def test_no_patient_attribute_is_logged(lab, cli, caplog, no_pause):
    caplog.set_level("DEBUG")
    content = lab.put([lab.make_slice(i) for i in range(2)])
    lab.healthimaging.corrupt(next(iter(content.frames)), times=9)
    lab.objects.held["s3://b/r.json"] = lab.ask(content).to_json()
    code, message = cli("--request-s3-uri", "s3://b/r.json")
    assert code == 4
    assert "CrcMismatch" in message or "ChecksumMismatch" in message
    assert "DOE" not in message + caplog.text
    assert "P-1" not in message + caplog.text


REQUEST = RunRequest(datastore_id=STORE, image_sets=(ImageSetRef(id=ONE),))


@pytest.mark.parametrize(
    ("datastore_id", "image_set_id", "fits"),
    [
        ("", "", True),
        (STORE, "", True),
        (STORE, ONE, True),
        (STORE, TWO, False),
        (ONE, "", False),
    ],
)
def test_the_request_wins_and_must_not_be_contradicted(
    datastore_id, image_set_id, fits
):
    def read():
        return main.read_arguments(
            datastore_id=datastore_id,
            image_set_id=image_set_id,
            version_id="",
            request=REQUEST,
        )

    if fits:
        assert read() == REQUEST
    else:
        with pytest.raises(UsageError):
            read()


def test_sagemakers_message_file_is_the_default(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(main, "MESSAGE_FILE", tmp_path / "message-of-the-job")
    assert main.main(["fetch", "--output-dir", str(tmp_path)]) == 2
    assert "pass --datastore-id" in (tmp_path / "message-of-the-job").read_text()


def test_an_argument_that_is_not_known(cli, monkeypatch, tmp_path):
    monkeypatch.setattr(main, "MESSAGE_FILE", tmp_path / "message-of-the-job")
    assert main.main(["fetch", "--output-dir", str(tmp_path), "--more"]) == 2
    assert "--more" in (tmp_path / "message-of-the-job").read_text()


def test_serve_needs_a_bucket(cli):
    assert main.main(["serve"]) == 2
