import json

import pytest

from isocenter.storescp.quarantine import cli
from isocenter.storescp.quarantine.cli import carry_out, main, parser
from isocenter.storescp.quarantine.entry import MEANING, Reason


@pytest.fixture
def run(objects):
    return lambda *argv: carry_out(parser().parse_args(argv), objects)


def test_listing(run, put_aside, s3, capsys):
    name, other = put_aside(), put_aside("bad-uid")
    assert run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted([name, other])
    assert "2026-11-23T12:00:00Z  CT1@10.0.0.7" in lines[0]
    assert run("list", "--reason", "mismatch", "--json") == 0
    entry = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["callingAE"]) == (name, "CT1")
    s3.objects[f"quarantine/{name}.json"] = b"{}"
    assert run("list") == 1
    assert "no quarantine record" in capsys.readouterr().out


def test_no_patient_attribute_is_said(run, put_aside, capsys):
    put_aside(patientName="NOBODY^REAL")
    run("list")
    run("list", "--json")
    assert "NOBODY" not in capsys.readouterr().out


def test_releasing_and_dropping(run, put_aside, s3, capsys):
    assert run("release", put_aside(), put_aside()) == 0
    assert "released: 2 instances as batch b20261123t120000500-q" in (
        capsys.readouterr().out
    )
    name, only = put_aside(), put_aside("refused-by-store")
    assert run("drop", only, name) == 1
    said = capsys.readouterr().out
    assert f"dropped: {name}" in said
    assert "say --only-copy" in said
    assert run("drop", "--only-copy", only) == 0
    assert not [key for key in s3.objects if key.startswith("quarantine/")]


def test_the_whole_command(monkeypatch, tmp_path, s3, put_aside, capsys):
    name = put_aside()
    for variable, value in {
        "BUCKET": "inbox",
        "DATASTORE_ID": "0123456789abcdef0123456789abcdef",
        "SCP_PORT": "11112",
        "SPOOL_DIR": str(tmp_path),
        "ALLOWED_PEERS": "[]",
    }.items():
        monkeypatch.setenv(f"STORESCP_{variable}", value)
    monkeypatch.setattr(cli.aws, "client", lambda *_, **__: s3)
    assert main(["release", name]) == 0
    assert list(tmp_path.iterdir()) == []
    assert main(["release", name]) == 1
    assert "not done" in capsys.readouterr().out
    monkeypatch.delenv("STORESCP_BUCKET")
    assert main(["list"]) == 2
    assert "STORESCP_BUCKET" in capsys.readouterr().out


def test_every_reason_has_its_meaning():
    assert set(MEANING) == set(Reason)
    assert all(str(reason) in parser().epilog for reason in Reason)
