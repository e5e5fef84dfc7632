"""Metrics in Amazon CloudWatch, where configured; whatever breaks, nothing fails of it."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from include.disaster_recovery.runtime.limits import within
from include.disaster_recovery.settings import CloudWatchChannel

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.client import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import StandardUnitType
    from mypy_boto3_cloudwatch.type_defs import MetricDatumTypeDef

log = logging.getLogger(__name__)

LIMIT_SECONDS = 20.0


def push(values: Mapping[str, float]) -> bool:
    """Put metrics by their names; whether CloudWatch took them. The unit is told by the name's end."""
    try:
        from include.disaster_recovery.runtime.connections import settings

        channel = settings().alerts.cloudwatch
        if channel is None or not values:
            return False
        error = within(LIMIT_SECONDS, {"cloudwatch": lambda: _put(values, channel)})["cloudwatch"]
    except Exception as problem:  # noqa: BLE001 - a metric never fails anything
        error = problem
    if error is not None:
        log.error("metrics were not written: %s; hint: check alerts.cloudwatch's connection", type(error).__name__)
        return False
    log.info("metrics written: %s", ", ".join(f"{name} {value:g}" for name, value in values.items()))
    return True


def unit_of(name: str) -> "StandardUnitType":
    """`Bytes`, `Seconds` or `Count`."""
    return "Bytes" if name.endswith("Bytes") else "Seconds" if name.endswith("Seconds") else "Count"


def _put(values: Mapping[str, float], channel: CloudWatchChannel) -> None:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    from include.disaster_recovery.runtime.channels import BRIEF
    from include.disaster_recovery.runtime.connections import AllowedExtra, region_of

    class Hook(AllowedExtra, AwsBaseHook):
        """The provider's hook for CloudWatch."""

    region = region_of(channel.conn_id, channel.region)
    hook = Hook(aws_conn_id=channel.conn_id, client_type="cloudwatch", region_name=region, config=BRIEF)
    data: list[MetricDatumTypeDef] = [
        {"MetricName": name, "Value": float(value), "Unit": unit_of(name)} for name, value in values.items()
    ]
    client: CloudWatchClient = hook.get_conn()
    client.put_metric_data(Namespace=channel.namespace, MetricData=data)
