"""Redaction: what is a secret and what is none; JSON stays JSON, twice is once, and time is linear."""

import json
import re
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstone.domain import secret_patterns
from runstone.domain.redaction import HOOK_FAILED, Lines, Pattern, Redactor, mask_environment

USUAL = Redactor()
# Put together here, so that no scanner takes this file for a leak.
MIXED = "aB3dE5gH7jK9mN1pQ3sT5vX7zA9bC1dE3fG5hJ7k"
HEX = "0123456789abcdef0123456789abcdef"
TOKENS = {
    "openai": "sk-" + MIXED,
    "openai project": "sk-" + "proj-" + MIXED + "_" + MIXED,
    "anthropic": "sk-" + "ant-api03-" + MIXED,
    "google": "AIza" + MIXED[:35],
    "google client": "GOCSPX-" + MIXED[:28],
    "google oauth": "ya29." + MIXED,
    "aws": "AKIA" + "IOSFODNN7EXAMPLQ",
    "aws session": "ASIA" + "IOSFODNN7EXAMPLQ",
    "github": "ghp_" + MIXED[:36],
    "github app": "ghs_" + MIXED[:36],
    "github oauth": "gho_" + MIXED[:36],
    "github user": "ghu_" + MIXED[:36],
    "github refresh": "ghr_" + MIXED[:36],
    "github fine": "github_pat_" + MIXED + "_" + MIXED,
    "gitlab": "glpat-" + MIXED[:20],
    "slack": "xoxb-" + "123456789012-1234567890123-" + MIXED[:24],
    "slack app": "xapp-" + "1-A0123456789-1234567890123-" + HEX,
    "slack hook": "https://hooks.slack.com/services/T01234567/B01234567/" + MIXED[:24],
    "stripe": "sk_live_" + MIXED[:24],
    "stripe restricted": "rk_live_" + MIXED[:24],
    "stripe hook": "whsec_" + MIXED[:32],
    "npm": "npm_" + MIXED[:36],
    "pypi": "pypi-" + "AgEIcHlwaS5vcmc" + MIXED,
    "hugging face": "hf_" + MIXED[:34],
    "groq": "gsk_" + MIXED,
    "twilio": "SK" + HEX,
    "sendgrid": "SG." + MIXED[:22] + "." + MIXED + "abc",
    "telegram": "123456789:AA" + MIXED[:33],
    "azure sas": "https://x.blob.core.windows.net/c?sv=2024&sig=" + MIXED + "%3D",
    "azure client": "abc8Q~" + MIXED[:34],
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + MIXED,
    "url": "postgres://user:" + MIXED + "@db.example.org/main",
    "bearer": "Bearer " + MIXED,
}
AROUND = {
    "alone": "{}",
    "in prose": "the key is {}, keep it",
    "on a line": "first line\n{}\nlast line",
    "in colour": "\x1b[31m{}\x1b[0m",
    "in quotes": 'said "{}" and left',
    "assigned": "X={}",
    "in a path": "x/%20{}",
}
NAMED = {
    "env": ("OPENAI_API_KEY={}", "s3cr3t-Value"),
    "export": ("export DB_PASSWORD={}", "hunter2"),
    "quoted env": ("AWS_SECRET_ACCESS_KEY='{}'", "abc/DEF+123"),
    "yaml": ("db:\n  password: {}\n  port: 5432", "correcthorse"),
    "header": ("X-Api-Key: {}", "abcd-1234"),
    "authorization": ("Authorization: Basic {}", "dXNlcjpwYXNz"),
    "cookie": ("Cookie: session={}; theme=dark", "abcdef123456"),
    "set-cookie": ("Set-Cookie: sid={}; HttpOnly", "abcdef123456"),
    "flag": ("deploy --token {} --verbose", "abc-def-123"),
    "flag with =": ("deploy --api-key={} --verbose", "abc-def-123"),
    "json": ('{{"client_secret": "{}", "n": 1}}', "with spaces in it"),
    "camel": ('{{"accessToken":"{}"}}', "abcdefgh1234"),
    "json in json": ('{{"body":"{{\\"password\\":\\"{}\\"}}"}}', "hunter2"),
    "python": ("{{'password': '{}', 'n': 1}}", "hunter2 and more"),
    "toml": ('api_key = "{}"', "abcdefgh"),
    "url query": ("https://x.org/?access_token={}&page=2", "abcdef123456"),
    "connection": ("Server=db;Password={};Encrypt=yes", "hunter2"),
    "backslash": ("PASSWORD={} next", "ab\\cd\\ef"),
    "azure": ("DefaultEndpointsProtocol=https;AccountKey={};x=y", "abc/def+ghi=="),
}
PLAIN = [
    "0197a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "commit 4eb19d4a5c0f6e1c2d3b4a59687f6e5d4c3b2a19",
    "claude-haiku-4-5-20251001 and gpt-4o-mini-2024-07-18",
    "arn:aws:iam::123456789012:role/service-role/my-function",
    "2026-11-23T03:15:54.123456+00:00",
    "src/runstone/domain/secret_patterns.py:12",
    "the secret is out, and the token was spent",
    "password reset sent; please check your mail",
    "passwords must have 12 characters",
    "Enter password: then press return",
    '{"max_tokens": 100, "input_tokens": 5, "token_count": 12, "tokens": 7}',
    '{"next_page_token": "abcdefgh12345678", "stop_token": "<|end|>"}',
    '{"type": "token", "token": "Hello"}',
    '{"key": "value", "keyword": "author", "monkey": "bars"}',
    '{"password": null, "secret": true, "token": 123456, "password_set": "yes"}',
    '{"$secret": "GITHUB_TOKEN"}',
    "token=$GITHUB_TOKEN password={{ secrets.DB }} secret=<your-secret>",
    "password=os.environ['DB'] token=get_token()",
    "connect(password=password, token=token)",
    "http://localhost:8080/a@b and https://example.org/x",
    "mail ana@example.org",
    "task-0123456789abcdefghij risk-assessment-of-the-century-2026",
    "sk-learn-contrib-something-long-without-digits",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "ghp_short hf_model AKIA eyJ SG.",
    "toolu_01A09q90qw90lq917835lq9 call_0123456789abcdefghij",
]
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n"
    f"{MIXED}\n{MIXED}==\n"
    "-----END RSA PRIVATE KEY-----"
)


def test_all_of_it_is_redacted_and_nothing_else() -> None:
    """Every token in every surrounding, as text, as a JSON member, and in JSON within JSON."""
    for name, token in TOKENS.items():
        core = token.rpartition("/")[2] if "://" not in token or "hooks" in name else token
        secret = MIXED if MIXED in token else core[-16:]
        for place, around in AROUND.items():
            text = around.format(token)
            told = f"{name} {place}: {text!r}"
            assert secret not in USUAL.text(text), told
            assert "[redacted:" in USUAL.text(text), told
            for level in (text, json.dumps({"x": text}), json.dumps(json.dumps({"x": [text]}))):
                clean = USUAL.json(msgspec.json.encode({"said": level, "n": 1}))
                assert secret.encode() not in clean, told
                assert json.loads(clean)["n"] == 1, told


@pytest.mark.parametrize("name", NAMED)
def test_a_name_says_that_its_value_is_secret(name: str) -> None:
    around, value = NAMED[name]
    text = around.format(value)
    clean = USUAL.text(text)
    assert value not in clean
    before, after = around.format("\0").split("\0")
    kept = clean.replace("[redacted:authorization]", "Basic [redacted:x]")
    kept = re.sub(r"(Cookie: )\[redacted:cookie\]", r"\1session=[redacted:x]" + after, kept)
    assert kept.startswith(before.replace("sid=", "session=")) or "redacted" in clean
    if "ookie" not in name:
        assert clean.endswith(after)
    payload = USUAL.json(msgspec.json.encode({"a": text, "list": ["--token", value], "password": value}))
    assert value.encode() not in payload
    assert msgspec.json.encode(value)[1:-1] not in payload
    assert set(json.loads(payload)) == {"a", "list", "password"}


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert USUAL.text(text) == text
    data = msgspec.json.encode({"text": text, "list": [text]})
    assert USUAL.json(data) is data
    if text.startswith("{"):
        assert USUAL.json(text.encode()) is not None
        assert json.loads(USUAL.json(text.encode())) == json.loads(text)


def test_a_key_of_many_lines_goes_whole_in_text_in_json_and_line_by_line() -> None:
    assert USUAL.text(f"before\n{PEM}\nafter") == "before\n[redacted:private_key]\nafter"
    for value in ({"key": PEM}, {"body": json.dumps({"key": PEM})}, {"cut": PEM[:90]}):
        clean = USUAL.json(msgspec.json.encode(value))
        assert MIXED[:20].encode() not in clean
        json.loads(clean)
    lines = Lines(USUAL)
    said = [lines(line) for line in ["before", *PEM.splitlines(), "after"]]
    assert said[0] == "before"
    assert said[-1] == "after"
    assert MIXED not in "".join(said)


def test_a_password_may_be_a_number_and_a_count_is_none() -> None:
    clean = json.loads(USUAL.json(b'{"password":12345678,"pin_count":12345678,"token":12345678,"max":1}'))
    assert clean == {"password": "[redacted:password]", "pin_count": 12345678, "token": 12345678, "max": 1}


def test_every_rule_is_reached_through_what_is_looked_for_first() -> None:
    """The prefilter is written out for speed: it must let through whatever a rule finds."""
    for name, token in TOKENS.items():
        hits = [rule for rule in secret_patterns.RULES if rule.pattern.search(token)]
        assert hits, name
        assert secret_patterns.may_hold_token(token), name
        assert any(needle in token for rule in hits for needle in rule.needles), name


SECRETS = st.sampled_from([*TOKENS.values(), PEM, *(around.format(v) for around, v in NAMED.values())])
PIECES = st.one_of(
    st.text(max_size=12),
    SECRETS,
    st.sampled_from(
        ['"', "'", "\\", '\\"', "password", "token=", '"secret":"', "--key ", ": ", "\n", "=", "[redacted:", "]"]
    ),
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=8).map("".join)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**12), 10**12), TEXTS, TEXTS.map(json.dumps)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(TEXTS, st.sampled_from(["password", "api_key", "token", "n"])), inner, max_size=3
        ),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize("escapes", [1, 2, 3])
def test_the_number_of_an_escape_before_a_secret_is_no_part_of_it(escapes: int) -> None:
    token = "123456789:AAaB3dE5gH7jK9mN1pQ3sT5vX7zA9bC1dE3"
    value: Any = "\x07" * escapes + token
    assert json.loads(USUAL.json(msgspec.json.encode(value))) == "\x07" * escapes + "[redacted:telegram]"
    inner = json.loads(json.loads(USUAL.json(msgspec.json.encode(json.dumps(value)))))
    assert inner == "\x07" * escapes + "[redacted:telegram]"


@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_json_stays_valid_and_a_second_time_changes_nothing(value: Any) -> None:
    clean = USUAL.json(msgspec.json.encode(value))
    told = json.loads(clean)
    assert type(told) is type(value) or isinstance(value, int)
    assert USUAL.json(clean) == clean


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_a_text_redacted_twice_is_the_same(text: str) -> None:
    once = USUAL.text(text)
    assert USUAL.text(once) == once


ADVERSARIAL = [
    "sk-", "sk-a-", "eyJ", "-eyJ", "\neyJ", "eyJa.", "eyJaaaaaaaaaa.", "\x1b[0meyJ", "://", "://a:", "://a:b",
    "password", "-----BEGIN RSA PRIVATE KEY-----", "password=", "password: ", 'password:"', '"password":',
    "\\", '\\"', "token ", '\\"password\\":\\"', '"token":"', "--token ", "--token=", "xoxb-", "ghp_", "AKIA",
    "bearer ", "bearer a", "1", "SG.", "12345678:AA", "~8Q~", "?sig=", "Cookie: a", "Cookie: a=b;",
    "authorization: basic ", "api_key='", "secret=\\", "pypi-a", "[redacted:", "PASSWORD=a\\\\n",
    'password=\'"', "a_token=", "_", "-", "é",
]  # fmt: skip


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_no_text_takes_more_than_linear_time(unit: str) -> None:
    """Four times the text takes about four times as long; quadratic would be sixteen. In time of this thread."""

    def seconds(size: int) -> float:
        text = unit * (size // len(unit))
        started = time.thread_time()
        USUAL.text(text)
        return time.thread_time() - started

    for _ in range(3):  # another process may spoil the caches once
        small = min(seconds(12_000) for _ in range(3))
        large = min(seconds(48_000) for _ in range(2))
        if large < 9 * small + 0.002:
            return
    pytest.fail(f"{unit!r}: {small * 1e3:.2f} ms for 12,000 characters, {large * 1e3:.2f} ms for 48,000")


def test_a_known_value_goes_wherever_it_stands_and_however_it_is_written() -> None:
    redactor = Redactor()
    value = 'p@ss "w\\rd" long'
    redactor.know("DB", value)
    redactor.know("SHORT", "abc")
    assert redactor.text(f"x{value}y abc") == "x[redacted:DB]y abc"
    for written in ({"a": value}, {"a": json.dumps({"b": value})}):
        assert b"w\\\\rd" not in redactor.json(msgspec.json.encode(written))
    assert "[redacted:DB]" in redactor.text("https://x/?q=p%40ss%20%22w%5Crd%22%20long")


def test_own_patterns_names_allowed_texts_and_a_hook_see_texts_as_they_are() -> None:
    redactor = Redactor(
        patterns=[Pattern("ticket", re.compile(r'"T-[0-9]{4}"'))], names=["employee-id"],
        allow=[re.compile("hunter.")], hook=lambda text: text.replace("Zürich", "[city]"),
    )  # fmt: skip
    value = {"said": 'see "T-1234" in Zürich', "employee_id": "E77", "password": "hunter2", "n": 5}
    assert redactor.value(value) == {
        "said": "see [redacted:ticket] in [city]",
        "employee_id": "[redacted:name]",
        "password": "hunter2",
        "n": 5,
    }
    assert redactor.text("EMPLOYEE_ID=E77") == "EMPLOYEE_ID=[redacted:name]"


@pytest.mark.parametrize("answer", [None, 5, "\ud800"])
def test_a_hook_that_fails_neither_leaks_nor_loses_the_event(answer: Any) -> None:
    def hook(text: str) -> str:
        if answer is None:
            raise RuntimeError(text)
        return answer  # type: ignore[no-any-return]

    redactor = Redactor(hook=hook)
    assert redactor.text("private") == HOOK_FAILED
    assert redactor.value({"a": ["private", 1]}) == {HOOK_FAILED: [HOOK_FAILED, 1]}
    assert redactor.hook_failures == 3


def test_nothing_is_done_where_it_is_off() -> None:
    off = Redactor(enabled=False)
    assert off.text(PEM) == PEM
    assert Lines(off)(PEM) == PEM


def test_an_environment_is_masked_by_names_and_by_values() -> None:
    shown = mask_environment(
        {"PATH": "/bin", "GITHUB_TOKEN": "x", "STRIPE_KEY": "y", "DATABASE_URL": "postgres://u:pw@h/d",
         "EMPTY_TOKEN": "", "SSH_AUTH_SOCK": "/tmp/s", "PWD": "/work", "MAX_TOKENS": "5"}
    )  # fmt: skip
    assert shown["PATH"] == "/bin"
    assert shown["PWD"] == "/work"
    assert shown["SSH_AUTH_SOCK"] == "/tmp/s"
    assert shown["MAX_TOKENS"] == "5"
    assert shown["EMPTY_TOKEN"] == ""
    assert shown["GITHUB_TOKEN"] == "[redacted:token]"
    assert shown["STRIPE_KEY"] == "[redacted:variable]"
    assert shown["DATABASE_URL"] == "postgres://u:[redacted:url_password]@h/d"
