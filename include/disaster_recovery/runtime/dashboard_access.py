"""Airflow's own login and permissions as the gate of Backup History; any auth manager will do."""

from collections.abc import Callable
from typing import Any, Literal, get_args

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends

from include.disaster_recovery.dashboard.model import Action, Me

READ_DAG = "collabhunts_backup"
# Whoever may start a run of it may do the action: a restore's right also gives the data itself.
DAG_OF: dict[Action, str] = {
    "backup": "collabhunts_backup",
    "verify": "collabhunts_verify",
    "drill": "collabhunts_drill",
    "restore": "collabhunts_restore",
    "download": "collabhunts_restore",
    "pin": "collabhunts_retention",
}
POST: Literal["POST"] = "POST"


class AirflowGate:
    """Who may read the backup's DAG may look; who may start a run of a DAG may do what that DAG does."""

    may_read: Callable[..., Any] = staticmethod(requires_access_dag("GET", None, READ_DAG))

    def may(self, action: Action) -> Callable[..., Any]:
        """The dependency of an action; its value is the user's name."""
        required = requires_access_dag(POST, DagAccessEntity.RUN, DAG_OF[action])

        def allowed(user: GetUserDep, _allowed: None = Depends(required)) -> str:
            return str(user.get_name())

        return allowed

    def permissions(self) -> Callable[..., Any]:
        """The dependency whose value is `Me`."""

        def me(user: GetUserDep) -> Me:
            actions: tuple[Action, ...] = get_args(Action)
            return Me(name=str(user.get_name()), may={action: _may(user, DAG_OF[action]) for action in actions})

        return me

    def login_url(self, next_path: str) -> str:
        """Where somebody without a login is sent."""
        return str(get_auth_manager().get_url_login(next_url=next_path))


def _may(user: Any, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(
        get_auth_manager().is_authorized_dag(method=POST, access_entity=DagAccessEntity.RUN, details=details, user=user)
    )
