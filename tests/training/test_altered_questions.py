"""Altered questions: close to the text, and not answered by it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import spacy
from spacy.language import Language

from nlp_pipeline.corpus import Record
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.errors.training import questions_altered
from nlp_pipeline.pipeline import PipelineSpec, split
from nlp_pipeline.training.altered_questions import with_altered_questions
from nlp_pipeline.training.materials import (
    data_facts,
    data_notes,
    make_examples,
    read_materials,
)
from nlp_pipeline.training.opposite_forms import opposite_forms
from nlp_pipeline.training.question_changes import (
    NEGATION,
    NOUN,
    NUMBER,
    OPPOSITE,
    OTHER_NAME,
    OWN_NAME,
    Words,
    changes,
)
from nlp_pipeline.training.training_settings import TrainingSettings

ALL = TrainingSettings(
    held_out=0.0, early_stopping=0.0, unanswerable=0.0, altered_questions=1.0, seed=1
)
TEXT = (
    "Barack Obama sold the old boat to Angela Merkel in Berlin on 14 May 2009. "
    "The captain had not repaired its engine."
)

OTHER_TEXT = "Emmanuel Macron bought a bicycle in Madrid. The gardener found it."


def changed(nlp: Language, question: str, text: str = TEXT) -> dict[str, list[str]]:
    """What the ways make of a question, with the words of another text at hand."""
    _, llamas = split(nlp)
    own, other = (Words.of(nlp(words, disable=llamas)) for words in (text, OTHER_TEXT))
    doc = nlp(question, disable=llamas)
    return changes(doc, text, own, Words.joined([own, other]), random.Random(1))


class TestWays:
    def test_a_word_for_its_opposite(self, nlp_en: Language) -> None:
        ways = changed(nlp_en, "Who sold the cheap boat?")
        assert ways[OPPOSITE] == ["Who bought the cheap boat?", "Who sold the expensive boat?"]

    def test_what_is_asked_for_stays(self, nlp_en: Language) -> None:
        """ "How few" asks what "how many" does, and an auxiliary has no opposite of its own."""
        assert OPPOSITE not in changed(nlp_en, "How many people has the captain seen?")
        assert OPPOSITE not in changed(nlp_en, "First what?")

    def test_opposites_in_their_forms(self) -> None:
        assert opposite_forms("Buys", "en") == ()
        assert opposite_forms("Bought", "en") == ("Sold",)
        assert set(opposite_forms("most", "en")) == {"least", "fewest"}
        assert opposite_forms("grand", "fr") == ()

    @pytest.mark.parametrize(
        ("question", "altered"),
        [
            ("Why was he angry about the boat?", "Why was he not angry about the boat?"),
            ("Who had repaired the engine?", "Who had not repaired the engine?"),
            ("When did Angela Merkel buy the boat?", "When did Angela Merkel not buy the boat?"),
            ("Who had not repaired the engine?", "Who had repaired the engine?"),
            ("Why couldn't he repair it?", "Why could he repair it?"),
            ("Why can't he repair it?", "Why can he repair it?"),
            ("Why won't he repair it?", "Why will he repair it?"),
        ],
    )
    def test_a_negation_more_or_less(self, nlp_en: Language, question: str, altered: str) -> None:
        assert changed(nlp_en, question).get(NEGATION) == [altered]

    def test_without_an_auxiliary_nothing_is_negated(self, nlp_en: Language) -> None:
        assert NEGATION not in changed(nlp_en, "Who sold the boat?")

    def test_a_name_for_another(self, nlp_en: Language) -> None:
        ways = changed(nlp_en, "What did Barack Obama sell?")
        assert ways[OWN_NAME] == ["What did Angela Merkel sell?"]
        assert ways[OTHER_NAME] == ["What did Emmanuel Macron sell?"]

    def test_a_name_that_the_text_has_not_stays(self, nlp_en: Language) -> None:
        ways = changed(nlp_en, "What did Emmanuel Macron sell?")
        assert OWN_NAME not in ways
        assert OTHER_NAME not in ways

    def test_a_number_for_one_that_stands_nowhere(self, nlp_en: Language) -> None:
        (question,) = changed(nlp_en, "What was sold in 2009?")[NUMBER]
        year = int(question.removeprefix("What was sold in ").removesuffix("?"))
        assert 0 < abs(year - 2009) <= 60
        assert NUMBER not in changed(nlp_en, "What cost 1,014 crowns?")
        assert NUMBER not in changed(nlp_en, "What was sold in 1999?")

    def test_a_noun_for_one_of_its_form(self, nlp_en: Language) -> None:
        (question,) = changed(nlp_en, "Who sold the boat?")[NOUN]
        assert question in ("Who sold the bicycle?", "Who sold the gardener?")
        assert NOUN not in changed(nlp_en, "Which captain?"), "it says what is asked for"

    def test_what_the_pipes_do_not_annotate_is_not_changed(self) -> None:
        blank = spacy.blank("fr")
        text = "Le capitaine a vendu le vieux bateau en 2009."
        assert list(changed(blank, "Qui a vendu le bateau en 2009 ?", text)) == [NUMBER]
        assert changed(blank, "Qui a vendu le bateau ?", text) == {}


class TestRecords:
    def records(self) -> list[Record]:
        asked = (
            Question("who", "Who sold the old boat?", ("Barack Obama",)),
            Question("when", "When was the boat sold?", ("14 May 2009",)),
            Question("why", "Why was it sold?", ()),
            Question("how", "How was it sold?"),
            Question("altered-1", "Where was it sold?", ("Berlin",)),
        )
        return [Record(0, "d0", TEXT, questions=asked), Record(1, "d1", "Nothing is asked here.")]

    def test_answerable_questions_are_asked_again_without_an_answer(self, nlp_en: Language) -> None:
        before = self.records()
        first, second = with_altered_questions(before, nlp_en, ALL)
        assert first.questions[:5] == before[0].questions
        further = first.questions[5:]
        assert [q.id for q in further] == ["altered-1-", "altered-2", "altered-3"]
        assert all(q.answers == () for q in further)
        assert not {q.text for q in further} & {q.text for q in before[0].questions}
        assert second == before[1]

    def test_it_follows_from_the_seed(self, nlp_en: Language) -> None:
        first = with_altered_questions(self.records(), nlp_en, ALL)
        assert first == with_altered_questions(self.records(), nlp_en, ALL)
        alone = with_altered_questions(self.records()[:1], nlp_en, ALL)
        assert alone[0] == first[0], "neither order nor neighbours without words change it"
        seeds = [
            with_altered_questions(self.records(), nlp_en, replace(ALL, seed=seed))[0].questions
            for seed in range(6)
        ]
        assert len(set(seeds)) > 1

    def test_the_share(self, nlp_en: Language) -> None:
        records = [replace(self.records()[0], index=n, id=f"d{n}") for n in range(40)]
        half = with_altered_questions(records, nlp_en, replace(ALL, altered_questions=0.5))
        n_added = sum(len(record.questions) - 5 for record in half)
        assert 40 <= n_added <= 80  # of 120
        assert (
            with_altered_questions(records, nlp_en, replace(ALL, altered_questions=0.0)) == records
        )


class TestTraining:
    def test_they_become_examples_and_are_counted(
        self, labelled: Callable[..., str], pipeline: str, llama
    ) -> None:
        text = "Anna sold the boat on day 14."
        questions = [{"id": "q", "text": "Who sold the boat on day 14?", "answers": ["Anna"]}]
        corpus = labelled([{"id": "d", "text": text, "questions": questions}])
        materials = read_materials(corpus, PipelineSpec(pipeline), {}, ALL)
        examples = make_examples(materials, ALL)
        replies = [llama.encoder.written(e.target_ids) for e in examples.training]
        assert replies == [" Anna<|im_end|>", " not in the document<|im_end|>"]
        assert data_facts(materials, examples)["altered_questions"] == 1
        assert list(data_notes(materials, examples, ALL)) == [
            "Questions asked a second time, altered so that their text does not answer them: 1."
        ]
        assert list(data_notes(materials, examples, replace(ALL, altered_questions=0.0))) == []

    def test_what_a_language_does_not_allow(self) -> None:
        assert questions_altered(3, "fr", ("en",)) == (
            "Questions asked a second time, altered so that their text does not answer them: 3. "
            "In 'fr' numbers alone are changed, and names and nouns where the pipeline finds them "
            "(ner, tagger): opposites and negations are known in en."
        )
