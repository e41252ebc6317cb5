from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from nlp_pipeline.errors.config import PromptTemplateInvalid, PromptTemplateNotFound
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.prompts import PromptTemplate, load_template
from nlp_pipeline.prompts.template import template_names


def user(source: str) -> PromptTemplate:
    return PromptTemplate("t", "{% block user %}" + source + "{% endblock %}")


def said(template: PromptTemplate, **values: object) -> str:
    return template.render(values).messages[-1].content


class TestShipped:
    def test_names(self) -> None:
        assert template_names() == [
            "classify.v1",
            "classify.v2",
            "classify_each.v1",
            "extract.v1",
            "extractive_qa.v1",
            "extractive_qa_fr.v1",
            "qa.v1",
            "qa_fr.v1",
            "summary.v1",
        ]

    @pytest.mark.parametrize("name", ["qa.v1", "qa_fr.v1"])
    def test_qa(self, name: str) -> None:
        template = load_template(name)
        template.check(["text", "question", "no_answer"])
        chat = template.render({"text": "THE TEXT", "question": "THE QUESTION?"})
        assert [message.role for message in chat.messages] == ["system", "user"]
        asked = chat.messages[1].content
        assert asked.index("THE TEXT") < asked.index("THE QUESTION?"), "documents come first"
        assert chat.answer_prefix.endswith(":")

    def test_questions_share_their_prefix_with_the_summary(self) -> None:
        """A generator computes a document once for all that is asked about it."""
        values = {"text": "THE TEXT", "question": "Who?", "max_sentences": 2}
        qa, summary = (load_template(name).render(values) for name in ("qa.v1", "summary.v1"))
        assert qa.messages[0] == summary.messages[0]
        start = qa.messages[1].content.index("THE TEXT") + len("THE TEXT")
        assert qa.messages[1].content[:start] == summary.messages[1].content[:start]

    def test_a_digest_is_that_of_the_source(self) -> None:
        assert load_template("qa.v1").digest == load_template("qa.v1").digest
        names = template_names()
        assert len({load_template(name).digest for name in names}) == len(names)


class TestBlocks:
    def test_only_user_is_needed(self) -> None:
        assert user("Hi").render({}) == Chat((Message("user", "Hi"),), "")

    def test_white_space_around_a_block_goes(self) -> None:
        template = PromptTemplate(
            "t",
            "{% block system %}\n  S \n{% endblock %} ignored {% block user %}\n U\n"
            "{% endblock %}{% block answer_prefix %} A: {% endblock %}",
        )
        assert template.render({}) == Chat((Message("system", "S"), Message("user", "U")), "A:")

    def test_a_template_without_user(self) -> None:
        with pytest.raises(PromptTemplateInvalid) as caught:
            PromptTemplate("mine", "{{ text }}")
        assert str(caught.value) == (
            "The prompt template 'mine' cannot be used: it has no block 'user'."
        )

    @pytest.mark.parametrize("source", ["{% block user %}", "{{", "{% nonsense %}", "{{ a | b }}"])
    def test_what_is_no_jinja(self, source: str) -> None:
        with pytest.raises(PromptTemplateInvalid) as caught:
            PromptTemplate("mine", source)
        assert "\n" not in str(caught.value)
        assert not str(caught.value).endswith("..")


class TestValues:
    def test_undefined(self) -> None:
        with pytest.raises(PromptTemplateInvalid) as caught:
            user("{{ qusetion }}").render({"question": "Who?"})
        assert str(caught.value) == (
            "The prompt template 't' cannot be used: 'qusetion' is undefined."
        )

    def test_check_names_what_there_is(self) -> None:
        user("{{ a }}{% for i in range(3) %}{{ i }}{% endfor %}").check(["a", "b"])
        with pytest.raises(PromptTemplateInvalid) as caught:
            user("{% if c %}{{ a }}{% endif %}").check(["b", "a"])
        assert str(caught.value) == (
            "The prompt template 't' cannot be used: it uses 'c', and there is: a, b."
        )

    @pytest.mark.parametrize(
        "text", ["{{ 7*7 }}", "{% include 'x' %}", "<b>&amp;</b>", "a\r\nb", "\u2028🚢 e\u0301"]
    )
    def test_are_data(self, text: str) -> None:
        assert said(user("<{{ text }}>"), text=text) == f"<{text}>"


class TestSandbox:
    @pytest.mark.parametrize(
        "source",
        [
            "{{ text.__class__.__mro__ }}",
            "{{ text.__class__ }}",
            "{{ ''['__class__'] }}",
            "{{ '{0.__class__}'.format(text) }}",
            "{{ ('{0.__class__}' | format)(text) }}",
            "{{ text | attr('__class__') }}",
            "{{ self.__init__.__globals__ }}",
            "{{ cycler.__init__.__globals__.os.system('true') }}",
            "{{ lipsum.__globals__ }}",
            "{{ range(10**9) | list }}",
            "{{ values.append(1) }}",
            "{% include '/etc/passwd' %}",
            "{% import '/etc/passwd' as x %}",
            "{{ 1 / 0 }}",
            "{{ text + 1 }}",
        ],
    )
    def test_what_it_forbids_is_an_error(self, source: str) -> None:
        values: list[int] = []
        with pytest.raises(PromptTemplateInvalid) as caught:
            said(user(source), text="a", values=values)
        assert str(caught.value).startswith("The prompt template 't' cannot be used: ")
        assert values == []


class TestLoading:
    def test_a_path(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.jinja"
        path.write_text("{% block user %}é{% endblock %}", encoding="utf-8")
        assert said(load_template(str(path))) == "é"

    @pytest.mark.parametrize("name", ["qa", "../secrets", "", "no/such.jinja"])
    def test_a_name_that_leads_nowhere(self, name: str) -> None:
        with pytest.raises(PromptTemplateNotFound) as caught:
            load_template(name)
        assert str(caught.value) == (
            f"There is no prompt template '{name}'. Give a path that ends in .jinja, or one of: "
            "classify.v1, classify.v2, classify_each.v1, extract.v1, extractive_qa.v1, "
            "extractive_qa_fr.v1, qa.v1, qa_fr.v1 (and 1 more)."
        )

    def test_a_file_that_is_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.jinja"
        path.write_bytes("{% block user %}é{% endblock %}".encode("latin-1"))
        with pytest.raises(PromptTemplateInvalid, match="it is not UTF-8"):
            load_template(str(path))

    def test_copies(self) -> None:
        template = load_template("qa.v1")
        assert pickle.loads(pickle.dumps(template)) == copy.deepcopy(template) == template
