"""The guard on a loop whose timers take no time."""

import asyncio

import pytest

from isocenter.tlm_proxy.errors import CircuitOpenError, OverloadedError
from isocenter.tlm_proxy.metrics import Metrics
from isocenter.tlm_proxy.upstream.circuit import FAILURES, PAUSE_S, State
from isocenter.tlm_proxy.upstream.guard import Guard, Limits

LABELS = {"region": "eu-west-1", "service": "frames"}


@pytest.fixture
def guard_of(metrics: Metrics):
    def guard_of(calls_per_s=1000.0, connections=64, queue=10_000):
        loop = asyncio.get_running_loop()
        limits = Limits(calls_per_s, connections, queue)
        return Guard(*LABELS.values(), limits, metrics, loop.time)

    return guard_of


@pytest.fixture
def metric(metrics):
    def metric(name, **labels):
        return metrics.registry.get_sample_value(
            f"isocenter_tlm_proxy_upstream_{name}", LABELS | labels
        )

    return metric


def now():
    return asyncio.get_running_loop().time()


async def call(guard, client, done, *, lasts=0.05, deadline=60.0):
    turn = await guard.enter(client, now() + deadline)
    await asyncio.sleep(lasts)
    turn.succeeded()
    turn.end()
    done.append((now(), client))


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_prefetch_of_1000_frames_does_not_delay_anothers_first(run_virtual, guard_of):
    async def play():
        guard, done = guard_of(calls_per_s=100.0, connections=8), []
        began = now()
        greedy = [asyncio.create_task(call(guard, "a", done)) for _ in range(1000)]
        await asyncio.sleep(3)
        asked = now()
        await call(guard, "b", done)
        # a connection comes free, and a token: a few calls' time, not seconds
        assert now() - asked < 0.2
        await asyncio.gather(*greedy)
        assert len(done) == 1001
        # the first hundred are saved up, the others come at 100 a second
        assert 8.5 < now() - began < 10
        # none of them was lost or made twice
        assert guard._under_way == 0

    run_virtual(play)


def test_no_more_calls_under_way_than_connections(run_virtual, guard_of, metric):
    async def play():
        guard, done = guard_of(connections=3), []
        tasks = [asyncio.create_task(call(guard, str(n), done)) for n in range(10)]
        await settle()
        assert metric("in_flight") == 3
        assert metric("waiting") == 7
        await asyncio.gather(*tasks)
        assert [at for at, _ in done] == sorted(at for at, _ in done)
        assert len({round(at, 3) for at, _ in done}) == 4
        assert metric("in_flight") == metric("waiting") == 0
        assert metric("wait_seconds_count") == 10

    run_virtual(play)


def test_waiting_callers_that_are_cancelled_cost_nothing(run_virtual, guard_of, metric):
    async def play():
        guard, done = guard_of(calls_per_s=1.0, connections=1), []
        holder = await guard.enter("a", now() + 60)
        waiting = [asyncio.create_task(call(guard, "b", done)) for _ in range(50)]
        last = asyncio.create_task(call(guard, "c", done))
        await settle()
        for task in waiting:
            task.cancel()
        await settle()
        assert metric("waiting") == 1
        began = now()
        holder.end()
        await last
        # one token at one a second, not fifty
        assert now() - began < 1.2
        assert done == [(now(), "c")]

    run_virtual(play)


def test_a_turn_that_comes_as_its_caller_goes_is_not_lost(run_virtual, guard_of):
    async def play():
        guard, done = guard_of(connections=1), []
        holder = await guard.enter("a", now() + 60)
        going = asyncio.create_task(call(guard, "b", done))
        next_one = asyncio.create_task(call(guard, "c", done))
        await settle()
        # Its turn comes, and before it can go on it is cancelled.
        holder.end()
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        await next_one
        assert [client for _, client in done] == ["c"]
        assert guard._under_way == 0

    run_virtual(play)


def test_a_turn_at_the_deadline_is_taken_or_given_on(run_virtual, guard_of):
    async def play():
        guard, done = guard_of(connections=1), []
        holder = await guard.enter("a", now() + 60)
        asyncio.get_running_loop().call_at(now() + 1, holder.end)
        callers = [call(guard, "b", done, deadline=1), call(guard, "c", done)]
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert outcomes[1] is None
        made = [client for _, client in done]
        assert isinstance(outcomes[0], OverloadedError) == ("b" not in made)
        assert guard._under_way == 0

    run_virtual(play)


def test_a_full_queue_says_when_to_try_again(run_virtual, guard_of, metric):
    async def play():
        guard, done = guard_of(calls_per_s=2.0, connections=1, queue=10), []
        holder = await guard.enter("a", now() + 60)
        tasks = [asyncio.create_task(call(guard, "a", done)) for _ in range(10)]
        await settle()
        with pytest.raises(OverloadedError) as caught:
            await guard.enter("a", now() + 60)
        assert caught.value.retry_after == pytest.approx(5)
        assert "try again in 5 s" in str(caught.value)
        # another client takes the place of the last one of those
        other = asyncio.create_task(call(guard, "b", done))
        await settle()
        with pytest.raises(OverloadedError):
            await tasks[-1]
        assert metric("turned_away_total", reason="queue") == 2
        holder.end()
        await asyncio.gather(other, *tasks[:-1])
        assert len(done) == 10
        assert "b" in [client for _, client in done[:2]]

    run_virtual(play)


def test_waiting_ends_at_the_deadline(run_virtual, guard_of, metric):
    async def play():
        guard = guard_of(connections=1)
        holder = await guard.enter("a", now() + 60)
        began = now()
        with pytest.raises(OverloadedError, match="did not come in time"):
            await guard.enter("b", now() + 2)
        assert now() - began == pytest.approx(2)
        assert metric("turned_away_total", reason="deadline") == 1
        assert metric("waiting") == 0
        holder.end()

    run_virtual(play)


async def fail_until_open(guard):
    for number in range(FAILURES):
        turn = await guard.enter("a", now() + 60)
        turn.failed(f"frame {number}")
        turn.end()


def test_an_open_circuit_turns_away_at_once_those_that_wait_too(
    run_virtual, guard_of, metric
):
    async def play():
        guard, done = guard_of(connections=1), []
        await fail_until_open(guard)
        assert metric("circuit") == State.OPEN
        with pytest.raises(CircuitOpenError) as caught:
            await guard.enter("a", now() + 60)
        assert caught.value.retry_after == PAUSE_S
        assert "try again in 2 s" in str(caught.value)
        await asyncio.sleep(PAUSE_S)
        probe = await guard.enter("a", now() + 60)
        assert metric("circuit") == State.HALF_OPEN
        with pytest.raises(CircuitOpenError):
            await guard.enter("b", now() + 60)
        probe.succeeded()
        waiting = [asyncio.create_task(call(guard, "b", done)) for _ in range(2)]
        await settle()
        probe.end()
        await asyncio.gather(*waiting)
        assert metric("circuit") == State.CLOSED

    run_virtual(play)


def test_those_that_wait_hear_of_a_circuit_that_opens(run_virtual, guard_of, metric):
    async def play():
        guard = guard_of(connections=FAILURES)
        turns = [await guard.enter("a", now() + 60) for _ in range(FAILURES)]
        waiting = [asyncio.create_task(guard.enter("b", now() + 60)) for _ in range(5)]
        await settle()
        for number, turn in enumerate(turns):
            turn.failed(f"frame {number}")
        for task in waiting:
            with pytest.raises(CircuitOpenError):
                await task
        for turn in turns:
            turn.end()
        assert metric("waiting") == metric("in_flight") == 0
        assert metric("turned_away_total", reason="circuit") == 5

    run_virtual(play)


def test_throttling_slows_everybody_down(run_virtual, guard_of, metric):
    async def play():
        guard, done = guard_of(calls_per_s=100.0), []
        turn = await guard.enter("a", now() + 60)
        turn.throttled()
        turn.succeeded()
        turn.end()
        assert metric("throttled_total") == 1
        began = now()
        await asyncio.gather(*(call(guard, str(n), done, lasts=0) for n in range(100)))
        # halved: 100 calls take over a second, though a hundred were saved up
        assert 1.2 < now() - began < 2.1
        assert 50 <= metric("rate") <= 100
        assert metric("circuit") == State.CLOSED

    run_virtual(play)


def test_a_turn_ends_once(run_virtual, guard_of):
    async def play():
        guard = guard_of()
        turn = await guard.enter("a", now() + 60)
        turn.end()
        turn.end()
        turn.failed("too late")
        assert guard._under_way == 0
        guard.aclose()

    run_virtual(play)
