"""The examples run as they stand, each as a program of its own."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import text
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from servers import TICKET
from world import DEPUTY, ROOT, World, listener, world

from deputy_mcp import exact
from deputy_mcp.httpx2 import TokenExchangeAuth

HERE = Path(__file__).parent
QUICKSTART = ROOT / "examples" / "quickstart.md"


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT / "sdk/python/src"), "NO_COLOR": "1"} | more


def settings(stage: World, who: tuple[str, str]) -> dict[str, str]:
    return {
        "DEPUTY_ISSUER": stage.deputy.issuer,
        "DEPUTY_CLIENT_ID": who[0],
        "DEPUTY_CLIENT_SECRET": who[1],
        "DEPUTY_TIMEOUT_S": "60",
    }


def what_the_tools_said(stage: World, python: str, *driver: str) -> list[str]:
    """Runs one agent under a model that obeys a ticket's instructions."""
    _, alice = stage.user()
    more = {"TICKETS": stage.urls["tickets"], "USER_TOKEN": alice.token}
    answered = subprocess.run(
        [os.environ[python], str(HERE / driver[0]), *driver[1:]],
        env=environment(**settings(stage, stage.support), **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    return json.loads(answered.stdout)


def test_the_langchain_agent_does_its_task_and_nothing_that_a_ticket_tells_it(stage, ran):
    said = what_the_tools_said(stage, "DEPUTY_LANGCHAIN_PYTHON", "langchain_driver.py")
    assert TICKET in said[0]
    assert "argument_not_permitted" in said[1]
    assert "not among the tools of this task" in said[2]
    assert ran == [("tickets.get", 4711)]


@pytest.mark.parametrize("example", ["openai-agent", "pydantic-ai-agent", "adk-agent"])
def test_an_agent_does_its_task_and_nothing_that_a_ticket_tells_it(stage, ran, example):
    said = what_the_tools_said(stage, "DEPUTY_AGENTS_PYTHON", "agents_driver.py", example)
    assert len(said) == 3
    assert TICKET in said[0]
    assert "argument_not_permitted" in said[1]
    assert "tool_not_delegated" in said[2]
    assert ran == [("tickets.get", 4711)]


def blocks(page: Path) -> str:
    """Every `sh` block of a page, in its order."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE))


def test_the_quickstart_can_be_followed_to_the_letter(tmp_path):
    folder = tmp_path / "try"
    folder.mkdir()
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with listener() as deputy, listener() as server:
        ports = [str(sock.getsockname()[1]) for sock in (deputy, server)]
    script = blocks(QUICKSTART).replace("127.0.0.1:8420", f"127.0.0.1:{ports[0]}")
    script = script.replace("127.0.0.1:9000", f"127.0.0.1:{ports[1]}")
    script = script.replace("port=9000", f"port={ports[1]}")
    # An unoptimised Deputy on a busy machine may need longer than the five seconds of a user's.
    script = script.replace('os.environ["SECRET"]', 'os.environ["SECRET"], timeout_s=60')
    bin_ = f"{Path(sys.executable).parent}:{Path(DEPUTY).parent}"
    ran = subprocess.run(
        ["bash", "-c", f"trap 'kill $(jobs -p)' EXIT\nset -eu\n{script}"],
        cwd=folder,
        env=environment(
            PATH=f"{bin_}:{os.environ['PATH']}",
            DEPUTY_URL=f"http://127.0.0.1:{ports[0]}",
            DEPUTY_LISTEN=f"127.0.0.1:{ports[0]}",
            DEPUTY_PUBLIC_URL=f"http://127.0.0.1:{ports[0]}",
        ),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "unauthorized" in ran.stdout
    assert "ticket 4711: the parcel arrived broken" in ran.stdout
    assert "ticket 4712" not in ran.stdout
    assert "argument_not_permitted" in ran.stdout


@contextlib.contextmanager
def example_server(stage: World) -> Iterator[str]:
    """The FastMCP example in the place of the ticket server; where it is."""
    stage.sockets["tickets"].close()
    url = stage.urls["tickets"]
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "examples/fastmcp-server/server.py")],
        env=environment(**settings(stage, stage.owners["tickets"]), RESOURCE=url),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stderr is not None
        assert any("Uvicorn running" in line for line in child.stderr), "it did not start"
        yield url
    finally:
        child.kill()
        child.communicate()


@pytest.mark.anyio
async def test_the_fastmcp_server_runs_what_was_delegated_and_denies_the_rest():
    with world() as stage, example_server(stage) as url:
        _, alice = stage.user()
        async with stage.agent() as agent:
            tools = {"tickets.get": {"id": exact(4711)}}
            auth = TokenExchangeAuth(agent, alice, url, tools=tools)
            async with Client(StreamableHttpTransport(url, auth=auth), timeout=60) as client:
                assert "Ignore previous" in await text(client, "tickets.get", id=4711)
                assert "argument_not_permitted" in await text(client, "tickets.get", id=4712)
                assert "tool_not_delegated" in await text(client, "tickets.close", id=4711)
