import sqlite3
import threading

import pytest

from isocenter.storescp.store.index import Index, Known

SHA = "ab" * 32


def known(uid="1.2.3", sha256=SHA, **changes):
    values = {
        "sop_instance_uid": uid,
        "sha256": sha256,
        "sop_class_uid": "1.2",
        "bucket": "inbox",
        "key": f"DICOM/b1/{uid}.dcm",
        "batch": "b1",
        "place": f"w0/b1/{uid}.dcm",
        "object_sha256": sha256,
        "time": 1000.0,
    }
    return Known(**(values | changes))


@pytest.fixture
def open_index(tmp_path):
    opened = []

    def open_one(**how):
        opened.append(Index(tmp_path / "index.sqlite", now=lambda: 1000.0, **how))
        return opened[-1]

    yield open_one
    for index in opened:
        index.close()


def test_a_row_is_found_before_and_after_it_is_written(open_index):
    index = open_index()
    index.record(known())
    assert index.find("1.2.3") == [known()]
    assert index.flush()
    assert index.find("1.2.3") == [known()]
    assert index.find("1.2.4") == []


def test_other_processes_and_the_next_one_find_it(open_index):
    index, other = open_index(), open_index()
    index.record(known())
    assert index.flush()
    assert other.find("1.2.3") == [known()]
    index.close()
    assert open_index().find("1.2.3") == [known()]


def test_a_uid_has_a_row_for_each_content(open_index):
    index = open_index()
    rows = [known(), known(sha256="cd" * 32)]
    for row in rows:
        index.record(row)
    assert index.flush()
    assert index.find("1.2.3") == rows


def test_a_stored_row_replaces_the_spooled_one(open_index):
    index = open_index()
    index.record(known())
    index.record(known(place=""))
    assert [row.state for row in index.find("1.2.3")] == ["stored"]
    assert index.flush()
    index.record(known())
    assert [row.state for row in index.find("1.2.3")] == ["spooled"]


def test_what_went_to_quarantine_is_a_version_that_is_not_found(open_index):
    index = open_index()
    changes = {"sop_class_uid": "", "bucket": "", "key": "", "place": ""}
    aside = known(**changes, object_sha256="")
    index.record(known())
    assert index.flush()
    index.set_aside("1.2.3", SHA, "b1", 1000.0)
    for written in ("", SHA):
        assert index.find("1.2.3") == []
        assert index.versions("1.2.3") == [aside._replace(object_sha256=written)]
        assert index.flush()
    index.record(known())  # it came again
    assert index.find("1.2.3") == index.versions("1.2.3") == [known()]


def test_an_index_of_the_version_before_is_read_on(tmp_path, open_index):
    index = open_index()
    index.record(known())
    index.close()
    earlier = sqlite3.connect(tmp_path / "index.sqlite")
    earlier.execute("PRAGMA user_version=1")
    earlier.close()
    assert open_index().find("1.2.3") == [known()]


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_what_is_no_index_is_put_aside(tmp_path, open_index, content):
    (tmp_path / "index.sqlite").write_bytes(content)
    index = open_index()
    index.record(known())
    assert index.flush()
    assert index.find("1.2.3") == [known()]
    aside = list(tmp_path.glob("index.sqlite.damaged-*"))
    assert [path.read_bytes() for path in aside] == ([content] if content else [])


def test_an_index_of_another_version_is_put_aside(tmp_path, open_index):
    other = sqlite3.connect(tmp_path / "index.sqlite")
    other.execute("PRAGMA user_version=99")
    other.close()
    assert open_index().find("1.2.3") == []
    assert list(tmp_path.glob("index.sqlite.damaged-*"))


def test_damage_while_it_runs_is_survived(tmp_path, open_index):
    index, other = open_index(), open_index()
    for number in range(200):
        index.record(known(f"1.2.{number}"))
    assert index.flush()
    index.close()
    (tmp_path / "index.sqlite-wal").unlink(missing_ok=True)
    (tmp_path / "index.sqlite").write_bytes(b"\xff" * 40_960)
    third = open_index()
    for each in (other, third):
        each.record(known("1.9"))
        each.flush()
        each.record(known("1.10"))
        each.flush()
    assert third.find("1.10") == [known("1.10")]
    assert other.find("1.10") == [known("1.10")]


def test_a_folder_that_is_away_for_a_while(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("isocenter.storescp.store.index._AWAY_S", 0.01)
    index = Index(tmp_path / "missing" / "index.sqlite")
    index.record(known("1.1"))
    assert not index.flush(0.1)
    index.record(known("1.2"))
    assert index.find("1.1") == [known("1.1")]
    (tmp_path / "missing").mkdir()
    assert index.flush()
    assert index.find("1.1") == [known("1.1")]
    assert index.find("1.2") == [known("1.2")]
    index.close()
    assert len([r for r in caplog.records if "can't be written" in r.message]) == 1


def test_an_index_that_cant_be_written_can_be_closed(tmp_path):
    index = Index(tmp_path / "missing" / "index.sqlite")
    index.record(known())
    index.close()
    assert not (tmp_path / "missing").exists()


def test_rows_end_by_age_and_by_number(open_index, monkeypatch):
    monkeypatch.setattr("isocenter.storescp.store.index._PRUNE_EVERY_S", 0)
    index = open_index(days=30, max_rows=3)
    index.record(known("1.0", time=1000.0 - 31 * 86_400))
    for number in range(1, 6):
        index.record(known(f"1.{number}", time=900.0 + number))
    assert index.flush()
    assert [bool(index.find(f"1.{n}")) for n in range(6)] == [False] * 3 + [True] * 3


def test_many_threads(open_index):
    index = open_index()

    def work(number):
        for count in range(50):
            index.record(known(f"1.{number}.{count}"))
            assert index.find(f"1.{number}.{count}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.flush()
    assert all(index.find(f"1.{n}.{c}") for n in range(4) for c in range(50))
