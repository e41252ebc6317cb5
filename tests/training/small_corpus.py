"""Documents with references, small enough for the tiny Llama."""

from __future__ import annotations

import random
from typing import Any

PEOPLE = ["Anna Berg", "Omar Haddad", "Lucy Chen", "Paul Meyer", "Rosa Silva", "Ivan Petrov"]
PLACES = ["Oslo", "Lisbon", "Vienna", "Cairo", "Boston", "Nairobi"]


def records(n: int) -> list[dict[str, Any]]:
    """Documents of one form, two questions each, and a third that has no answer."""
    numbers = random.Random(1)
    made = []
    for place in range(n):
        person, town = numbers.choice(PEOPLE), numbers.choice(PLACES)
        questions = [
            {"id": "who", "text": "Who sold the boat?", "answers": [person]},
            {"id": "where", "text": "Where is the boat?", "answers": [town]},
        ]
        if place % 3 == 0:
            questions.append({"id": "why", "text": "Why was it sold?", "answers": []})
        text = f"On day {place + 1}, {person} sold a boat in {town}."
        made.append({"id": f"d{place}", "text": text, "questions": questions})
    return made
