"""Alarms on the way of events, and who is told; and the account's budget."""

from aws_cdk import Stack
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns

from isocenter_infra.events import EventPath
from isocenter_infra.names import pascal
from isocenter_infra.settings import Settings

_OLDEST_S = 900
_PERIOD_S = 300


def alarms(stack: Stack, settings: Settings, key: kms.IKey, path: EventPath) -> None:
    """An alarm for each way in which an event may not arrive."""
    topic = _topic(stack, settings, key)
    queue, dead = path.queue.queue_name, path.dead_letters.queue_name
    _alarm(
        stack,
        settings,
        topic,
        name="DeadLetters",
        what="events that intake could not use, or that did not reach the queue",
        metric=("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": dead}),
    )
    _alarm(
        stack,
        settings,
        topic,
        name="OldestEvent",
        what=f"an event has waited for over {_OLDEST_S} s: is intake running?",
        metric=("AWS/SQS", "ApproximateAgeOfOldestMessage", {"QueueName": queue}),
        threshold=_OLDEST_S,
    )
    for name, rule in path.rules.items():
        _alarm(
            stack,
            settings,
            topic,
            name=f"Rule{pascal(name)}",
            what=f"rule {name} could not deliver an event: look at the queue's policy",
            metric=("AWS/Events", "FailedInvocations", {"RuleName": str(rule.name)}),
        )


def _alarm(
    stack: Stack,
    settings: Settings,
    topic: str | None,
    *,
    name: str,
    what: str,
    metric: tuple[str, str, dict[str, str]],
    threshold: float = 0,
) -> None:
    """Above ``threshold`` in one period of five minutes; no data is no alarm."""
    namespace, metric_name, dimensions = metric
    cloudwatch.CfnAlarm(
        stack,
        f"Alarm{name}",
        alarm_name=f"{settings.name_prefix}-{name}",
        alarm_description=f"{settings.name_prefix}: {what}",
        namespace=namespace,
        metric_name=metric_name,
        dimensions=[
            cloudwatch.CfnAlarm.DimensionProperty(name=key, value=value)
            for key, value in dimensions.items()
        ],
        statistic="Sum" if namespace == "AWS/Events" else "Maximum",
        period=_PERIOD_S,
        evaluation_periods=1,
        threshold=threshold,
        comparison_operator="GreaterThanThreshold",
        treat_missing_data="notBreaching",
        alarm_actions=[topic] if topic else None,
        ok_actions=[topic] if topic else None,
    )


def _topic(stack: Stack, settings: Settings, key: kms.IKey) -> str | None:
    """ARN of the topic that sends mail, if there is an address."""
    if not settings.alarm_mail:
        return None
    topic = sns.Topic(stack, "Alarms", master_key=key, enforce_ssl=True)
    topic.add_to_resource_policy(
        iam.PolicyStatement(
            sid="Alarms",
            principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
        )
    )
    sns.CfnSubscription(
        stack,
        "AlarmMail",
        topic_arn=topic.topic_arn,
        protocol="email",
        endpoint=settings.alarm_mail,
    )
    return str(topic.topic_arn)


def budget(stack: Stack, settings: Settings) -> None:
    """The account's costs a month, and mail at 80 % and at a forecast of 100 %.

    Of the whole account: a filter by tag works only where the account's owner has
    made the tag one for cost allocation.
    """
    if settings.budget_usd is None or settings.budget_mail is None:
        return
    mail = budgets.CfnBudget.SubscriberProperty(
        subscription_type="EMAIL", address=settings.budget_mail
    )
    budgets.CfnBudget(
        stack,
        "Budget",
        budget=budgets.CfnBudget.BudgetDataProperty(
            budget_type="COST",
            time_unit="MONTHLY",
            budget_limit=budgets.CfnBudget.SpendProperty(
                amount=settings.budget_usd, unit="USD"
            ),
        ),
        notifications_with_subscribers=[
            budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[mail],
            )
            for kind, percent in (("ACTUAL", 80), ("FORECASTED", 100))
        ],
    )
