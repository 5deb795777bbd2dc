"""The evaluator that the matrix of permissions trusts."""

import pytest
from infra.policy_evaluation import allowed

READ = {"Effect": "Allow", "Action": ["s3:Get*"], "Resource": "arn:aws:s3:::b/a/*"}
DENY = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/a/x"}
PASS = {
    "Effect": "Allow",
    "Action": "iam:PassRole",
    "Resource": "arn:r",
    "Condition": {"StringEquals": {"iam:PassedToService": ["a.com", "b.com"]}},
}


@pytest.mark.parametrize(
    ("statements", "action", "resource", "context", "expected"),
    [
        ([], "s3:GetObject", "arn:aws:s3:::b/a/1", {}, False),
        ([READ], "s3:GetObject", "arn:aws:s3:::b/a/1", {}, True),
        ([READ], "S3:getobject", "arn:aws:s3:::b/a/1", {}, True),
        ([READ], "s3:GetObject", "arn:aws:s3:::b/b/1", {}, False),
        ([READ], "s3:PutObject", "arn:aws:s3:::b/a/1", {}, False),
        ([READ, DENY], "s3:GetObject", "arn:aws:s3:::b/a/x", {}, False),
        ([READ, DENY], "s3:GetObject", "arn:aws:s3:::b/a/y", {}, True),
        ([PASS], "iam:PassRole", "arn:r", {"iam:PassedToService": "b.com"}, True),
        ([PASS], "iam:PassRole", "arn:r", {"iam:PassedToService": "c.com"}, False),
        ([PASS], "iam:PassRole", "arn:r", {}, False),
    ],
)
def test_allowed(statements, action, resource, context, expected):
    assert allowed(statements, action, resource, context) is expected


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"},
        {
            **READ,
            "Condition": {"NumericLessThan": {"s3:max-keys": "1"}},
        },
    ],
)
def test_what_is_not_known_is_an_error(statement):
    with pytest.raises((KeyError, ValueError)):
        allowed([statement], "s3:GetObject", "arn:aws:s3:::b/a/1", {})
