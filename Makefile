.PHONY: check format lint types layers spelling test slow golden docs docs-generated

# The one command before a commit; CI runs the same.
check: lint types layers spelling docs test

format:
	ruff format .
	ruff check --fix .

lint:
	ruff format --check .
	ruff check .

types:
	mypy

layers:
	lint-imports

spelling:
	codespell

test:
	pytest

# Minutes: the real models, 500 prompts against transformers, training.
slow:
	pytest -m slow

# Re-records the portable golden outputs; look at the diff before you commit it.
golden:
	pytest tests/golden --golden-update

# The site, into build/docs: every warning, such as a link or an anchor that leads nowhere, is an error.
docs:
	python -m sphinx -q -n -W --keep-going -b html docs build/docs

# The pages that follow from the code: docs/tables.md and docs/components.md.
docs-generated:
	python docs/generate.py
