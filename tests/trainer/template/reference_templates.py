"""Templates and what PyPI `jinja2` makes of them, for jinja_test.cc.

  reference_templates.py OUT.jsonl

Writes {"template","values","text"} per line; text is null where the template raises. The
environment is the one in which chat templates are meant to run. The templates are written here, in
the manner of each model family.
"""

import json
import sys

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

CHATS = [
    [{"role": "user", "content": "Hi"}],
    [{"role": "user", "content": " Hi \n"}, {"role": "assistant", "content": "  Hello!\n"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2+2?"},
     {"role": "assistant", "content": "4"}, {"role": "user", "content": "Näive — 日本?"},
     {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes"}],
    [{"role": "assistant", "content": "first"}, {"role": "user", "content": "second"}],
    [{"role": "user", "content": "call"},
     {"role": "assistant", "content": None, "tool_calls": [
         {"type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": [2.5, True, None]}}}]},
     {"role": "tool", "content": "{\"sum\": 3}"}, {"role": "assistant", "content": "3"}],
    [{"role": "judge", "content": "odd"}],
]
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Adds \"two\" <numbers>",
          "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}}]

FAMILIES = {
    "chatml": """{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + (message['content'] or '') + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}
""",
    "chatml_default_system": """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{% endif %}
{{- '<|im_start|>' + message['role'] + '\\n' }}{% if message['content'] is string %}{{ message['content'] | trim }}{% endif %}{{ '<|im_end|>\\n' -}}
{% endfor %}
{%- if add_generation_prompt is defined and add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""",
    "llama3": """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ (message['content'] | default('', true) | trim) + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}""",
    "llama31": """{{- bos_token }}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- the system message is taken out first #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\\n\\n" }}
    {%- endfor %}
{%- endif %}
{{- system_message + "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("one tool call at a time") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}<|eot_id|>" }}
    {%- else %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "mistral": """{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('only user and assistant') }}{% endif %}{% endfor %}""",
    "mistral_v3": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("roles must alternate") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] " + (tools | tojson) + "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not loop.last %}{{- ", " }}{%- else %}{{- "}]" + eos_token }}{%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- endif %}
{%- endfor %}
""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\\n' + (message['content'] or '') | trim + '<end_of_turn>\\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}""",
    "gemma3": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '

' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}{{ item['text'] | trim }}{%- endfor -%}
    {%- endif -%}
    {{ '<end_of_turn>
' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model
'}}
{%- endif -%}
""",
    "phi3": """{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\\n' + message['content'] + '<|end|>\\n'}}{% elif message['role'] == 'assistant' and message['content'] %}{{'<|assistant|>\\n' + message['content'] + '<|end|>\\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}""",
    "phi4": """{% for message in messages %}{% if (message['role'] == 'system') %}{{'<|im_start|>system<|im_sep|>' + message['content'] + '<|im_end|>'}}{% elif (message['role'] in ['user', 'assistant']) %}{{'<|im_start|>' ~ message.role ~ '<|im_sep|>' ~ message['content'] ~ '<|im_end|>'}}{% endif %}{% endfor %}""",
    "qwen3": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if '</think>' in content %}
            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}{{- '\\n' }}{%- endif %}
                {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
                {{- '<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' }}{{- content }}{{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "alpaca": """{% for m in messages if m.role != 'system' %}
{% if m.role == 'user' %}### Instruction:
{{ m.content.strip() }}

{% elif m.role == 'assistant' %}
### Response:
{{ m.content or 'nothing' }}{{ eos_token if not loop.last else '' }}

    {# with spaces before it #}
{% else %}
  {% continue %}
{% endif %}
{% else %}
empty
{% endfor %}
""",
}

SMALL = """
{{ 1 + 2 * 3 - 4 // 3 }} {{ 7 % 3 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 1.5 + 1 }} {{ 2.0 }}
{{ 1e3 if false else 0.1 }} {{ 100000000000000000000.0 }} {{ 0.00001 }}
{{ 'a' ~ 1 ~ true ~ none ~ 2.50 }}
{{ 'x' if 1 else 'y' }}{{ 'x' if 0 }}
{{ not true or true and false }} {{ 1 == 1.0 }} {{ true == 1 }} {{ 'a' < 'b' }} {{ 1 != 2 }}
{{ 'b' in 'abc' }} {{ 2 in [1, 2] }} {{ 'k' in {'k': 1} }} {{ 3 not in [1] }}
{{ [1, 2, 3][-1] }}{{ [1, 2, 3][1:] | join(',') }}{{ 'héllo'[1:3] }}{{ 'héllo'[::-1] }}{{ 'abc'[-2] }}
{{ [1, 2, 3, 4, 5][::2] | join }}{{ [1, 2, 3, 4, 5][3:0:-1] | join }}{{ 'abc'[:-1] }}{{ 'abc'[5:] }}
{{ {'a': 1, 'b': {'c': 2}}.b.c }}{{ {'a': 1}['a'] }}{{ {'a': 1}.get('z', 'none') }}{{ {'a': 1}.get('q') }}
{{ '  a b  ' | trim }}|{{ ' x '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ ' x '.lstrip() }}|{{ ' x '.rstrip() }}|
{{ 'a,b,,c'.split(',') | join('|') }} {{ ' a  b '.split() | join('|') }} {{ 'a b c'.split(' ', 1) | last }}
{{ 'aXbXc'.replace('X', '-', 1) }} {{ 'abc' | replace('b', 'é') }}
{{ 'aé' | upper }} {{ 'AÉ' | lower }} {{ 'heLLO wORLD' | capitalize }} {{ 'heLLO wORLD'.title() }}
{{ 'héllo' | length }} {{ [1, 2] | count }} {{ {'a': 1} | length }}
{{ nothing | default('d') }} {{ '' | default('e') }} {{ '' | default('f', true) }} {{ nothing is defined }} {{ nothing is undefined }}
{{ none is none }} {{ 'a' is string }} {{ 1 is number }} {{ {} is mapping }} {{ [] is iterable }} {{ true is boolean }} {{ 3 is odd }} {{ 4 is even }} {{ 1.0 is float }} {{ 1 is integer }} {{ false is false }}
{{ [3, 1, 2] | first }}{{ [3, 1, 2] | last }}{{ [] | first }}{{ [1, 2] | reverse | list | join }}
{{ {'b': 1, 'a': [1, 2.5, true, none, 'q"\\n\\t/\\u00e9<>&\\'']} | tojson }}
{{ [{'a': {}}, [], [1]] | tojson(indent=2) }} {{ {'a': {'b': [1]}} | tojson(indent=4) }}
{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k in {'a': 1} %}{{ k }}{% endfor %}
{% for x in [1, 2, 3] if x != 2 %}{{ loop.index }}/{{ loop.length }}{{ ',' if not loop.last }}{% else %}none{% endfor %}
{% for x in [] %}a{% else %}none{% endfor %}
{% for x in 'abc' %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.previtem is defined }}{{ loop.nextitem }}{% endfor %}
{% for x in range(5) %}{% if x == 3 %}{% break %}{% endif %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in range(6, 0, -2) %}{{ x }}{% endfor %}{{ range(3) | list | length }}
{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(n=0, s='') %}{% for i in [1, 2] %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }}{{ ns.s }}
{% set block %}a{{ 1 }}b{% endset %}{{ block | upper }}
{% if 0 %}a{% elif '' %}b{% elif [] %}c{% elif {} %}d{% elif none %}e{% else %}f{% endif %}
{{ 'a' 'b' }}{{ "q\\"'" }}{{ 'tab\\tx\\x41\\u0042' }}{{ 'keep \\d' }}
{{ ('a', 'b') | join }}{{ (1) + 1 }}{{ ((2)) }}
{{ [{'r': 'u', 'n': 1}, {'r': 'a'}] | selectattr('r', 'equalto', 'u') | list | length }}{{ [{'r': 'u'}, {'r': 'a'}] | map(attribute='r') | join(',') }}{{ [{'r': 1}, {}] | selectattr('r', 'defined') | list | length }}{{ [0, 1] | select | list | length }}{{ [{'r': 'u'}] | rejectattr('r', 'in', ['u']) | list | length }}
{{ 'a' if x is defined else 'b' }}{{ (x.y is defined) if x is defined }}{{ messages is defined and messages }}
{{ 5 | string + 'x' }}{{ '12' | int + 1 }}{{ ' 7 ' | int }}{{ 'z' | int }}
{{ -1 | string }}{{ (-1) | string }}{{ not 1 == 2 }}{{ 1 if 0 else 2 if 0 else 3 }}
{{- ' a' -}} b {{- ' c ' -}}
{%- if true -%} x {%- endif -%}
  {% if true %}lstrip{% endif %}|
{%+ if true %}kept{% endif +%}|
a {# comment #} b
{{ 'abc'.startswith('a') }}{{ 'abc'.endswith(('x', 'c')) }}{{ 'abc'.startswith(['a']) if false }}{{ 'x'.upper() }}
{{ ['a', 'b'] == ['a', 'b'] }}{{ {'a': 1} == {'a': 1.0} }}{{ ('a' == 1) }}{{ [1] + [2] | length }}
{{ {'a': 1}.keys() | list | join }}{{ {'a': 1}.values() | list | join }}{{ {'a': 1} | items | list | length }}{{ dict(a=2).a }}
{{ bos_token }}{{ eos_token|length }}{{ 'x' | trim('x') }}|{{ [1, [2, 3]] | tojson }}
""".strip("\n").split("\n")

RAISING = [
    "{{ raise_exception('x') }}",
    "{{ nothing.a }}",
    "{{ 'a' + 1 }}",
    "{{ nothing + 'a' }}",
    "{{ 1 // 0 }}",
    "{% for x in 5 %}{% endfor %}",
    "{{ nothing['a'] }}",
]


class Generation(Extension):
    """{% generation %} marks what is learned; its body is rendered."""

    tags = {"generation"}

    def parse(self, parser):
        lineno = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.Scope(body, lineno=lineno)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, Generation])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    env.globals["raise_exception"] = raise_exception
    return env


def cases():
    base = {"bos_token": "<s>", "eos_token": "</s>", "tools": None}
    for source in FAMILIES.values():
        for messages in CHATS:
            for prompt in (False, True):
                yield source, {**base, "messages": messages, "add_generation_prompt": prompt}
        yield source, {**base, "messages": CHATS[2], "tools": TOOLS}
    for source in SMALL + ["\n".join(SMALL), "{% generation %}\n a{% endgeneration %}\n\n"]:
        yield source, base
        yield source + "\n", base
    for source in RAISING:
        yield source, base


def main():
    env = environment()
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        for source, values in cases():
            try:
                text = env.from_string(source).render(**values)
            except (jinja2.exceptions.TemplateError, TypeError, ZeroDivisionError):
                text = None
            out.write(json.dumps({"template": source, "values": values, "text": text}) + "\n")


main()
