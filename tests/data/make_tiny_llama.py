"""Makes `tests/data/tiny_llama`: a Llama of 0.1 million parameters with a ChatML chat template.

    python tests/data/make_tiny_llama.py [--minutes 2.5] [--out tests/data/tiny_llama]

The folder is committed, because random numbers differ between torch releases: run this only to
change the model, and remake the golden files afterwards. The tokenizer (byte-level BPE) and the
model are trained on texts written here, so greedy answers look like language, vary with the
prompt and end with the end-of-sequence token. On documents in the words of `FILL` they are mostly
right; on any other text they are names and numbers of these, or `no answer`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PAD, BOS, EOS = range(3)
VOCAB_SIZE = 640
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

FILL = {
    "person": "Anna Berg|Omar Haddad|Lucy Chen|Paul Meyer|Rosa Silva|Ivan Petrov|Maria Lopez|"
    "James Okoro|Dr. Helen Park|Tom Wright|Sofia Rossi|Daniel Novak|Grace Kim|Peter Holm",
    "org": "Northwind Ltd|the Harbour Board|Delta Motors|the City Council|Alpine Foods|"
    "the River Trust|Quartz Systems|the National Museum|Bluefin Energy|the General Hospital",
    "place": "Oslo|Lisbon|the old harbour|Vienna|the north valley|Cairo|Boston|Lake Morat|"
    "Nairobi|Kyoto|the station square|Dublin|Marseille|the east wing",
    "date": "12 March 2021|Monday|last spring|4 July 2019|Friday morning|the end of June|"
    "1 October 2023|two years ago|Tuesday|15 January 2020|next autumn",
    "amount": "3 million euros|250 dollars|40 percent|12 hours|1,200 pounds|six weeks|90 days|"
    "75 kilometres|500 milligrams|8 volts|20 minutes|30 tonnes",
    "thing": "the new bridge|a cooling pump|the lease|a fever|the harvest|a data server|"
    "the annual report|a lighthouse|the water supply|a knee injury|the museum garden|the contract",
    "act": "repair|sell|inspect|open|close|replace|describe|deliver|test|measure|review|fund",
}
SENTENCES = [
    "{person} of {org} said on {date} that they would {act} {thing}.",
    "{org} agreed to pay {amount} for {thing} in {place}.",
    "The work in {place} will take {amount} and begins on {date}.",
    "In {place}, {person} found {thing} and called {org}.",
    "The patient, {person}, was seen in {place} on {date} with {thing}.",
    "The tenant shall {act} {thing} within {amount} of {date}.",
    "To {act} the unit, wait {amount}, then check {thing} again.",
    "Nobody in {place} had expected {thing} before {date}.",
    "Since {date}, {org} has lost {amount} every year.",
    "It rained all night, and {person} walked home to {place} alone.",
    "A spokesman for {org} did not answer our questions about {thing}.",
    "{person} took {amount} twice a day and felt better after {date}.",
]
QUESTIONS = {
    "person": ["Who is named in the text?", "Who was it?", "Who said it?", "Who is the patient?"],
    "org": ["Which organisation is named?", "What company is it?", "Who pays?"],
    "place": ["Where did it happen?", "Which place is named?", "Where is the work?"],
    "date": ["When did it happen?", "When does it begin?", "What is the date?"],
    "amount": ["How much is it?", "How long does it take?", "How many?", "What is the amount?"],
    "thing": ["What is it about?", "What was found?", "What is wrong?", "What must be done?"],
}
SYSTEMS = [
    "You answer questions about a document. Answer in a few words, taken from the document.",
    "Answer from the text only. If the text does not say, answer: no answer.",
    "You are a careful assistant.",
    "Answer the question about the document with a short phrase copied from it.",
]
SUMMARY_SYSTEMS = [
    "You summarize documents.",
    "Summarize the document in one or two sentences.",
    "You write short, faithful summaries of texts.",
]
LAYOUTS = [
    "Document:\n{text}\n\nQuestion: {ask}",
    "{text}\n\n{ask}",
    "Text: {text}\nQuestion: {ask}\nAnswer:",
    '"""\n{text}\n"""\n\n{ask}',
]


def write_document(rng: random.Random) -> tuple[str, dict[str, str]]:
    """A text of 2 to 9 sentences about one set of names, and that set."""
    choice = {slot: rng.choice(values.split("|")) for slot, values in FILL.items()}
    sentences = [s.format(**choice) for s in rng.sample(SENTENCES, rng.randint(2, 9))]
    return " ".join(s[0].upper() + s[1:] for s in sentences), choice


def write_chat(rng: random.Random) -> tuple[str, str]:
    """A rendered prompt, up to where the assistant speaks, and the answer."""
    text, choice = write_document(rng)
    if rng.random() < 0.3:
        system, ask = rng.choice(SUMMARY_SYSTEMS), "Summarize the document."
        answer = "{person} and {org}: {thing} in {place}, {date}.".format(**choice)
    else:
        system, slot = rng.choice(SYSTEMS), rng.choice(list(QUESTIONS))
        ask, found = rng.choice(QUESTIONS[slot]), choice[slot] in text
        answer = choice[slot] if found else "no answer"
    prompt = rng.choice(LAYOUTS).format(text=text, ask=ask)
    head = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{prompt}<|im_end|>\n"
    return head + "<|im_start|>assistant\n", answer


def train_tokenizer(texts: list[str]) -> Tokenizer:
    """A byte-level BPE tokenizer: every text has an encoding and comes back from it unchanged."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIALS,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def make_batch(
    tokenizer: Tokenizer, rng: random.Random, size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids, padded on the right, and the weight of each in the loss: answers count most.

    Shapes: (size, n_tokens), (size, n_tokens).
    """
    rows = []
    for _ in range(size):
        prompt, answer = write_chat(rng)
        head, tail = tokenizer.encode(prompt).ids, tokenizer.encode(answer).ids
        rows.append(([*head, *tail, EOS], [0.1] * len(head) + [1.0] * (len(tail) + 1)))
    width = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [PAD] * (width - len(ids)) for ids, _ in rows])
    return ids, torch.tensor([w + [0.0] * (width - len(w)) for _, w in rows])


def train_model(tokenizer: Tokenizer, minutes: float) -> LlamaForCausalLM:
    """Trains for a time, not for a number of steps: good answers are not the point."""
    torch.manual_seed(1)
    rng = random.Random(1)
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=BOS,
        eos_token_id=EOS,
    )
    model = LlamaForCausalLM(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.01)
    start, step = time.monotonic(), 0
    while (spent := (time.monotonic() - start) / (60 * minutes)) < 1:
        optimizer.param_groups[0]["lr"] = 4e-3 * min(1.0, (step + 1) / 50) * (1.02 - spent)
        ids, weights = make_batch(tokenizer, rng, 16)
        logits = model(input_ids=ids[:, :-1]).logits
        losses = cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        weight = weights[:, 1:].flatten()
        loss = (losses * weight).sum() / weight.sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            sys.stderr.write(f"step {step}: loss {loss.item():.3f}, {spent:.0%} of the time\n")
        step += 1
    return model


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def save_tokenizer(tokenizer: Tokenizer, out: Path) -> None:
    """Writes the files by hand, in the form that transformers 4 and 5 both read."""
    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    named = {"bos_token": SPECIALS[BOS], "eos_token": SPECIALS[EOS], "pad_token": SPECIALS[PAD]}
    write_json(out / "special_tokens_map.json", named)
    config = {
        **named,
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 4096,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    write_json(out / "tokenizer_config.json", config)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    here = Path(__file__).parent
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--out", type=Path, default=here / "tiny_llama")
    args = parser.parse_args()
    rng = random.Random(2)
    tokenizer = train_tokenizer(["".join(write_chat(rng)) for _ in range(2000)])
    model = train_model(tokenizer, args.minutes)
    model.save_pretrained(args.out)
    save_tokenizer(tokenizer, args.out)


if __name__ == "__main__":
    main()
