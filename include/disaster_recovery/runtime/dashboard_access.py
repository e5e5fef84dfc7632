"""Airflow's own login and permissions as the gate of Backup History; any auth manager will do."""

from collections.abc import Callable
from typing import Any, Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends

from include.disaster_recovery.dashboard.dags import BACKUP, NEEDED_BY
from include.disaster_recovery.dashboard.model import Action, Me

POST: Literal["POST"] = "POST"
UNAUTHORIZED = 401
INVALID = (403, "Invalid JWT token")  # forged, revoked by a logout, of a removed user, of another secret


class AirflowGate:
    """Who may read the backup's DAG may look; who may start a run of a DAG may do what that DAG does."""

    may_read: Callable[..., Any] = staticmethod(requires_access_dag("GET", None, BACKUP))

    def may(self, action: Action) -> Callable[..., Any]:
        """The dependency of an action; its value is the user's name."""
        required = requires_access_dag(POST, DagAccessEntity.RUN, NEEDED_BY[action])

        def allowed(user: GetUserDep, _allowed: None = Depends(required)) -> str:
            return str(user.get_name())

        return allowed

    def permissions(self) -> Callable[..., Any]:
        """The dependency whose value is `Me`."""

        def me(user: GetUserDep) -> Me:
            return Me(name=str(user.get_name()), may={action: _may(user, dag) for action, dag in NEEDED_BY.items()})

        return me

    def wants_login(self, status: int, detail: object) -> bool:
        """Whether a new login would help, by the same signs as in Airflow's own pages."""
        return status == UNAUTHORIZED or (status, detail) == INVALID

    def login_url(self, next_path: str) -> str:
        """Where somebody without a login is sent."""
        return str(get_auth_manager().get_url_login(next_url=next_path))


def _may(user: Any, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(
        get_auth_manager().is_authorized_dag(method=POST, access_entity=DagAccessEntity.RUN, details=details, user=user)
    )
