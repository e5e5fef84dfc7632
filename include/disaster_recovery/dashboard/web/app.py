"""The web application of Backup History. Every route asks who is there; only the package's own files do not."""

from pathlib import Path

from fastapi import Depends, FastAPI, Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from include.disaster_recovery.dashboard.attempts import without_address
from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.seams import Gate, RunsOf
from include.disaster_recovery.dashboard.web.acting import backup_routes, run_routes
from include.disaster_recovery.dashboard.web.guard import Guard, told
from include.disaster_recovery.dashboard.web.reading import data_routes, description_routes, state_routes
from include.disaster_recovery.errors import BackupUnknown, DisasterRecoveryError, RetryableError, RunRefused

STATIC = Path(__file__).resolve().parents[1] / "static"
DENIED = {401, 403}
HINTS = {
    400: "send JSON",
    404: "openapi.json lists what there is",
    405: "openapi.json lists what there is",
}


def create_app(catalogue: Catalogue, gate: Gate, runs_of: RunsOf) -> FastAPI:
    """The application, to be mounted below `/backup-history`."""
    app = FastAPI(
        title="CollabHunts Backup History",
        # Of the application, so that a route which forgets its own right is closed to strangers all the same.
        dependencies=[Depends(gate.may_read)],
        openapi_url=None,
        redirect_slashes=False,  # a redirect would name the host that the request did
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard)
    _say_errors(app, gate)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    app.include_router(data_routes(catalogue))
    app.include_router(state_routes(catalogue, gate, runs_of))
    app.include_router(run_routes(catalogue, gate, runs_of))
    app.include_router(backup_routes(catalogue, gate))
    app.include_router(description_routes(app))
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _say_errors(app: FastAPI, gate: Gate) -> None:
    @app.exception_handler(HTTPException)
    async def denied(request: Request, error: HTTPException) -> Response:
        root = request.scope.get("root_path", "")
        if request.url.path == f"{root}/" and gate.wants_login(error.status_code, error.detail):
            return RedirectResponse(gate.login_url(f"{root}/"), status_code=303)
        if error.status_code in DENIED:
            return await http_exception_handler(request, error)
        answer = told(error.status_code, str(error.detail).lower(), HINTS.get(error.status_code, "mend the request"))
        answer.headers.update(error.headers or {})  # which methods are allowed
        return answer

    @app.exception_handler(DisasterRecoveryError)
    async def ours(_request: Request, error: DisasterRecoveryError) -> Response:
        return told(_status(error), without_address(error.fact), error.hint)

    @app.exception_handler(RequestValidationError)
    async def wrong(_request: Request, error: RequestValidationError) -> Response:
        found = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        return told(422, "; ".join(found)[:500], "mend what is named; openapi.json describes every field")


def _status(error: DisasterRecoveryError) -> int:
    if isinstance(error, RunRefused):
        return error.status
    if isinstance(error, BackupUnknown):
        return 404
    return 503 if isinstance(error, RetryableError) else 502
