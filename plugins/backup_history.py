"""Backup History in Airflow's menu. Light: Airflow runs this file in every process, tasks included."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from include.disaster_recovery.runtime.lazy_app import LazyApp


def build() -> Any:
    """The application, imported when the page is first asked for."""
    from include.disaster_recovery.runtime.dashboard import build as build_app

    return build_app()


class BackupHistoryPlugin(AirflowPlugin):
    """The page below `/backup-history/`, and its place in the menu."""

    name = "backup_history"
    fastapi_apps = [{"app": LazyApp(build), "url_prefix": "/backup-history", "name": "Backup History"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Backup History",
            "href": "backup-history/",
            "icon": "backup-history/static/icon.svg",
            "destination": "nav",
            "url_route": "backup-history",
            "nav_top_level": True,
        }
    ]
