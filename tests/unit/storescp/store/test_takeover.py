"""What becomes of an instance of the earlier layout whose record is damaged."""

import datetime as dt
import hashlib
import os

import pytest

from isocenter.core.batch import StoredInstance
from isocenter.storescp.store.journal import Journal
from isocenter.storescp.store.takeover import convert, to_ask_for

CONTENT = b"an instance"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RECORD = StoredInstance(
    key="D/b/1.2.dcm",
    sop_instance_uid="1.2",
    sop_class_uid="1.2.9",
    study_instance_uid="1.3",
    series_instance_uid="1.4",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    bytes=len(CONTENT),
    sha256=SHA256,
    calling_ae="CT 1",
    received_at=dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC),
)
WELL, DAMAGED = RECORD.model_dump_json(by_alias=True).encode(), b'{"sopInst'
WAITS, WAITS_UNSENT = f"1.2~{SHA256}~43542031.dcm", f"1.2~{SHA256}~.dcm"

STATES = [
    # files, what there is then; "put" if the manifest will name it without asking
    ({"1.2.json": WELL, "1.2.dcm": CONTENT}, {WAITS}),
    ({"1.2.json": DAMAGED, "1.2.dcm": CONTENT}, {WAITS_UNSENT}),
    ({"1.2.json": WELL}, {"1.2.ask"}),
    ({"1.2.json": DAMAGED}, {"1.2.ask"}),
    ({"1.2.put.json": WELL, "1.2.dcm": CONTENT}, {"put"}),
    ({"1.2.put.json": DAMAGED, "1.2.dcm": CONTENT}, {WAITS_UNSENT}),
    ({"1.2.put.json": WELL}, {"put"}),
    ({"1.2.put.json": DAMAGED}, {"1.2.ask"}),
    ({"1.2.dcm": CONTENT}, set()),
    # A conversion was killed between two steps.
    ({"1.2.json": WELL, WAITS: CONTENT}, {WAITS}),
    ({"1.2.json": DAMAGED, WAITS_UNSENT: CONTENT}, {WAITS_UNSENT}),
    ({"1.2.put.json": DAMAGED, WAITS_UNSENT: CONTENT}, {WAITS_UNSENT}),
    ({"1.2.ask": DAMAGED}, {"1.2.ask"}),
]


@pytest.mark.parametrize(("files", "then"), STATES)
def test_nothing_that_was_acknowledged_is_left_out(tmp_path, files, then):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for _ in range(2):  # a second start changes nothing
        convert(tmp_path)
        found = {path.name for path in tmp_path.iterdir()} - {"put.jsonl"}
        put = {instance for _, instance in Journal(tmp_path).read()}
        assert put <= {RECORD}
        assert found | ({"put"} if put else set()) == then


def test_when_it_came_is_not_lost(tmp_path):
    record = tmp_path / "1.2.put.json"
    record.write_bytes(DAMAGED)
    os.utime(record, (1000, 1000))
    convert(tmp_path)
    (kept,) = to_ask_for(tmp_path)
    assert (kept.stem, kept.stat().st_mtime) == ("1.2", 1000)
