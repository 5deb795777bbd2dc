"""What a batch's journal promises to many writers on a volume that fails."""

import contextlib
import datetime as dt
import os

import pytest

from isocenter.core.batch import StoredInstance
from isocenter.storescp.store import durable
from isocenter.storescp.store.journal import Journal


def put(uid):
    instance = StoredInstance(
        key=f"DICOM/{uid}.dcm",
        sop_instance_uid=uid,
        sop_class_uid="1.2",
        study_instance_uid="1.3",
        series_instance_uid="1.4",
        transfer_syntax_uid="1.5",
        bytes=1,
        sha256="ab" * 32,
        calling_ae="CT1",
        received_at=dt.datetime(2026, 11, 23, tzinfo=dt.UTC),
    )
    return f"{uid}~{'ab' * 32}~", instance


def full(*_):
    raise OSError(28, "No space left on device")


def test_lines_that_went_with_anothers_round_fail_with_it(tmp_path, monkeypatch):
    """Else an instance is acknowledged whose note was never written."""
    journal = Journal(tmp_path)
    own_round = journal._flush

    def after_anothers():
        with monkeypatch.context() as patch, contextlib.suppress(OSError):
            patch.setattr(os, "write", full)
            journal._append()  # it takes what is there: the lines of this caller too
        own_round()

    monkeypatch.setattr(journal, "_flush", after_anothers)
    with pytest.raises(OSError, match="No space"):
        journal.add([put("1.1")])
    assert not list(journal.read())
    monkeypatch.setattr(journal, "_flush", own_round)
    journal.add([put("1.2")])
    assert [name for name, _ in journal.read()] == [put("1.2")[0]]


def test_its_name_is_durable_though_the_first_try_left_a_torn_line(
    tmp_path, monkeypatch
):
    synced = []
    monkeypatch.setattr(durable, "sync_folder", synced.append)
    journal = Journal(tmp_path)
    whole = os.write

    def torn(file, view):
        if len(view) < 100:  # what the first call left of it
            full()
        return whole(file, view[:-50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        with pytest.raises(OSError, match="No space"):
            journal.add([put("1.1")])
    assert not synced
    journal.add([put("1.1")])
    assert synced == [tmp_path]
    assert len(list(journal.read())) == 1
