"""What routes ask for, and how they ask the tools."""

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from pydantic import BaseModel, Field

from agent.toolbox import all_tools
from api.auth import current_actor
from api.background import Background
from api.bootstrap import System
from api.limits import PERSON, Meter, refusal
from api.problems import error_of
from db.types import Actor
from tools.wrapping import Tool


async def _system(request: Request) -> System:
    system: System = request.app.state.system
    return system


async def _background(request: Request) -> Background:
    background: Background = request.app.state.background
    return background


def _meter(request: Request) -> Meter:
    meter: Meter = request.app.state.meter
    return meter


async def _metered_actor(
    request: Request, actor: Annotated[Actor, Depends(current_actor)]
) -> Actor:
    """Return who is asking, counted against what one person may ask in a minute.

    Raises:
        TooManyRequests: That was too much.
    """
    allowance = _meter(request).take(PERSON, str(actor.user_id))
    request.state.allowance = allowance
    if not allowance.is_open:
        raise refusal(allowance)
    return actor


SystemDep = Annotated[System, Depends(_system)]
ActorDep = Annotated[Actor, Depends(_metered_actor)]
# A restricted key opens a route that changes something only if the route names a permission.
TalkerDep = Annotated[Actor, Security(_metered_actor, scopes=["read"])]
DrafterDep = Annotated[Actor, Security(_metered_actor, scopes=["draft"])]
DeciderDep = Annotated[Actor, Security(_metered_actor, scopes=["decide"])]
ReceiverDep = Annotated[Actor, Security(_metered_actor, scopes=["receive"])]
AdminDep = Annotated[Actor, Security(_metered_actor, scopes=["admin"])]
MeterDep = Annotated[Meter, Depends(_meter)]
BackgroundDep = Annotated[Background, Depends(_background)]


class Answer(BaseModel):
    """What a tool answered: data, how old it is, and what to be careful about."""

    data: dict[str, Any]
    as_of: str | None = None
    data_age_s: int | None = None
    warnings: list[str] = Field(default_factory=list)
    refs: list[str] = Field(default_factory=list)


def ask(system: System, actor: Actor, tool_name: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool as the chat would, so that one question gives one number on every door.

    Args:
        system: The running system.
        actor: Who asks.
        tool_name: Name of the tool.
        arguments: Its arguments; those that are None are left to the tool.

    Returns:
        The envelope without ``ok``: data, as_of, data_age_s, warnings, refs.

    Raises:
        QuartermasterError: What the tool answered instead.
    """
    given: Mapping[str, Any] = {
        name: value for name, value in arguments.items() if value is not None
    }
    envelope = _tool(tool_name).call(system.tool_context(actor), given)
    if not envelope.pop("ok"):
        raise error_of(envelope)
    return envelope


@cache
def _tool(name: str) -> Tool:
    (found,) = (tool for tool in all_tools() if tool.name == name)
    return found
