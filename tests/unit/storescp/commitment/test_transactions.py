import os
from datetime import timedelta
from pathlib import Path

import pytest

from isocenter.storescp.commitment.request import Reference
from isocenter.storescp.commitment.transactions import State, Transaction, Transactions
from isocenter.storescp.store import durable

REFERENCES = (Reference("1.2", "1.2.1"), Reference("1.2", "1.2.2"))


@pytest.fixture
def asked(make):
    def ask(uid="1.9", references=REFERENCES, calling_ae="CT1"):
        return Transaction.asked(
            uid, references, calling_ae=calling_ae, called_ae="S3SCP", now=make.NOW
        )

    return ask


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "w0" / "commitment"


@pytest.fixture
def transactions(folder):
    made = Transactions(folder, beside="w*/commitment")
    made.prepare()
    return made


def names(folder):
    return sorted(path.name.split(".", 1)[1] for path in folder.iterdir())


def test_each_state_replaces_the_one_before(transactions, folder, asked, make):
    transaction = asked()
    transactions.keep(transaction)
    assert names(folder) == ["asked.json"]
    assert list(transactions.unfinished()) == [transaction]
    decided = transaction.decided({"1.2.1": 0x0112}, make.NOW)
    transactions.keep(decided)
    assert names(folder) == ["decided.json"]
    assert list(transactions.unfinished()) == [decided]
    transactions.keep(decided.ended("reported"))
    assert names(folder) == ["ended.json"]
    assert list(transactions.unfinished()) == []


def test_equal_requests_are_one_transaction(asked):
    assert asked().id == asked(references=REFERENCES[::-1]).id
    assert asked().id != asked(references=REFERENCES[:1]).id
    assert asked().id != asked(uid="1.10").id
    assert asked().id != asked(calling_ae="CT2").id


def test_a_used_transaction_uid_is_known_until_it_is_forgotten(
    transactions, asked, make
):
    first, other = asked(), asked(references=REFERENCES[:1])
    transactions.keep(first.ended("reported"))
    assert transactions.uses_other_instances(other)
    assert not transactions.uses_other_instances(first)
    assert not transactions.uses_other_instances(asked("1.9.1", REFERENCES[:1]))
    day = timedelta(days=1)
    path = next(transactions._folder.iterdir())
    os.utime(path, (make.NOW.timestamp(),) * 2)
    assert transactions.forget(make.NOW + day, day, 10) == 0
    assert transactions.forget(make.NOW + 2 * day, day, 10) == 1
    assert not transactions.uses_other_instances(other)


def test_a_uid_that_another_worker_of_the_pod_took_is_known(
    transactions, asked, tmp_path
):
    beside = Transactions(tmp_path / "w1" / "commitment")
    beside.prepare()
    beside.keep(asked())
    assert transactions.uses_other_instances(asked(references=REFERENCES[:1]))


def test_a_new_uid_is_looked_up_and_not_searched_for(transactions, asked, monkeypatch):
    for number in range(50):
        transactions.keep(asked(f"1.9.{number}").ended("reported"))
    read, opened = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda p: opened.append(p) or read(p))
    glob, globbed = Path.glob, []
    monkeypatch.setattr(Path, "glob", lambda p, g: globbed.append(g) or glob(p, g))
    assert not transactions.uses_other_instances(asked("1.8"))
    assert transactions.uses_other_instances(asked("1.9.7", REFERENCES[:1]))
    assert len(opened) == 6
    assert set(globbed) == {"w*/commitment"}  # the folders of workers


def earlier(folder, transaction):
    """Name a transaction's file as an earlier version did."""
    (path,) = folder.glob(f"{transaction.name}.*.json")
    path.rename(folder / path.name.replace(transaction.name, transaction.id))


@pytest.mark.parametrize("state", list(State))
def test_what_an_earlier_version_left_is_known(
    transactions, folder, asked, make, state
):
    states = {
        State.ASKED: asked(),
        State.DECIDED: asked().decided({}, make.NOW),
        State.ENDED: asked().ended("reported"),
    }
    transactions.keep(states[state])
    earlier(folder, states[state])
    transactions.prepare()
    assert names(folder) == [f"{state}.json"]
    left = list(transactions.unfinished())
    assert left == ([] if state is State.ENDED else [states[state]])
    assert transactions.uses_other_instances(asked(references=REFERENCES[:1]))
    assert not transactions.uses_other_instances(asked())


def test_a_name_that_two_workers_gave_keeps_both_transactions(
    transactions, folder, asked, make, tmp_path
):
    transactions.keep(asked())
    gone = Transactions(tmp_path / "w3" / "commitment")
    gone.prepare()
    other = asked(references=REFERENCES[:1])
    gone.keep(other.decided({}, make.NOW))
    assert transactions.adopt(tmp_path / "w3" / "commitment") == 1
    left = {t.digest: t for t in transactions.unfinished()}
    assert left.keys() == {asked().digest, other.digest}
    for transaction in left.values():
        transactions.keep(transaction.ended("reported"))
    assert names(folder) == ["ended.json"] * 2
    assert not list((tmp_path / "w3" / "commitment").iterdir())


IN_BOTH = [
    # what is here, what another worker left of the same request, what is to be done
    (State.ENDED, State.ASKED, [State.ASKED]),
    (State.ENDED, State.DECIDED, [State.DECIDED]),
    (State.ASKED, State.ENDED, [State.ASKED]),
    (State.DECIDED, State.ENDED, [State.DECIDED]),
    (State.ASKED, State.DECIDED, [State.DECIDED]),
    (State.ENDED, State.ENDED, []),
]


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("ours", "theirs", "left"), IN_BOTH)
def test_a_request_made_to_two_workers_goes_on(
    transactions, asked, make, tmp_path, ours, theirs, left, again
):
    def of(state, transaction):
        return {
            State.ASKED: transaction,
            State.DECIDED: transaction.decided({}, make.NOW),
            State.ENDED: transaction.ended("reported"),
        }[state]

    mine = asked()
    if again:  # here the Transaction UID was used for other instances before
        transactions.keep(asked(references=REFERENCES[:1]).ended("reported"))
        mine = mine.model_copy(update={"again": True})
    transactions.keep(of(ours, mine))
    gone = Transactions(tmp_path / "w3" / "commitment")
    gone.prepare()
    gone.keep(of(theirs, asked()))
    transactions.adopt(tmp_path / "w3" / "commitment")
    assert [t.state for t in transactions.unfinished()] == left
    assert not list((tmp_path / "w3" / "commitment").iterdir())


def test_what_cannot_be_read_does_not_replace_what_can(
    transactions, folder, asked, tmp_path
):
    transactions.keep(asked())
    gone = tmp_path / "w3" / "commitment"
    gone.mkdir(parents=True)
    (gone / f"{asked().name}.asked.json").write_bytes(b"")
    transactions.adopt(gone)
    assert list(transactions.unfinished()) == [asked()]
    assert [path.suffix for path in gone.iterdir()] == [".damaged"]


def test_only_so_many_are_remembered(transactions, asked, make):
    for number in range(5):
        transactions.keep(asked(f"1.9.{number}").ended("reported"))
    assert transactions.forget(make.NOW, timedelta(days=10_000), 3) == 2


def test_an_ended_one_that_is_asked_again_begins_again(transactions, folder, asked):
    transactions.keep(asked().ended("reported"))
    transactions.keep(asked())
    assert names(folder) == ["asked.json"]


STEPS = ("write", "sync_folder")


@pytest.mark.parametrize("nth", range(1, 9))
def test_a_kill_between_any_two_steps_loses_nothing_that_was_kept(
    transactions, folder, asked, make, monkeypatch, nth
):
    """What ``keep`` returned for is there; what it was in the middle of has a state."""

    class KilledError(Exception):
        pass

    calls = 0

    def dying(real):
        def call(*args):
            nonlocal calls
            calls += 1
            if calls == nth:
                raise KilledError
            return real(*args)

        return call

    for name in STEPS:
        monkeypatch.setattr(durable, name, dying(getattr(durable, name)))
    transaction = asked()
    states = [
        transaction,
        transaction.decided({}, make.NOW),
        transaction.ended("reported"),
        transaction,  # asked again
    ]
    kept = None
    try:
        for state in states:
            transactions.keep(state)
            kept = state.state
    except KilledError:
        pass
    found = [t.state for t in Transactions(folder).unfinished()]
    ended = any("ended" in path.name for path in folder.iterdir())
    if kept is State.ASKED:
        assert found[0] in (State.ASKED, State.DECIDED)
    if kept is State.DECIDED:
        assert found == [State.DECIDED] or ended
    assert len(found) <= 1


def test_a_damaged_file_is_put_aside(transactions, folder, asked, caplog):
    transactions.keep(asked())
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    assert list(transactions.unfinished()) == []
    assert names(folder) == ["asked.damaged"]
    assert "put aside" in caplog.text


def test_transactions_of_a_worker_that_is_gone_are_taken_over(
    transactions, asked, tmp_path
):
    gone = Transactions(tmp_path / "w3" / "commitment")
    gone.prepare()
    gone.keep(asked())
    assert transactions.adopt(tmp_path / "w3" / "commitment") == 1
    assert transactions.adopt(tmp_path / "w9" / "commitment") == 0
    assert [t.id for t in transactions.unfinished()] == [asked().id]


def test_no_name_comes_from_the_peer(transactions, folder, asked):
    transactions.keep(asked(calling_ae="../../../x"))
    (path,) = folder.iterdir()
    assert set(path.name.split(".")[0]) <= set("0123456789abcdef-")
