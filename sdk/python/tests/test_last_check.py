"""Between the gate and the tool: nothing may change a call, run it twice on one answer, or skip."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest
from fastmcp import Client, FastMCP
from fastmcp.server.middleware import Middleware
from servers import refunds, tickets
from test_requests import call, post
from test_unreliable import Told, pretender
from world import listener, serving

from deputy_mcp import Deputy
from deputy_mcp.fastmcp import DeputyMiddleware

pytestmark = pytest.mark.anyio


class Rewriting(Middleware):
    async def on_call_tool(self, context, call_next):
        context.message.arguments["id"] = 666
        return await call_next(context)


class Twice(Middleware):
    async def on_call_tool(self, context, call_next):
        await call_next(context)
        return await call_next(context)


@contextmanager
def obliging() -> Iterator[tuple[Deputy, Any, list[dict[str, list[str]]]]]:
    """A Deputy that permits everything, and the questions it was asked."""
    asked: list[dict[str, list[str]]] = []
    holder: list[str] = []

    def reply(request: dict[str, str]) -> Told:
        form = parse_qs(request["form"])
        asked.append(form)
        answer = {
            "active": True,
            "iss": holder[0],
            "aud": form["resource"][0],
            "sub": "alice",
            "client_id": "cl_a",
            "scope": "s",
            "exp": 9_999_999_999,
        }
        if "tool" in form:
            answer["decision"] = {"allow": True, "reason": "permitted", "tool": form["tool"][0]}
        return Told(200, json.dumps(answer).encode())

    with pretender(reply) as (issuer, _), listener() as sock:
        holder.append(issuer)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
        yield Deputy(issuer, "cl_x", "s", resource=url, timeout_s=30), sock, asked


async def test_a_call_is_asked_about_once_and_nothing_else_is_asked():
    ran: list[Any] = []
    with obliging() as (deputy, sock, asked):
        app = tickets(deputy, ran).http_app(path="/mcp")
        with serving(app, sock):
            await post(deputy.resource, "token", call("tickets.get", id=1))
    assert ran == [("tickets.get", 1)]
    assert [form.get("tool") for form in asked] == [["tickets.get"]]
    assert asked[0]["arguments"] == ['{"id":1}']


async def test_the_mcp_sdk_asks_once_as_well():
    ran: list[Any] = []
    with obliging() as (deputy, sock, asked), serving(refunds(deputy, ran), sock):
        await post(deputy.resource, "token", call("refunds.export", days=1))
    assert ran == [("refunds.export", 1)]
    assert len(asked) == 1


async def test_arguments_that_changed_after_the_decision_do_not_run():
    ran: list[Any] = []
    with obliging() as (deputy, sock, asked):
        server = tickets(deputy, ran)
        server.middleware.insert(0, Rewriting())
        with serving(server.http_app(path="/mcp"), sock):
            answer = await post(deputy.resource, "token", call("tickets.get", id=1))
    assert "changed after Deputy decided" in answer.text
    assert ran == []
    assert len(asked) == 1


async def test_a_middleware_behind_the_last_check_is_refused_by_name():
    ran: list[Any] = []
    with obliging() as (deputy, sock, _):
        server = tickets(deputy, ran)
        server.add_middleware(Rewriting())
        with serving(server.http_app(path="/mcp"), sock):
            answer = await post(deputy.resource, "token", call("tickets.get", id=1))
    assert "add `DeputyMiddleware` after `Rewriting`" in answer.text
    assert ran == []


async def test_a_second_execution_is_a_second_question():
    ran: list[Any] = []
    with obliging() as (deputy, sock, asked):
        server = tickets(deputy, ran)
        server.middleware.insert(0, Twice())
        with serving(server.http_app(path="/mcp"), sock):
            await post(deputy.resource, "token", call("tickets.get", id=1))
    assert len(ran) == len(asked) == 2
    assert asked[0]["call_id"] != asked[1]["call_id"]


@pytest.mark.parametrize("arguments", [{"id": "1"}, {"id": None}, {"id": [1]}, {"id": 1.5}, {}])
@pytest.mark.parametrize("make", [tickets, refunds])
async def test_arguments_that_the_framework_would_convert_do_not_run(make, arguments):
    ran: list[Any] = []
    with obliging() as (deputy, sock, _):
        made = make(deputy, ran)
        app = made.http_app(path="/mcp") if isinstance(made, FastMCP) else made
        tool = "tickets.get" if make is tickets else "refunds.export"
        named = {("id" if make is tickets else "days"): value for value in arguments.values()}
        with serving(app, sock):
            answer = await post(deputy.resource, "token", call(tool, **named))
    assert answer.json()["result"]["isError"] is True
    assert "schema" in answer.text
    assert ran == []


async def test_without_http_there_is_no_token_and_no_call():
    deputy = Deputy("https://x.example/oauth2", "a", "b", resource="https://t.example/mcp")
    server = FastMCP("Plain", middleware=[DeputyMiddleware(deputy)])
    ran: list[Any] = []

    @server.tool
    async def tool() -> str:
        ran.append("tool")
        return "ran"

    async with Client(server) as client:
        result = await client.call_tool("tool", {}, raise_on_error=False)
    assert "no bearer token" in result.content[0].text
    assert ran == []


async def test_a_server_away_from_its_resource_does_not_start():
    deputy = Deputy("https://x.example/oauth2", "a", "b", resource="https://t.example/mcp")
    with pytest.raises(ValueError, match="run it with path=`/mcp`"):
        tickets(deputy, []).http_app(path="/elsewhere")
