"""A provider's own usage object as Runstone counts: disjoint input, cache reads and writes; reasoning in the output.

Providers differ in what contains what, which is where most accounts go wrong. The shape tells which one it is:

    Anthropic, Bedrock    the input excludes what was read from and written to the cache
    OpenAI, and alike     the input includes the cached part; the output includes the reasoning
    xAI (chat)            as OpenAI, but the output excludes the reasoning: the sum of all tokens tells
    DeepSeek              as OpenAI, with the cached part as `prompt_cache_hit_tokens`
    Google                the prompt includes the cached part; thoughts are not in the candidates
"""

from collections.abc import Mapping
from typing import Any

from runstone.domain import codec
from runstone.errors import InvalidInput

Counts = dict[str, int]


def usage_from(usage: Mapping[str, Any]) -> Counts:
    """The counts of one request, as `run.usage(**counts)` takes them, from the `usage` object of a provider's answer.

    As JSON or a dict; of Google `usageMetadata`. Shapes: Anthropic messages, OpenAI chat and responses and what is
    compatible (Mistral, DeepSeek, Groq, xAI, OpenRouter), Google generateContent, Bedrock converse. Raises
    `InvalidInput` for another shape. Counts of text tokens only: what is billed besides them needs a `cost_usd`.
    """
    if not isinstance(usage, Mapping):
        raise InvalidInput(f"a usage is an object, not {codec.shown(usage)}", hint="give usage.model_dump()")
    for shape, read in _SHAPES.items():
        if shape in usage:
            return {name: count for name, count in read(usage).items() if count}
    raise InvalidInput(f"this is no usage of a known shape: {codec.shown(dict(usage))}")


def _at(usage: Mapping[str, Any], *path: str) -> int:
    """The count at a path; 0 where there is none, as providers leave out or null what does not apply."""
    value: Any = usage
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise InvalidInput(f"{'.'.join(path)} must be a whole number from 0, not {codec.shown(value)}")
    return value


def _anthropic_or_responses(usage: Mapping[str, Any]) -> Counts:
    return _responses(usage) if "input_tokens_details" in usage else _anthropic(usage)


def _anthropic(usage: Mapping[str, Any]) -> Counts:
    return {
        "input_tokens": _at(usage, "input_tokens"),
        "cache_read_tokens": _at(usage, "cache_read_input_tokens"),
        "cache_write_tokens": _at(usage, "cache_creation_input_tokens"),
        "cache_write_1h_tokens": _at(usage, "cache_creation", "ephemeral_1h_input_tokens"),
        "output_tokens": _at(usage, "output_tokens"),
        "reasoning_tokens": _at(usage, "output_tokens_details", "thinking_tokens"),
    }


def _responses(usage: Mapping[str, Any]) -> Counts:
    read, wrote = (
        _at(usage, "input_tokens_details", name) for name in ("cached_tokens", "cache_write_tokens")
    )
    counts = {
        "cache_read_tokens": read,
        "cache_write_tokens": wrote,
        "output_tokens": _at(usage, "output_tokens"),
    }
    reasoning = _at(usage, "output_tokens_details", "reasoning_tokens")
    return _without_cached(_at(usage, "input_tokens"), {**counts, "reasoning_tokens": reasoning})


def _chat(usage: Mapping[str, Any]) -> Counts:
    prompt, output = _at(usage, "prompt_tokens"), _at(usage, "completion_tokens")
    read = _at(usage, "prompt_tokens_details", "cached_tokens") or _at(usage, "prompt_cache_hit_tokens")
    wrote = _at(usage, "prompt_tokens_details", "cache_write_tokens")
    reasoning = _at(usage, "completion_tokens_details", "reasoning_tokens")
    if reasoning and _at(usage, "total_tokens") == prompt + output + reasoning:
        output += reasoning
    return _without_cached(prompt, {
        "cache_read_tokens": read, "cache_write_tokens": wrote, "output_tokens": output, "reasoning_tokens": reasoning,
    })  # fmt: skip


def _google(usage: Mapping[str, Any]) -> Counts:
    thoughts = _at(usage, "thoughtsTokenCount")
    prompt = _at(usage, "promptTokenCount") + _at(usage, "toolUsePromptTokenCount")
    return _without_cached(prompt, {
        "cache_read_tokens": _at(usage, "cachedContentTokenCount"),
        "output_tokens": _at(usage, "candidatesTokenCount") + thoughts,
        "reasoning_tokens": thoughts,
    })  # fmt: skip


def _bedrock(usage: Mapping[str, Any]) -> Counts:
    details = usage.get("cacheDetails") or ()
    hour = [one for one in details if isinstance(one, Mapping) and one.get("ttl") == "1h"]
    return {
        "input_tokens": _at(usage, "inputTokens"),
        "cache_read_tokens": _at(usage, "cacheReadInputTokens"),
        "cache_write_tokens": _at(usage, "cacheWriteInputTokens"),
        "cache_write_1h_tokens": sum(_at(one, "inputTokens") for one in hour),
        "output_tokens": _at(usage, "outputTokens"),
    }


def _without_cached(whole: int, counts: Counts) -> Counts:
    uncached = whole - counts["cache_read_tokens"] - counts.get("cache_write_tokens", 0)
    if uncached < 0:
        raise InvalidInput("more input tokens are cached than there are")
    return {"input_tokens": uncached, **counts}


_SHAPES = {
    "promptTokenCount": _google,
    "inputTokens": _bedrock,
    "prompt_tokens": _chat,
    "input_tokens": _anthropic_or_responses,
}
"""By a field that only that shape has; the last one is two."""
