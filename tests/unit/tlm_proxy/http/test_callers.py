"""Nobody gets a frame without the right to it, however warm it is."""

import pytest

from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.errors import UnauthorizedError

DATASTORE = "d" * 32
ALICE = Caller("alice", {}, "alice", frozenset({DATASTORE}))
MALLORY = Caller("mallory", {}, "mallory", frozenset({"e" * 32}))
CHANGED = {"If-None-Match": f'"{"5" * 32}.{"a" * 32}"'}


class Tokens:
    """Access by a table; what was checked is known from then on."""

    def __init__(self):
        self.callers = {"Bearer alice": ALICE, "Bearer mallory": MALLORY}
        self.seen = {}
        self.checks = 0

    def known(self, authorization):
        return self.seen.get(authorization)

    async def check(self, authorization):
        self.checks += 1
        if not authorization:
            raise UnauthorizedError("send a token", code="")
        if len(authorization) > 1 or authorization[0] not in self.callers:
            raise UnauthorizedError("the token is not good")
        caller = self.callers[authorization[0]]
        self.seen[authorization[0].encode()] = caller
        return caller

    def problem(self):
        return None

    async def prepare(self):
        pass

    async def aclose(self):
        pass


@pytest.mark.parametrize("protocol", [None, "httptools"])
@pytest.mark.parametrize("warm", [True, False])
def test_rights_are_asked_for_every_answer(stage, run, protocol, warm):
    async def play():
        async with stage(protocol) as s:
            s.add("a", b"body", media_type="image/jpeg")
            if warm:
                await s.body("a")
                await s.cached()
            s.context.access = tokens = Tokens()
            asked = len(s.upstream.requests)
            for headers, status, challenge in (
                ({}, 401, 'Bearer realm="isocenter"'),
                ({"Authorization": "Bearer bob"}, 401, 'error="invalid_token"'),
                ({"Authorization": "Bearer mallory"}, 403, ""),
                # Known by now, and still without the right.
                ({"Authorization": "Bearer mallory"}, 403, ""),
            ):
                for more in ({}, CHANGED, {"Range": "bytes=0-0"}):
                    for call in (s.get, s.post):
                        async with call("a", headers=headers | more) as response:
                            assert response.status == status
                            told = response.headers.get("WWW-Authenticate", "")
                            assert challenge in told
                            assert b"body" not in await response.read()
            assert len(s.upstream.requests) == asked
            checks = tokens.checks
            for _ in range(3):
                alice = {"Authorization": "Bearer alice"}
                async with s.get("a", headers=alice) as response:
                    assert (response.status, await response.read()) == (200, b"body")
            assert tokens.checks == checks + 1
            twice = [("Authorization", "Bearer alice")] * 2
            async with s.get("a", headers=twice) as response:
                assert response.status == 401

    run(play)
