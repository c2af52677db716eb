"""The vendors' own SDKs, at each of their entry points, made once for all questions."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from tests.faults.strict import Told

QUESTION = "Hello?"
_NOWHERE = "http://127.0.0.1:1"
_PLAIN: dict[str, Any] = {
    "base_url": _NOWHERE,
    "api_key": "any",
    "max_retries": 0,
    "timeout": None,
}


@dataclass(frozen=True)
class Clients:
    openai: openai.AsyncOpenAI
    anthropic: anthropic.AsyncAnthropic
    gemini: Any

    def openai_at(self, url: str) -> openai.AsyncOpenAI:
        return self.openai.with_options(base_url=f"{url}/v1")

    def anthropic_at(self, url: str) -> anthropic.AsyncAnthropic:
        return self.anthropic.with_options(base_url=url)


@asynccontextmanager
async def clients() -> AsyncIterator[Clients]:
    """Clients that try once and wait as long as it takes: whose patience counts is the matrix's."""
    gemini = genai.Client(
        api_key="any", http_options=genai_types.HttpOptions(base_url=_NOWHERE)
    ).aio
    async with (
        openai.AsyncOpenAI(**_PLAIN) as for_openai,
        anthropic.AsyncAnthropic(**_PLAIN) as for_anthropic,
    ):
        try:
            yield Clients(for_openai, for_anthropic, gemini)
        finally:
            await gemini.aclose()


Asking = Callable[[Clients, str, str], Awaitable[str]]
"""Asks the proxy at a URL for a model, and gives the text; or raises what the SDK does."""


async def _chat_created(on: Clients, url: str, model: str) -> str:
    messages = [{"role": "user", "content": QUESTION}]
    create = on.openai_at(url).chat.completions.create
    text = ""
    async for chunk in await create(model=model, messages=messages, stream=True):
        text += "".join(choice.delta.content or "" for choice in chunk.choices or ())
    return text


async def _chat_streamed(on: Clients, url: str, model: str) -> str:
    messages = [{"role": "user", "content": QUESTION}]
    stream = on.openai_at(url).chat.completions.stream
    async with stream(model=model, messages=messages) as events:
        answer = await events.get_final_completion()
    return answer.choices[0].message.content or ""


async def _chat_whole(on: Clients, url: str, model: str) -> str:
    messages = [{"role": "user", "content": QUESTION}]
    answer = await on.openai_at(url).chat.completions.create(model=model, messages=messages)
    return answer.choices[0].message.content or ""


async def _response_created(on: Clients, url: str, model: str) -> str:
    create = on.openai_at(url).responses.create
    text = ""
    async for event in await create(model=model, input=QUESTION, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
    return text


async def _response_streamed(on: Clients, url: str, model: str) -> str:
    async with on.openai_at(url).responses.stream(model=model, input=QUESTION) as events:
        return (await events.get_final_response()).output_text


async def _response_whole(on: Clients, url: str, model: str) -> str:
    return (await on.openai_at(url).responses.create(model=model, input=QUESTION)).output_text


def _message(model: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": QUESTION}]
    return {"model": model, "max_tokens": 1000, "messages": messages}


def _text_of(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


async def _message_created(on: Clients, url: str, model: str) -> str:
    text = ""
    async for event in await on.anthropic_at(url).messages.create(**_message(model), stream=True):
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            text += event.delta.text
    return text


async def _message_streamed(on: Clients, url: str, model: str) -> str:
    async with on.anthropic_at(url).messages.stream(**_message(model)) as events:
        return _text_of(await events.get_final_message())


async def _message_whole(on: Clients, url: str, model: str) -> str:
    return _text_of(await on.anthropic_at(url).messages.create(**_message(model)))


def _config(url: str) -> genai_types.GenerateContentConfig:
    return genai_types.GenerateContentConfig(http_options=genai_types.HttpOptions(base_url=url))


def _parts_of(answer: genai_types.GenerateContentResponse) -> str:
    found = [part for one in answer.candidates or () for part in (one.content.parts or ())]
    return "".join(part.text for part in found if part.text and not part.thought)


async def _content_streamed(on: Clients, url: str, model: str) -> str:
    asking = on.gemini.models.generate_content_stream
    text = ""
    async for answer in await asking(model=model, contents=QUESTION, config=_config(url)):
        text += _parts_of(answer)
    return text


async def _content_whole(on: Clients, url: str, model: str) -> str:
    asking = on.gemini.models.generate_content
    return _parts_of(await asking(model=model, contents=QUESTION, config=_config(url)))


STREAMED: dict[str, tuple[Asking, ...]] = {
    "openai-chat": (_chat_created, _chat_streamed),
    "openai-responses": (_response_created, _response_streamed),
    "anthropic": (_message_created, _message_streamed),
    "gemini": (_content_streamed,),
}
WHOLE: dict[str, tuple[Asking, ...]] = {
    "openai-chat": (_chat_whole,),
    "openai-responses": (_response_whole,),
    "anthropic": (_message_whole,),
    "gemini": (_content_whole,),
}


async def asked(asking: Asking, on: Clients, url: str, model: str) -> str:
    """The text that *asking* gives.

    Raises:
        Told: the SDK raised what it raises for an error of its vendor's. A lost connection is none,
            though some SDKs derive it from their own class of errors.
        Exception: whatever else it raised.
    """
    try:
        return await asking(on, url, model)
    except (openai.APIConnectionError, openai.APIResponseValidationError):
        raise
    except (anthropic.APIConnectionError, anthropic.APIResponseValidationError):
        raise
    except (openai.APIError, anthropic.APIError, genai_errors.APIError) as error:
        raise Told from error
