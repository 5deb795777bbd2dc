"""kopf handlers: each hands what it is told to the controller, and no more."""

import asyncio
from typing import Any

import kopf

from isocenter.operator.resources import GROUP, PLURALS, VERSION
from isocenter.operator.startup import ProcessContext, configure


def register(registry: kopf.OperatorRegistry) -> None:
    """Put the handlers into ``registry``; importing this module does nothing."""
    kopf.on.login(registry=registry)(kopf.login_via_client)
    kopf.on.startup(registry=registry)(started)
    kopf.on.cleanup(registry=registry)(stopped)
    for kind, handler in (
        ("TrainingRun", training_run_seen),
        ("TrainingTrigger", training_trigger_seen),
        ("DICOMImportJob", dicom_import_job_seen),
    ):
        kopf.on.event(
            group=GROUP, version=VERSION, plural=PLURALS[kind], registry=registry
        )(handler)


async def started(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Set kopf up and begin to look at what is due."""
    context: ProcessContext = memo.context
    configure(settings, watch_timeout_s=context.watch_timeout_s)
    memo.polling = asyncio.create_task(context.controller.run(), name="polling")


async def stopped(memo: kopf.Memo, **_: Any) -> None:
    """Let looks that have begun finish."""
    memo.polling.cancel()
    await asyncio.gather(memo.polling, return_exceptions=True)


async def training_run_seen(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A TrainingRun was listed, made, changed or deleted."""
    _notice(memo.context, "TrainingRun", event)


async def training_trigger_seen(
    event: kopf.RawEvent, memo: kopf.Memo, **_: Any
) -> None:
    """A TrainingTrigger was listed, made, changed or deleted."""
    _notice(memo.context, "TrainingTrigger", event)


async def dicom_import_job_seen(
    event: kopf.RawEvent, memo: kopf.Memo, **_: Any
) -> None:
    """A DICOMImportJob was listed, made, changed or deleted."""
    _notice(memo.context, "DICOMImportJob", event)


def _notice(context: ProcessContext, kind: str, event: kopf.RawEvent) -> None:
    context.controller.notice(PLURALS[kind], event["type"], event["object"])
