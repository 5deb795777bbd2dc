"""Data stores by a claim."""

import pytest

from isocenter.tlm_proxy.access.caller import Caller
from isocenter.tlm_proxy.access.rights import Rights, has_scope
from isocenter.tlm_proxy.errors import ForbiddenError

A, B, C = "a" * 32, "b" * 32, "c" * 32
GROUPS = {"radiology": (A, B), "all": ("*",), "nobody": (), B: (C,)}


@pytest.mark.parametrize(
    ("served", "claim", "claims", "expected"),
    [
        # no claim is set: everything that is served
        (None, None, {"g": [A]}, None),
        ({A, B}, None, {}, {A, B}),
        # a token without the claim, or with nothing in it
        (None, "g", {}, set()),
        (None, "g", {"g": []}, set()),
        (None, "g", {"g": ""}, set()),
        (None, "g", {"g": None}, set()),
        (None, "g", {"g": 5}, set()),
        (None, "g", {"g": {A: 1}}, set()),
        # ids, as a list or a text
        (None, "g", {"g": [A, C]}, {A, C}),
        (None, "g", {"g": A}, {A}),
        (None, "g", {"g": f" {A}, {C} "}, {A, C}),
        ({A, B}, "g", {"g": [A, C]}, {A}),
        # groups; a name hides an id, and what is neither says nothing
        (None, "g", {"g": ["radiology"]}, {A, B}),
        ({B}, "g", {"g": ["radiology"]}, {B}),
        (None, "g", {"g": [B]}, {C}),
        (None, "g", {"g": ["nobody", "admins", "A" * 32, A + "\n", 7, None]}, set()),
        # everything
        (None, "g", {"g": "*"}, None),
        (None, "g", {"g": ["x", "all"]}, None),
        ({A, B}, "g", {"g": ["*"]}, {A, B}),
        # names of claims are taken whole
        (None, "cognito:groups", {"cognito:groups": ["radiology"]}, {A, B}),
        (None, "a.b", {"a": {"b": [A]}}, set()),
    ],
)
def test_rights(served, claim, claims, expected):
    rights = Rights(None if served is None else frozenset(served), claim, GROUPS)
    found = rights.of(claims)
    assert found == (None if expected is None else frozenset(expected))
    caller = Caller("s", claims, datastores=found)
    for store in (A, B, C):
        if expected is None or store in expected:
            caller.require(store)
        else:
            with pytest.raises(ForbiddenError, match=f"data store {store} is not"):
                caller.require(store)


def test_neither_an_error_nor_a_repr_holds_a_claim():
    caller = Caller("user-1", {"g": ["secret-group"]}, "c1", frozenset({A}))
    with pytest.raises(ForbiddenError) as caught:
        caller.require(B)
    for text in (str(caught.value), repr(caller)):
        for secret in ("user-1", "secret-group", A):
            assert secret not in text


@pytest.mark.parametrize(
    ("claims", "has"),
    [
        ({"scope": "openid tiles/read"}, True),
        ({"scope": "tiles/read"}, True),
        ({"scp": ["tiles/read"]}, True),
        ({"scp": "x tiles/read"}, True),
        ({"scope": "tiles/reader tiles"}, False),
        ({"scope": ""}, False),
        ({"scope": 1}, False),
        ({}, False),
    ],
)
def test_scopes(claims, has):
    assert has_scope(claims, "tiles/read") == has
