"""What is said."""

from __future__ import annotations

import pytest

from responses_api.demo_backend.chat_request import Message, Part
from responses_api.demo_backend.small_talk import reply


def user(text: str) -> Message:
    return Message("user", text)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("What is 2+2?", "2+2 is 4."),
        ("2 - 5", "2-5 is -3."),
        ("Compute -3 * 4.", "-3*4 is -12."),
        ("hi", 'You said "hi" and I have seen 1 message.'),
        ("Born 2024-01-15", 'You said "Born 2024-01-15" and I have seen 1 message.'),
        ("v1.2-3", 'You said "v1.2-3" and I have seen 1 message.'),
        ("", 'You said "" and I have seen 1 message.'),
        ("What's my name?", "You have not told me your name."),
    ],
)
def test_one_message_is_answered(prompt: str, said: str) -> None:
    assert reply([user(prompt)]) == said


def test_a_name_told_before_is_remembered_the_latest_first() -> None:
    history = [user("My name is Ada."), Message("assistant", "my name is Demo"), user("my name is Zoë")]
    assert reply([*history, user("What is my name?")]) == "Your name is Zoë."


def test_the_echo_counts_the_messages_it_saw() -> None:
    history = [Message("system", "Be brief."), user("one"), Message("assistant", "two")]
    assert reply([*history, user("three")]) == 'You said "three" and I have seen 4 messages.'


def test_a_long_prompt_is_quoted_in_part() -> None:
    assert reply([user("x" * 500)]) == f'You said "{"x" * 200}" and I have seen 1 message.'


def test_images_and_files_are_seen() -> None:
    parts = [Part("text", "look"), Part("image_url"), Part("image_url"), Part("file"), Part("input_audio")]
    seen = "I see 2 images. I see 1 file. I see 1 audio clip."
    assert reply([Message("user", parts)]) == f'{seen} You said "look" and I have seen 1 message.'


def test_the_newest_tool_outputs_are_quoted() -> None:
    history = [
        user("weather"),
        Message("tool", "old"),
        Message("assistant", None),
        Message("tool", "18 °C"),
        Message("tool", "rain"),
    ]
    assert reply(history) == "The tool answered: 18 °C and rain"
