"""The REST door: routes, gate, problems and the background work, as one FastAPI application."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from api import problems
from api.background import Background
from api.bootstrap import System
from api.gate import Gate
from api.limits import Meter
from api.logging import configure_logging
from api.metrics import Metrics
from api.patience import head_protocol
from api.problems import Problem
from api.routes import (
    approvals,
    demand,
    health,
    inbound,
    items,
    orders,
    overview,
    pictures,
    policy,
    sessions,
    supply,
    threads,
    users,
    whatif,
)
from api.routes import metrics as metrics_route
from api.signin import Doorkeeper
from api.telemetry import traces_to
from tools import tracing
from tools.inbound.core.messages import InboundMessage

TITLE = "Quartermaster"
V1 = (
    threads, approvals, policy, inbound, demand, pictures, items, orders, overview, whatif, supply,
    sessions, users,
)  # fmt: skip
API_VERSION = "1.1.0"  # of the surface: grows with additive changes, /v1 stays
MOST_CONNECTIONS = 1_000
SWITCH_EVERY_S = 0.001  # who holds a lock and comes back from the database waits no longer
DESCRIPTION = "Inventory operations: tools compute, the agent drafts, a person decides."


class RestDoor(FastAPI):
    """FastAPI whose description knows the problem document."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI description."""
        description = super().openapi()
        schemas = description["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        schemas["InboundMessage"] = InboundMessage.model_json_schema()
        return description


def create_app(system: System) -> RestDoor:
    """Build the application; the caller keeps the system and closes it."""
    background = Background(system)
    metrics = Metrics(system.database, system.clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with _listening(system, metrics):
            background.start()
            try:
                yield
            finally:
                await run_in_threadpool(background.stop)

    app = RestDoor(
        title=TITLE,
        description=DESCRIPTION,
        version=API_VERSION,
        lifespan=lifespan,
        docs_url=None,  # the page loads scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=_operation_id,
    )
    app.state.system = system
    app.state.background = background
    app.state.doorkeeper = Doorkeeper(system.settings)
    app.state.meter = Meter(system.settings)
    app.state.metrics = metrics
    problems.install(app)
    app.include_router(health.router)
    app.include_router(metrics_route.router)
    v1 = APIRouter(prefix="/v1")
    for routes in V1:
        v1.include_router(routes.router)
    app.include_router(v1)
    app.add_middleware(Gate, settings=system.settings, meter=app.state.meter)
    return app


@contextmanager
def _listening(system: System, metrics: Metrics) -> Iterator[None]:
    """Let the metrics, and a collector of traces if there is one, hear of every span."""
    endpoint = system.settings.otel_endpoint
    with ExitStack() as stack:
        stack.callback(tracing.listen(metrics))
        if endpoint:
            traces = traces_to(endpoint)
            stack.callback(traces.close)
            stack.callback(tracing.listen(traces))
        yield


def render_openapi(app: FastAPI) -> str:
    """Return ``docs/openapi.json``."""
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False) + "\n"


def run_server(system: System) -> None:
    """Serve until SIGINT or SIGTERM."""
    settings = system.settings
    configure_logging(level=settings.log_level, style=settings.log_format)
    sys.setswitchinterval(SWITCH_EVERY_S)
    uvicorn.Server(server_config(system)).run()


def server_config(system: System, *, port: int | None = None) -> uvicorn.Config:
    """Return how uvicorn serves the application.

    Args:
        system: What to serve.
        port: Default: the one of the settings.
    """
    settings = system.settings
    return uvicorn.Config(
        create_app(system),
        host=settings.host,
        port=settings.port if port is None else port,
        http=head_protocol(settings.body_timeout_s / 2),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=settings.shutdown_grace_s,  # an open stream ends here
    )


def _operation_id(route: APIRoute) -> str:
    return route.name
