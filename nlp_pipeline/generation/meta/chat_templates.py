"""Chat templates of Meta's instruction-tuned Llamas, whose own checkpoints bring none.

The formats are those of Meta's model cards and reference code (`chat_completion` of llama 2,
`ChatFormat` of llama 3). The turns end as the models were trained to end them; contents are
trimmed, as there. A base model ignores all this: give it plain texts.
"""

from __future__ import annotations

LLAMA_2 = (
    "{% if messages and messages[0]['role'] == 'system' %}"
    "{% set system = '<<SYS>>\\n' + messages[0]['content'] + '\\n<</SYS>>\\n\\n' %}"
    "{% set turns = messages[1:] %}"
    "{% else %}{% set system = '' %}{% set turns = messages %}{% endif %}"
    "{% for turn in turns %}"
    "{% if turn['role'] != ('user' if loop.index0 is even else 'assistant') %}"
    "{{ raise_exception('turns must go user, assistant, user, …, after at most one system turn') }}"
    "{% endif %}"
    "{% set content = (system if loop.first else '') + turn['content'] %}"
    "{% if turn['role'] == 'user' %}{{ bos_token + '[INST] ' + content | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + content | trim + ' ' + eos_token }}{% endif %}"
    "{% endfor %}"
)
"""`<s>[INST] <<SYS>>…<</SYS>>  question [/INST] answer </s><s>[INST] …`"""

LLAMA_3 = (
    "{{ bos_token }}"
    "{% for turn in messages %}"
    "{{ '<|start_header_id|>' + turn['role'] + '<|end_header_id|>\\n\\n' }}"
    "{{ turn['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"
    "{% endif %}"
)
"""`<|begin_of_text|>`, then for each turn a header with its role, the content and `<|eot_id|>`."""
