"""The encoder's weights from an installed package, so that no config names a path of a machine.

spaCy imports this file by `spacy train --code training/encoder.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from spacy.language import Language
from spacy.util import registry
from spacy_transformers.layers.transformer_model import huggingface_from_pretrained

from nlp_pipeline.errors.config import ConfigError
from nlp_pipeline.errors.packages import pip_install


class EncoderMissing(ConfigError):
    """The package that holds the encoder is not installed, or not what it should be."""

    def __init__(self, package: str, folder: str) -> None:
        super().__init__(
            f"The encoder in '{package}/{folder}' is not installed. Type `{pip_install('trf')}`."
        )


@registry.callbacks("nlp_pipeline.encoder_from_package.v1")
def encoder_from_package(package: str, folder: str) -> Callable[[Language], None]:
    """For `[initialize.before_init]`: the `transformer` starts from weights inside a package.

    Without it spacy-transformers would fetch what `components.transformer.model.name` names from
    the Hugging Face hub.

    Args:
        package: The import name of the package; it is not imported.
        folder: The folder within it that `transformers` can load.
    """

    def load(nlp: Language) -> None:
        model = nlp.get_pipe("transformer").model
        weights = huggingface_from_pretrained(
            encoder_folder(package, folder),
            model._init_tokenizer_config,
            model._init_transformer_config,
        )
        model.attrs["set_transformer"](model, weights)

    return load


def encoder_folder(package: str, folder: str) -> Path:
    """Where an installed package holds its encoder.

    Raises:
        EncoderMissing: There is no such package, or no such folder in it.
    """
    spec = find_spec(package)
    for location in (spec.submodule_search_locations or []) if spec else []:
        if (Path(location) / folder / "config.json").is_file():
            return Path(location) / folder
    raise EncoderMissing(package, folder)
