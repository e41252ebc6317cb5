"""`nlp-pipeline run --estimate` for Python: what a run will take, before it begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus.documents.conversion_settings import ConversionSettings
from nlp_pipeline.corpus.memory_records import is_in_memory
from nlp_pipeline.corpus.sources import MEMORY
from nlp_pipeline.generation.distributed.rank0 import needs_rank0
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config
from nlp_pipeline.runner.estimate import SECONDS, RunEstimate, TokenPrices, estimate_documents
from nlp_pipeline.runner.records import records_of
from nlp_pipeline.runner.request import RunRequest, Silent
from nlp_pipeline.runner.run import on_rank0
from nlp_pipeline.runner.sample_run import Seconds

if TYPE_CHECKING:
    from confection import Config


def estimate(
    corpus: Any,
    *,
    pipeline: str = "en_qa_summary",
    questions: Iterable[str] = (),
    settings: Iterable[str] = (),
    echo: bool = False,
    lang: str | None = None,
    text_key: str = "text",
    id_key: str = "id",
    query: str | None = None,
    further_sources: Iterable[str] = (),
    allow_private: bool = False,
    conversion: ConversionSettings | None = None,
    limit: int | None = None,
    max_length: int = 100_000,
    n_process: int | None = None,
    price_in: float | None = None,
    price_out: float | None = None,
    seconds: float = SECONDS,
    **generator: Any,
) -> RunEstimate:
    """What `run` with these arguments will take on this machine. Writes nothing.

    Of a sample that has the lengths of the corpus the prompts are counted, and some of it is
    answered; every figure has an interval that holds the true one with a probability of 95 %.

    Args:
        corpus: As in `run`, as are all arguments that are not named here.
        pipeline: As in `run`.
        questions: As in `run`.
        settings: As in `run`.
        echo: As in `run`.
        lang: As in `run`.
        text_key: As in `run`.
        id_key: As in `run`.
        query: As in `run`.
        further_sources: As in `run`.
        allow_private: As in `run`.
        conversion: As in `run`.
        limit: As in `run`.
        max_length: As in `run`.
        n_process: As in `run`.
        price_in: Of a million prompt tokens, in any currency; 0 where only the other is given.
        price_out: Of a million output tokens.
        seconds: What the documents that are answered may take, roughly.
        generator: What replaces a setting of every generator, such as `model` and `device`.

    Raises:
        UnknownKeyword: There is no argument of a name.
        NlpPipelineError: As in `run`, before it begins.
    """
    spec = PipelineSpec(pipeline, questions, settings, echo=echo, lang=lang, **generator)
    request = RunRequest(
        corpus=MEMORY if is_in_memory(corpus) else str(corpus),
        out=Path(),
        pipeline=spec,
        text_key=text_key,
        id_key=id_key,
        query=query,
        further_sources=tuple(further_sources),
        allow_private=allow_private,
        conversion=conversion or ConversionSettings(),
        limit=limit,
        max_length=max_length,
        n_process=n_process,
    )
    prices = token_prices(price_in, price_out)
    return estimate_request(request, corpus=corpus, seconds=seconds, prices=prices)


def token_prices(price_in: float | None, price_out: float | None) -> TokenPrices | None:
    """The prices of tokens, where any is given."""
    if price_in is None and price_out is None:
        return None
    return TokenPrices(price_in or 0.0, price_out or 0.0)


def estimate_request(
    request: RunRequest,
    config: Config | None = None,
    *,
    corpus: Any = None,
    seconds: float = SECONDS,
    prices: TokenPrices | None = None,
) -> RunEstimate:
    """Estimates a request; its folder is not looked at.

    Args:
        request: The run.
        config: The pipeline's resolved config, where the caller has it already.
        corpus: As in `estimate`; what the request names by default.
        seconds: As in `estimate`.
        prices: Of a server's tokens.

    Raises:
        NlpPipelineError: As in `estimate`.
    """
    config = config or resolve_config(request.pipeline)
    if needs_rank0():
        work = partial(
            estimate_request, request, config, corpus=corpus, seconds=seconds, prices=prices
        )
        return on_rank0(config, work)
    request.check_limits()
    # What a run keeps of its corpus beside its tables goes with this folder.
    with TemporaryDirectory() as folder:
        temporary = replace(request, out=Path(folder) / "run")
        records = records_of(request.corpus if corpus is None else corpus, temporary, Silent())
        records.check()
        start = Seconds.at_present()
        nlp = build(config, request.pipeline.name)
        loaded_in = Seconds.since(start)
        with records.open():
            return estimate_documents(
                temporary,
                nlp,
                records.silently,
                seconds=seconds,
                loaded_in=loaded_in,
                prices=prices,
            )
