"""Errors of what a user configures: pipelines, settings, prompt templates, questions."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import NlpPipelineError, did_you_mean, listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install


class ConfigError(NlpPipelineError):
    """A setting that cannot be used."""

    stage = "config"


class ArgumentNotText(ConfigError):
    """An argument of the command line whose bytes are no UTF-8."""

    def __init__(self, argument: str) -> None:
        super().__init__(
            f"The argument '{escaped(argument)}' is not valid UTF-8. Type it in UTF-8; the name of "
            "a file that is there may hold any bytes."
        )


class OptionsOfALoadedPipeline(ConfigError):
    """Options for a pipeline that is loaded already."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(
            f"A loaded pipeline takes no {listing(names)}: it has settings of its own. Change them "
            "before, or give the pipeline's name or path."
        )


class TwoDevices(ConfigError):
    """Two options that name the device."""

    def __init__(self, gpu_id: int, device: str) -> None:
        super().__init__(
            f"--gpu-id {gpu_id} and --device {escaped(device, 40)} both say where the model runs. "
            "Leave one out."
        )


class InvalidSetting(ConfigError):
    """A component's setting of the wrong type or out of its range."""

    def __init__(self, component: str, name: str, value: object, allowed: str) -> None:
        super().__init__(f"components.{component}.{name} is {value!r} and must be {allowed}.")


class SettingNotOffered(ConfigError):
    """A component's setting that its generator cannot do."""

    def __init__(
        self, component: str, name: str, value: object, *, backend: str, reason: str
    ) -> None:
        super().__init__(
            f"components.{component}.{name} is {value!r}, and the generator {backend} cannot do "
            f"that: {reason}. Leave {name} out, or take the in-process Llama "
            "(nlp_pipeline.Llama.v1) as the component's generator."
        )


class OverrideNotOffered(ConfigError):
    """An option that replaces a setting of the generators, of which none has that setting."""

    def __init__(self, name: str, value: object, backends: Iterable[str]) -> None:
        option = name.replace("_", "-")
        super().__init__(
            f"--{option} {value} cannot be done: no generator of the pipeline takes a {option} "
            f"({listing(backends)}). Leave it out and set it where the model is served, or take "
            "the in-process Llama (nlp_pipeline.Llama.v1) as generator."
        )


class SettingTooLarge(ConfigError):
    """An integer that no setting can hold."""

    def __init__(self, key: str, value: int) -> None:
        # Python refuses to write out thousands of digits.
        bits = value.bit_length()
        super().__init__(
            f"{escaped(key, 200)} is an integer of {bits} bits; settings hold at most 64 bits."
        )


class PromptTemplateNotFound(ConfigError):
    """A prompt template's name or path that leads nowhere."""

    def __init__(self, name: str, choices: Iterable[str]) -> None:
        names = list(choices)
        super().__init__(
            f"There is no prompt template '{name}'.{did_you_mean(name, names)} Give a path that "
            f"ends in .jinja, or one of: {listing(names)}."
        )


class PromptTemplateInvalid(ConfigError):
    """A prompt template that does not compile, or names a value that there is none of."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The prompt template '{name}' cannot be used: {reason}.")


class TextNotInList(ConfigError):
    """One text where several are asked for: it would be taken letter by letter."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(
            f"{name} is one text, {escaped(text, 60)!r}, and would be taken letter by letter. Give "
            f"a list: {name}=[{escaped(text, 60)!r}]."
        )


class QuestionsInvalid(ConfigError):
    """Questions of a config or a record that are not what they should be."""

    def __init__(self, component: str, value: object, reason: str) -> None:
        super().__init__(
            f"components.{component}.questions: {value!r} {reason}. A question is a text, or an "
            "object with 'id' and 'text'."
        )


class ExamplesUnreadable(ConfigError):
    """Examples for a prompt that cannot be read at all."""

    def __init__(self, component: str, value: str, reason: str) -> None:
        super().__init__(
            f"components.{component}.examples: {escaped(value)} cannot be used: {reason}. Give a "
            "list of objects, or the path of a .jsonl or .json file that holds them."
        )


class ExampleInvalid(ConfigError):
    """One example for a prompt that is not what it should be."""

    def __init__(
        self, component: str, number: int, item: object, reason: str, keys: Iterable[str]
    ) -> None:
        super().__init__(
            f"components.{component}.examples: number {number} ({escaped(repr(item), limit=120)}) "
            f"{reason}. An example is an object with: {listing(keys)}."
        )


class DuplicateQuestion(ConfigError):
    """One question id twice for one document."""

    def __init__(self, question_id: str, component: str, document_id: str | None) -> None:
        where = f" for document '{document_id}'" if document_id is not None else ""
        super().__init__(
            f"The question id '{question_id}' is used twice in '{component}'{where}. Give each "
            'question an id of its own: {"id": "…", "text": "…"}.'
        )


class PipelineNotFound(ConfigError):
    """A pipeline name that is neither shipped nor a path to a config."""

    def __init__(self, name: str, choices: Iterable[str]) -> None:
        names = list(choices)
        super().__init__(
            f"There is no pipeline '{name}'.{did_you_mean(name, names)} Give a path to a .cfg file "
            f"or a pipeline folder, or one of: {listing(names)}."
        )


class CodeNotFound(ConfigError):
    """A file of `--code` that cannot be read."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(
            f"The file '{escaped(file, 200)}' of --code cannot be read: {escaped(reason, 120)}. "
            "Give the path of a file of Python, as in --code my_components.py."
        )


class CodeFailed(ConfigError):
    """A file of `--code` that raises an exception."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(
            f"The file '{escaped(file, 200)}' of --code fails: {escaped(reason, 200)}. Run it with "
            "`python` to see where."
        )


class PipelineInvalid(ConfigError):
    """A pipeline config that spaCy cannot read or build."""

    def __init__(self, name: str, reason: str) -> None:
        short = escaped(" ".join(reason.split()), limit=400)
        super().__init__(f"The pipeline '{escaped(name)}' cannot be built: {short}")


class LanguageUnknown(ConfigError):
    """A language code that spaCy has no rules for."""

    def __init__(self, lang: str) -> None:
        super().__init__(
            f"spaCy knows no language '{escaped(lang)}' (--lang takes a code such as de, zh or "
            "ar). Type `--lang xx` for the rules that most languages share."
        )


class LanguageIsTrained(ConfigError):
    """Another language for a pipeline whose components were trained for one."""

    def __init__(self, pipeline: str, own: str, lang: str, components: list[str]) -> None:
        super().__init__(
            f"The pipeline '{escaped(pipeline)}' is for the language '{escaped(own)}' and not "
            f"'{escaped(lang)}': {', '.join(components)} were trained for it. Type "
            f"`-p blank_qa --lang {escaped(lang)}`, which needs no trained component."
        )


class SpacyPackageMissing(ConfigError):
    """A spaCy pipeline package that a config takes components from and that is not installed."""

    def __init__(self, package: str, pipeline: str, install: str) -> None:
        super().__init__(
            f"The pipeline '{pipeline}' needs the spaCy pipeline '{package}', which is not "
            f"installed. Type `{install}`."
        )


class SpacyTransformersMissing(ConfigError):
    """A pipeline that holds a transformer, without the package that runs it."""

    def __init__(self, pipeline: str) -> None:
        super().__init__(
            f"The pipeline '{pipeline}' needs the package spacy-transformers, which is not "
            f"installed. Type `{pip_install('trf')}`; it brings transformers to 4.53."
        )


class SpacyPackageDamaged(ConfigError):
    """A spaCy pipeline package whose files are not those that its version has."""

    def __init__(self, package: str, folder: str, requirement: str) -> None:
        super().__init__(
            f"The files of the spaCy pipeline '{package}' in {escaped(folder, 500)} are not those "
            f"of {requirement}. Type `pip install --force-reinstall --no-deps {requirement}`, or "
            "name the folder itself as the source to use it as it is."
        )


class UnknownSetting(ConfigError):
    """A `--set` key that names nothing in the pipeline."""

    def __init__(self, key: str, choices: Iterable[str]) -> None:
        super().__init__(
            f"--set {key}: the pipeline has no such setting. Near it there is: {listing(choices)}."
        )


class SettingIsSection(ConfigError):
    """A `--set` key of a whole section, with a value that is none."""

    def __init__(self, key: str, settings: Iterable[str]) -> None:
        super().__init__(
            f"--set {key}: that is a section and takes a JSON object; its settings are: "
            f"{listing(settings, 20)}."
        )


class UnknownConfigSetting(ConfigError):
    """A setting of a config that nothing takes."""

    def __init__(self, pipeline: str, key: str, choices: Iterable[str]) -> None:
        names = list(choices)
        hint = did_you_mean(key.rpartition(".")[2], names)
        super().__init__(
            f"The pipeline '{escaped(pipeline)}' has no setting '{escaped(key)}'.{hint} "
            f"There are: {listing(names, 40)}."
        )


class UnknownKeyword(ConfigError, TypeError):
    """A keyword argument that a public function does not have."""

    def __init__(self, function: str, name: str, choices: Iterable[str]) -> None:
        names = list(choices)
        hint = did_you_mean(name, names)
        if name == "dry_run" and "echo" in names:  # until version 0.3
            hint = " It is called 'echo' now."
        super().__init__(
            f"{function}() has no argument '{name}'.{hint} It takes: {listing(names, 40)}."
        )


class DryRunRenamed(ConfigError):
    """`--dry-run`, which was the echo generator, for a command that estimates nothing."""

    def __init__(self, command: str) -> None:
        super().__init__(
            f"{command} has no --dry-run any more: the echo generator is --echo now, and "
            "`nlp-pipeline run CORPUS --estimate` says what a run will take."
        )


class PriceNeedsEstimate(ConfigError):
    """Prices for a run that is not estimated."""

    def __init__(self) -> None:
        super().__init__(
            "--price-in and --price-out say what a server takes for a million tokens: add "
            "--estimate, or leave them out."
        )


def dry_run_is_an_estimate() -> str:
    """What `run --dry-run` says for one release."""
    return "--dry-run estimates now what the run will take; the echo generator is --echo."


class SettingSyntax(ConfigError):
    """A `--set` value that is not of the form `key=value`."""

    def __init__(self, setting: str) -> None:
        super().__init__(
            f"--set {setting}: write it as key=value, such as "
            "components.llama_qa.max_new_tokens=32."
        )


def sentences_come_later(component: str, pipe: str) -> str:
    """What is said where a component asks about Docs whose sentences a later pipe sets.

    Args:
        component: Its name in the pipeline.
        pipe: The later pipe's.
    """
    return (
        f"[{component}] stands before '{pipe}', which sets the sentences: evidence is only the "
        "sentence that holds the answer, and long documents are split without regard to "
        f"sentences. Add {component} after '{pipe}'."
    )


def sentences_not_scored(component: str) -> str:
    """What is said where a server cannot judge the sentences of a summary.

    Args:
        component: Its name in the pipeline.
    """
    return (
        f"[{component}] the server does not say how likely a given text is: sentences are chosen "
        "by their place and their words alone. llama.cpp does, and vLLM and SGLang do with the "
        "generator's setting tokenizer and with logprobs = true."
    )


def support_is_partial(
    code: str, language: str, *, months: bool, numbers: bool, installable: bool
) -> str:
    """What a run says once of the language of its texts where the support check knows it in part.

    Args:
        code: The language's code.
        language: Its name; the code where that is all there is.
        months: Whether the names of its months are known.
        numbers: Whether its number words are.
        installable: Whether an extra brings the number words.
    """
    name = f"'{code}'" if language == code else f"{language} ('{code}')"
    parts = [] if months else ["dates with the name of a month"]
    parts += [] if numbers else ["numbers in words"]
    step = f" Type `{pip_install('numbers')}` for the latter." if installable else ""
    return (
        f"Of what is written about texts in {name}, {' and '.join(parts)} cannot be looked up in "
        f"them; figures can (docs/languages.md).{step}"
    )


def no_such_command(name: str, commands: Iterable[str]) -> str:
    """What is said of a command that there is none of.

    Args:
        name: What was typed.
        commands: The names of those that there are.
    """
    names = list(commands)
    return (
        f"No such command '{escaped(name, 60)}'.{did_you_mean(name, names)} There are: "
        f"{listing(names, 30)}."
    )
