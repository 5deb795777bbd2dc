"""What every path of the facade names: a data store, and maybe one image set."""

from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Path, Query

from isocenter.core.run_request import ID_PATTERN
from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.context import ProcessContext
from isocenter.tlm_proxy.dicomweb.locate import Place
from isocenter.tlm_proxy.frames.key import Store
from isocenter.tlm_proxy.http.callers import caller_dependency

DATA_STORE = "/dicomweb/{region}/{datastore_id}"
IMAGE_SET = DATA_STORE + "/imageset/{image_set_id}"
ROOTS = (DATA_STORE, IMAGE_SET)

Region = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,32}$")]
Id = Annotated[str, Path(pattern=ID_PATTERN)]
Uid = Annotated[str, Path(pattern=r"^[0-9][0-9.]{0,63}$")]
Scope = Annotated[
    str | None,
    Query(alias="imageSetId", pattern=ID_PATTERN, description="This image set only."),
]


class Where(NamedTuple):
    """Where a request looks, and for whom.

    Attributes:
        store: region and data store; the caller may read it.
        image_set_id: the only image set meant; None for all.
        client: whom calls are counted for.
    """

    store: Store
    image_set_id: str | None
    client: str

    def study(self, uid: str) -> Place:
        """A study here."""
        return Place(self.store, uid, self.image_set_id)


WhereDependency = Callable[..., Awaitable[Where]]


def where_dependency(context: ProcessContext, root: str) -> WhereDependency:
    """FastAPI's dependency for routes under ``root``, one of ``ROOTS``.

    It raises UnauthorizedError, ForbiddenError and RegionNotServedError.
    """
    who = Depends(caller_dependency(context))

    async def in_data_store(
        region: Region, datastore_id: Id, scope: Scope = None, caller: Caller = who
    ) -> Where:
        store = context.dicomweb.store(region, datastore_id)
        caller.require(datastore_id)
        return Where(store, scope, caller.client)

    async def in_image_set(
        region: Region, datastore_id: Id, image_set_id: Id, caller: Caller = who
    ) -> Where:
        store = context.dicomweb.store(region, datastore_id)
        caller.require(datastore_id)
        return Where(store, image_set_id, caller.client)

    return in_image_set if root == IMAGE_SET else in_data_store
