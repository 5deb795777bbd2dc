import asyncio
from types import SimpleNamespace

import kopf

from isocenter.operator import handlers
from isocenter.operator.resources import GROUP, PLURALS, VERSION


def test_no_handler_needs_a_finalizer():
    registry = kopf.OperatorRegistry()
    handlers.register(registry)
    assert not registry._changing._handlers
    assert not registry._spawning._handlers
    selectors = [h.selector for h in registry._watching._handlers]
    assert {(s.group, s.version, s.plural) for s in selectors} == {
        (GROUP, VERSION, plural) for plural in PLURALS.values()
    }


def test_started_and_stopped():
    ran = []

    async def forever():
        ran.append("run")
        await asyncio.Event().wait()

    async def play():
        settings = kopf.OperatorSettings()
        context = SimpleNamespace(
            controller=SimpleNamespace(run=forever), watch_timeout_s=300
        )
        memo = kopf.Memo(context=context)
        await handlers.started(settings=settings, memo=memo)
        await asyncio.sleep(0)
        await handlers.stopped(memo=memo)
        assert memo.polling.cancelled()
        return settings

    settings = asyncio.run(play())
    assert ran == ["run"]
    assert settings.scanning.disabled
    assert settings.watching.server_timeout == 300


def test_handlers_hand_over():
    noticed = []
    memo = SimpleNamespace(
        context=SimpleNamespace(
            controller=SimpleNamespace(notice=lambda *args: noticed.append(args))
        )
    )
    event = {"type": "ADDED", "object": {"metadata": {"name": "a"}}}
    for handler in (
        handlers.training_run_seen,
        handlers.training_trigger_seen,
        handlers.dicom_import_job_seen,
    ):
        asyncio.run(handler(event=event, memo=memo))
    assert [plural for plural, _, _ in noticed] == [
        "trainingruns",
        "trainingtriggers",
        "dicomimportjobs",
    ]
    assert all(args[1:] == ("ADDED", event["object"]) for args in noticed)
