"""Exercises the `openai-agents` SDK against the gateway whose base URL is the first argument; 0 if all held.

Two agents, a handoff, a tool, and each way to keep state.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import openai
from agents import (
    Agent,
    OpenAIConversationsSession,
    OpenAIResponsesModel,
    Runner,
    SQLiteSession,
    function_tool,
    set_tracing_disabled,
)


@function_tool
def get_weather(city: str) -> str:
    """What the weather is like there."""
    return f"It is sunny in {city}."


def make_triage(client: openai.AsyncOpenAI) -> Agent[Any]:
    model = OpenAIResponsesModel("demo", client)
    forecaster = Agent[Any](name="Forecaster", instructions="You tell the weather.", tools=[get_weather], model=model)
    return Agent[Any](name="Triage", instructions="You hand over.", handoffs=[forecaster], model=model)


def kinds(result: Any) -> list[str]:
    return [item.type for item in result.new_items]


HANDOFF = ["handoff_call_item", "handoff_output_item", "message_output_item"]
TOOL = ["tool_call_item", "tool_call_output_item", "message_output_item"]


async def state_by_previous_response_id(triage: Agent[Any], client: openai.AsyncOpenAI) -> None:
    first = await Runner.run(triage, "My name is Ada. Please transfer to forecaster.", auto_previous_response_id=True)
    assert kinds(first) == HANDOFF
    assert first.last_agent.name == "Forecaster"
    second = await Runner.run(
        first.last_agent, "What is the weather in Rome?", previous_response_id=first.last_response_id
    )
    assert kinds(second) == TOOL
    third = await Runner.run(second.last_agent, "What is my name?", previous_response_id=second.last_response_id)
    assert third.final_output == "Your name is Ada."


async def state_by_conversation(triage: Agent[Any], client: openai.AsyncOpenAI) -> None:
    made = await client.conversations.create()
    first = await Runner.run(triage, "My name is Ada. Please transfer to forecaster.", conversation_id=made.id)
    assert kinds(first) == HANDOFF
    second = await Runner.run(first.last_agent, "What is the weather in Rome?", conversation_id=made.id)
    assert kinds(second) == TOOL
    third = await Runner.run(second.last_agent, "What is my name?", conversation_id=made.id)
    assert third.final_output == "Your name is Ada."


async def session_in_a_conversation(triage: Agent[Any], client: openai.AsyncOpenAI) -> None:
    session = OpenAIConversationsSession(openai_client=client)
    first = await Runner.run(triage, "My name is Ada. Please transfer to forecaster.", session=session)
    assert kinds(first) == HANDOFF
    second = await Runner.run(first.last_agent, "What is the weather in Rome?", session=session)
    assert kinds(second) == TOOL
    third = await Runner.run(second.last_agent, "What is my name?", session=session)
    assert third.final_output == "Your name is Ada."
    count = len(await session.get_items())
    assert await session.pop_item() is not None
    assert len(await session.get_items()) == count - 1
    await session.clear_session()


async def streamed_run_with_the_clients_own_state(triage: Agent[Any], client: openai.AsyncOpenAI) -> None:
    session = SQLiteSession("s")
    result = Runner.run_streamed(triage, "My name is Ada. Please transfer to forecaster.", session=session)
    seen = [event.type async for event in result.stream_events()]
    assert "raw_response_event" in seen
    assert result.last_agent.name == "Forecaster"
    answer = await Runner.run(result.last_agent, "What is my name?", session=session)
    assert answer.final_output == "Your name is Ada."
    session.close()


async def main(base_url: str) -> None:
    set_tracing_disabled(True)
    client = openai.AsyncOpenAI(base_url=base_url, api_key="unused", max_retries=0)
    steps = (
        state_by_previous_response_id,
        state_by_conversation,
        session_in_a_conversation,
        streamed_run_with_the_clients_own_state,
    )
    for step in steps:
        await step(make_triage(client), client)
        print(f"ok {step.__name__}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
