"""Who hears of an alert: mail, SNS, Slack, a webhook, each through Airflow's own notifier and a Connection."""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any, cast

from botocore.config import Config

from include.disaster_recovery.alerting import Alert, html, payload, plain_text
from include.disaster_recovery.runtime.connections import AllowedExtra, region_of
from include.disaster_recovery.runtime.limits import within
from include.disaster_recovery.settings import AlertSettings, SlackChannel, SmtpChannel, SnsChannel, WebhookChannel

log = logging.getLogger(__name__)

LIMIT_SECONDS = 20.0  # for all channels together
REQUEST_SECONDS = 8  # for one request, so that a second try fits
LONGEST_SNS_SUBJECT = 100  # ASCII, Amazon SNS API reference, "Publish"
# Alerts wait for nobody: fewer and shorter tries than a backup's requests have.
BRIEF = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=4, read_timeout=REQUEST_SECONDS)
_NOTHING: Any = {}  # no context: the notifiers are given finished texts, there is nothing to render

_silent = logging.getLogger(f"{__name__}.silent")
_silent.disabled = True


def send(alert: Alert, wanted: AlertSettings) -> dict[str, bool]:
    """Send an alert to every configured channel; whether each took it. Never raises, and never takes long."""
    calls = {name: call for name, call in _calls(alert, wanted).items() if call is not None}
    answers = within(LIMIT_SECONDS, calls)
    for name, error in answers.items():
        if error is not None:  # by its type only: its text may quote a URL with a token in it, or a login
            log.error("alert channel %s failed: %s; hint: check its Airflow connection", name, type(error).__name__)
    return {name: error is None for name, error in answers.items()}


def _calls(alert: Alert, wanted: AlertSettings) -> dict[str, Callable[[], None] | None]:
    smtp, sns, slack, webhook = wanted.smtp, wanted.sns, wanted.slack, wanted.webhook
    return {
        "smtp": (lambda: _mail(alert, smtp)) if smtp else None,
        "sns": (lambda: _sns(alert, sns)) if sns else None,
        "slack": (lambda: _slack(alert, slack)) if slack else None,
        "webhook": (lambda: _webhook(alert, webhook)) if webhook else None,
    }


def _mail(alert: Alert, channel: SmtpChannel) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    SmtpNotifier(
        to=channel.to,
        from_email=channel.from_email,
        subject=alert.headline,
        html_content=html(alert),
        smtp_conn_id=channel.conn_id,
    ).notify(_NOTHING)


def _sns(alert: Alert, channel: SnsChannel) -> None:
    from airflow.providers.amazon.aws.hooks.sns import SnsHook
    from airflow.providers.amazon.aws.notifications.sns import SnsNotifier

    class Hook(AllowedExtra, SnsHook):
        """The provider's hook for SNS."""

    class Notifier(SnsNotifier):
        """The provider's notifier over that hook."""

        @cached_property
        def hook(self) -> SnsHook:
            made: Any = Hook  # its constructor is untyped
            return cast("SnsHook", made(aws_conn_id=self.aws_conn_id, region_name=self.region_name, config=BRIEF))

    notifier: Any = Notifier(
        aws_conn_id=channel.conn_id,
        target_arn=channel.topic_arn,
        subject=alert.headline.encode("ascii", "replace").decode()[:LONGEST_SNS_SUBJECT],
        message=plain_text(alert),
        region_name=region_of(channel.conn_id, channel.region),
    )
    notifier.notify(_NOTHING)


def _slack(alert: Alert, channel: SlackChannel) -> None:
    from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

    notifier: Any = SlackWebhookNotifier(
        slack_webhook_conn_id=channel.conn_id, text=_slack_text(plain_text(alert)), timeout=REQUEST_SECONDS
    )
    notifier.notify(_NOTHING)


def _slack_text(text: str) -> str:
    """Slack's three control characters escaped, else a `<!channel>` in a name would call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _webhook(alert: Alert, channel: WebhookChannel) -> None:
    from airflow.providers.http.hooks.http import HttpHook
    from airflow.providers.http.notifications.http import HttpNotifier

    class Hook(HttpHook):
        """The provider's hook, silent: it logs URLs and answers, and either may hold a secret."""

        log: Any = _silent

    class Notifier(HttpNotifier):
        """The provider's notifier over that hook."""

        @cached_property
        def hook(self) -> HttpHook:
            return Hook(method=self.method, http_conn_id=self.http_conn_id)

    Notifier(
        http_conn_id=channel.conn_id,
        endpoint=channel.endpoint or None,
        json=payload(alert),
        extra_options={"timeout": REQUEST_SECONDS},
    ).notify(_NOTHING)
