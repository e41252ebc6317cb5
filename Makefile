.PHONY: check format lint types layers spelling subjects test processors slow golden docs docs-generated

# The one command before a commit; CI runs the same.
check: lint types layers spelling subjects docs test

format:
	ruff format .
	ruff check --fix .

lint:
	ruff format --check .
	ruff check .

types:
	mypy
	mypy --config-file tests/mypy.ini

layers:
	lint-imports

spelling:
	codespell

# Subjects of commits are at most 72 characters long; those of before the rule are left alone.
subjects:
	@git log --since=2026-11-27T13:00:00Z --format=%s | \
	    awk 'length > 72 { print "longer than 72 characters: " $$0; bad = 1 } END { exit bad }'

test:
	pytest

# What depends on the processor, as on one with AVX2 and without VNNI, and as on one with neither.
PROCESSOR_TESTS = tests/golden tests/generation/loading/test_quantization.py tests/cli/test_run_cli.py
processors:
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 pytest $(PROCESSOR_TESTS)
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 pytest $(PROCESSOR_TESTS)

# Minutes: the real models, 500 prompts against transformers, training.
slow:
	pytest -m slow

# Re-records the portable golden outputs; look at the diff before you commit it.
golden:
	pytest tests/golden --golden-update

# The site, into build/docs: every warning, such as a link or an anchor that leads nowhere, is an error.
docs:
	python -m sphinx -q -n -W --keep-going -b html docs build/docs

# The pages that follow from the code: tables, components, checked_languages and api of docs/.
docs-generated:
	python docs/generate.py
