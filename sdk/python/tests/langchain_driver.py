"""Runs the LangChain example under a model that obeys what it reads. Prints what the tools said."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolMessage

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "sdk/python/src"), str(ROOT / "examples/langchain-agent")]
from agent import answer  # noqa: E402


class Obedient(GenericFakeChatModel):
    """Calls what its script says, whatever the tools are."""

    def bind_tools(self, *_: Any, **__: Any) -> "Obedient":
        return self


def calls(name: str, number: int) -> AIMessage:
    call = {"name": name, "args": {"id": number}, "id": f"{name}-{number}"}
    return AIMessage(content="", tool_calls=[call])


SCRIPT = [
    calls("tickets.get", 4711),
    calls("tickets.get", 4712),
    calls("tickets.close", 4711),
    AIMessage(content="done"),
]
messages = asyncio.run(answer(Obedient(messages=iter(SCRIPT)), "summarise ticket 4711"))
print(json.dumps([str(m.content) for m in messages if isinstance(m, ToolMessage)]))  # noqa: T201
