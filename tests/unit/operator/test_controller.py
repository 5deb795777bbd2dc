import asyncio
import threading
from types import SimpleNamespace

import pytest

from isocenter.operator.controller import Controller
from isocenter.operator.errors import ConflictError, GoneError
from isocenter.operator.reconciling import Next, Result

PLURAL = "trainingruns"


class Scripted:
    """Answers each look with the next result; the last one is repeated."""

    def __init__(self, *results):
        self.results = list(results)
        self.looks = []
        self.together = 0
        self.most_together = 0

    def reconcile(self, body, at):
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        self.looks.append(body)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        self.together -= 1
        if isinstance(result, Exception):
            raise result
        return result


class Statuses:
    def __init__(self, *failures):
        self.patches = []
        self.failures = list(failures)
        self.reads = []
        self.now = None

    def patch_status(self, plural, name, status, *, resource_version):
        self.patches.append((name, status, resource_version))
        if self.failures:
            raise self.failures.pop(0)
        return {
            "metadata": body(resource_version="patched")["metadata"],
            "status": status,
        }

    def resource(self, plural, name):
        self.reads.append(name)
        if isinstance(self.now, Exception):
            raise self.now
        return self.now or body(name, resource_version="newer")


def body(name="a", generation=1, hint=None, resource_version="1"):
    return {
        "metadata": {
            "name": name,
            "namespace": "imaging",
            "uid": f"uid-{name}",
            "generation": generation,
            "resourceVersion": resource_version,
            "annotations": {"isocenter.dev/hint": hint} if hint else {},
        }
    }


POLL = Result({}, Next.POLL)
SETTLED = Result({}, Next.SETTLED)


@pytest.fixture
def drive():
    """Runs a controller while a scenario plays."""

    def run(reconciler, scenario, statuses=None, poll=0.05):
        async def play():
            controller = Controller(
                {PLURAL: reconciler},
                statuses or Statuses(),
                poll_interval_s=poll,
                max_backoff_s=10,
                workers=4,
            )
            running = asyncio.create_task(controller.run())
            try:
                await asyncio.wait_for(scenario(controller), timeout=5)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                controller.close()

        asyncio.run(play())

    return run


async def until(holds):
    while not holds():  # noqa: ASYNC110 - what is waited for happens in a thread
        await asyncio.sleep(0.005)


def test_polled_until_settled(drive):
    reconciler = Scripted(POLL, POLL, SETTLED)

    async def scenario(controller):
        controller.notice(PLURAL, None, body())
        # The loop ticks once a second at the latest; looks wake it.
        await until(lambda: len(reconciler.looks) == 3)
        await asyncio.sleep(0.2)

    drive(reconciler, scenario, poll=0.0)
    assert len(reconciler.looks) == 3


def test_only_generation_and_hint_cause_a_look(drive):
    reconciler = Scripted(SETTLED)

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        await until(lambda: len(reconciler.looks) == 1)
        controller.notice(PLURAL, "MODIFIED", body(resource_version="2"))
        await asyncio.sleep(0.1)
        assert len(reconciler.looks) == 1
        controller.notice(PLURAL, "MODIFIED", body(hint="event-1"))
        await until(lambda: len(reconciler.looks) == 2)
        controller.notice(PLURAL, "MODIFIED", body(hint="event-1", generation=2))
        await until(lambda: len(reconciler.looks) == 3)

    drive(reconciler, scenario)


def test_a_deleted_resource_is_forgotten(drive):
    reconciler = Scripted(POLL)

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        await until(lambda: reconciler.looks)
        controller.notice(PLURAL, "DELETED", body())
        await asyncio.sleep(0.02)
        looks = len(reconciler.looks)
        await asyncio.sleep(1.2)
        assert len(reconciler.looks) == looks

    drive(reconciler, scenario)


def test_looks_start_from_what_was_patched(drive):
    reconciler = Scripted(Result({"phase": "Starting"}, Next.POLL, "Starting"), SETTLED)
    statuses = Statuses()

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        await until(lambda: len(reconciler.looks) == 2)

    drive(reconciler, scenario, statuses, poll=0.0)
    assert statuses.patches == [("a", {"phase": "Starting"}, "1")]
    assert reconciler.looks[1]["status"] == {"phase": "Starting"}


def test_who_looked_at_something_stale_looks_again(drive):
    reconciler = Scripted(Result({"phase": "Running"}, Next.SETTLED, "Running"))
    statuses = Statuses(ConflictError("changed"))

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        await until(lambda: len(statuses.patches) == 2)

    drive(reconciler, scenario, statuses)
    # What it looks at is read: the watch may be late.
    assert [version for _, _, version in statuses.patches] == ["1", "newer"]


MADE_ANEW = {"metadata": body()["metadata"] | {"uid": "another"}}


@pytest.mark.parametrize(
    ("failure", "now"),
    [
        (GoneError("404"), None),
        (ConflictError("changed"), MADE_ANEW),
        (ConflictError("changed"), GoneError("404")),
    ],
)
def test_a_deletion_that_no_watch_told_of(drive, failure, now):
    """After 410 Gone the watch begins anew, and says nothing of what went before."""
    statuses = Statuses(failure)
    statuses.now = now

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        await until(lambda: statuses.patches)
        await until(lambda: not controller._tracked)

    drive(Scripted(Result({"phase": "Running"}, Next.POLL)), scenario, statuses)
    assert len(statuses.patches) == 1


def test_a_settled_resource_costs_no_memory(drive):
    reconciler = Scripted(Result({"phase": "Failed"}, Next.SETTLED, "Failed"), SETTLED)

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        (tracked,) = controller._tracked.values()
        await until(lambda: tracked.settled)
        controller.notice(PLURAL, "MODIFIED", body(resource_version="2"))
        assert tracked.body == {}
        controller.notice(PLURAL, "MODIFIED", body(generation=2))
        await until(lambda: len(reconciler.looks) == 2)
        await until(lambda: tracked.settled)
        assert tracked.body == {}

    drive(reconciler, scenario)
    assert reconciler.looks[1]["metadata"]["generation"] == 2


def test_a_look_that_breaks_is_repeated(drive, caplog):
    reconciler = Scripted(RuntimeError("bug"), SETTLED)

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        await until(lambda: len(reconciler.looks) == 2)

    drive(reconciler, scenario, poll=0.01)
    assert "a look failed" in caplog.text


def test_looks_at_one_resource_never_overlap(drive):
    entered = threading.Event()
    release = threading.Event()

    class Slow(Scripted):
        def reconcile(self, body, at):
            entered.set()
            release.wait(5)
            return super().reconcile(body, at)

    reconciler = Slow(SETTLED)

    async def scenario(controller):
        controller.notice(PLURAL, "ADDED", body())
        await until(entered.is_set)
        controller.notice(PLURAL, "MODIFIED", body(hint="while busy"))
        await asyncio.sleep(0.1)
        release.set()
        await until(lambda: len(reconciler.looks) == 2)

    drive(reconciler, scenario)
    assert reconciler.most_together == 1
    assert reconciler.looks[1]["metadata"]["annotations"]


def test_failures_back_off():
    controller = Controller(
        {}, Statuses(), poll_interval_s=10, max_backoff_s=60, workers=1
    )
    tracked = SimpleNamespace(failures=0)
    delays = [controller._delay(tracked, Next.BACK_OFF) for _ in range(5)]
    for delay, expected in zip(delays, (10, 20, 40, 60, 60), strict=True):
        assert expected * 0.75 <= delay <= expected * 1.25
    assert controller._delay(tracked, Next.POLL) == 10
    assert tracked.failures == 0
    controller.close()
