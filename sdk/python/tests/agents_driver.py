"""Runs one of the examples of agents under a model that obeys what it reads.

The argument says which. Prints what the tools told the model, one entry per call.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CALLS = [("tickets.get", 4711), ("tickets.get", 4712), ("tickets.close", 4711)]


def openai() -> list[str]:
    from agent import answer
    from agents import Model, ModelResponse, Usage, set_tracing_disabled
    from openai.types.responses import (
        ResponseFunctionToolCall,
        ResponseOutputMessage,
        ResponseOutputText,
    )

    def called(n: int) -> Any:
        name, ticket = CALLS[n]
        arguments = json.dumps({"id": ticket})
        return ResponseFunctionToolCall(
            type="function_call", call_id=f"call-{n}", name=name, arguments=arguments
        )

    def done() -> Any:
        text = ResponseOutputText(type="output_text", text="done", annotations=[])
        return ResponseOutputMessage(
            id="done", type="message", role="assistant", status="completed", content=[text]
        )

    class Obedient(Model):
        turn = 0

        async def get_response(self, *_: Any, **__: Any) -> ModelResponse:
            said = called(self.turn) if self.turn < len(CALLS) else done()
            self.turn += 1
            return ModelResponse(output=[said], usage=Usage(), response_id=None)

        def stream_response(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    set_tracing_disabled(disabled=True)
    result = asyncio.run(answer(Obedient(), "summarise ticket 4711"))
    return [str(item.output) for item in result.new_items if item.type == "tool_call_output_item"]


def pydantic_ai() -> list[str]:
    from agent import answer
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    turns = iter(CALLS)

    def obey(*_: Any) -> ModelResponse:
        turn = next(turns, None)
        if turn is None:
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart(turn[0], {"id": turn[1]})])

    result = asyncio.run(answer(FunctionModel(obey), "summarise ticket 4711"))
    parts = (part for message in result.all_messages() for part in message.parts)
    return [str(part.content) for part in parts if isinstance(part, ToolReturnPart)]


def adk() -> list[str]:
    from agent import answer
    from google.adk.models import BaseLlm, LlmResponse
    from google.genai.types import Content, Part

    turns = iter(CALLS)

    class Obedient(BaseLlm):
        async def generate_content_async(
            self, *_: Any, **__: Any
        ) -> AsyncGenerator[LlmResponse, None]:
            turn = next(turns, None)
            part = (
                Part(text="done")
                if turn is None
                else Part.from_function_call(name=turn[0], args={"id": turn[1]})
            )
            yield LlmResponse(content=Content(role="model", parts=[part]))

    events = asyncio.run(answer(Obedient(model="obedient"), "summarise ticket 4711"))
    answers = (answer for event in events for answer in event.get_function_responses())
    return [json.dumps(answer.response) for answer in answers]


RUNS: dict[str, Callable[[], list[str]]] = {
    "openai-agent": openai,
    "pydantic-ai-agent": pydantic_ai,
    "adk-agent": adk,
}
example = sys.argv[1]
sys.path[:0] = [str(ROOT / "sdk/python/src"), str(ROOT / "examples" / example)]
print(json.dumps(RUNS[example]()))  # noqa: T201
