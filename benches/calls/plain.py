"""The FastMCP server of the examples as it was before Deputy: the floor of a call."""

import sys

from fastmcp import FastMCP

mcp = FastMCP("Tickets")


@mcp.tool(name="tickets.get")
async def get(id: int) -> str:  # noqa: A002 (the argument's name on the wire)
    """Read one ticket."""
    return f"ticket {id}"


mcp.run("http", host="127.0.0.1", port=int(sys.argv[1]), path="/mcp", show_banner=False)
