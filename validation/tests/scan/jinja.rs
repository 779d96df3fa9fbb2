//! Templates of chat models.

use std::io::Cursor;

use tidegate_validation::{
    Verdict,
    scan::{Content, FileScan, Rule, Scanner},
};

use crate::{assert_clean, assert_fails, assert_suspicious, scan};

fn named(name: &str, text: &str) -> FileScan {
    Scanner::new().scan(name, &mut Cursor::new(text)).expect("memory can be read")
}

/// As the publishers of models write them.
const HARMLESS: [&str; 9] = [
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "{{- bos_token }}\n{%- if custom_tools is defined %}\n    {%- set tools = custom_tools %}\n{%- endif %}\n{%- if not date_string is defined %}\n    {%- if strftime_now is defined %}\n        {%- set date_string = strftime_now(\"%d %b %Y\") %}\n    {%- else %}\n        {%- set date_string = \"26 Jul 2024\" %}\n    {%- endif %}\n{%- endif %}",
    "{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}\n{%- for message in messages[::-1] %}\n    {%- set index = (messages|length - 1) - loop.index0 %}\n    {%- if ns.multi_step_tool and message.role == \"user\" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}\n        {%- set ns.multi_step_tool = false %}\n        {%- set ns.last_query_index = index %}\n    {%- endif %}\n{%- endfor %}",
    "{%- for tool in tools %}{{- \"\\n\" }}{{- tool | tojson }}{%- endfor %}{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}",
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% endfor %}",
    "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% if loop.last %}{% break %}{% endif %}{% continue %}{% endfor %}",
    "{%- macro render(item, depth=0) -%}{%- for key, value in item.items() %}{{ key ~ ': ' ~ value | string }}{% endfor %}{%- endmacro -%}{{ render(messages[0]) }}",
    "{{ content.split('</think>')[-1].lstrip('\\n') }}{% set text = content.replace('a', 'b') %}{{ text }}",
    "{# a remark #}{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join('\\n') }}",
];

#[test]
fn templates_of_real_models_are_clean() {
    for text in HARMLESS {
        let found = scan(text);
        assert_eq!(found.content, Content::Jinja, "{text}");
        assert!(found.detections.is_empty(), "{text}\n{found:#?}");
    }
}

#[test]
fn internals_are_reached_in_no_way() {
    for text in [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''['__class__'] }}",
        "{{ ''['__cla' + 'ss__'] }}",
        "{{ ''['__cla' ~ 'ss__'] }}",
        "{{ ''['__cla' 'ss__'] }}",
        "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
        "{{ ''['\\137_class__'] }}",
        "{{ ''['\\u005f_class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ ''|attr(['__', 'class', '__']|join) }}",
        "{{ ''|attr('%c%cclass%c%c'|format(95, 95, 95, 95)) }}",
        "{{ ''|attr('%s%s' % ('__class', '__')) }}",
        "{{ ''['{}{}'.format('__class', '__')] }}",
        "{{ ''['{0:c}{0:c}class{0:c}{0:c}'.format(95)] }}",
        "{{ ''['_' * 2 ~ 'class' ~ '_' * 2] }}",
        "{{ ''['@@class@@'.replace('@', '_')] }}",
        "{{ ''['@@class@@'|replace('@', '_')] }}",
        "{{ ''['__ssalc__'[::-1]] }}",
        "{{ ''['__ssalc__'|reverse] }}",
        "{{ ''['__CLASS__'|lower] }}",
        "{{ ''[chr(95) ~ chr(95) ~ 'class' ~ chr(95) ~ '_'] }}",
        "{% set a = '__cla' %}{% set b = 'ss__' %}{{ ''[a ~ b] }}",
        "{% set ns = namespace(a='') %}{% set ns.a = '__class' %}{{ x[ns.a ~ '__'] }}",
        "{% with a = '__class' %}{{ x[a ~ '__'] }}{% endwith %}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ self._TemplateReference__context.cycler.__init__ }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ __import__('os').system('id') }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ [x]|map(attribute='__class__')|list }}",
        "{% for k in ['__class__'] %}{{ x[k] }}{% endfor %}",
        "{% macro f(k) %}{{ x[k] }}{% endmacro %}{{ f('__class__') }}",
        "{% if x is defined and x.__class__ %}{% endif %}",
        "{% call f(x.__class__) %}{% endcall %}",
        "{% filter replace('a', x.__class__) %}{% endfilter %}",
        "{% set x %}{{ y.__class__ }}{% endset %}",
    ] {
        assert_fails(text, Rule::JinjaEscape);
    }
}

#[test]
fn reflection_fails_and_what_cannot_be_told_is_not_clean() {
    for text in [
        "{{ x|attr('items') }}",
        "{{ [x]|map('attr', 'items')|list }}",
        "{{ [cycler]|map(attribute='next')|list }}",
        "{{ lipsum.x }}",
        "{{ joiner|string }}",
        "{{ namespace.x }}",
        "{{ x.gi_frame.f_globals }}",
        "{{ getattr(x, y) }}",
        "{{ '%s'.format_map(x) }}",
        "{{ os.system('id') }}",
        "{{ system('id') }}",
    ] {
        assert_fails(text, Rule::JinjaReflection);
    }
    for text in [
        "{{ request.application }}",
        "{{ config['SECRET'] }}",
        "{{ x['a' ~ y] }}",
        "{{ x[[y, z]|join] }}",
        "{{ x[y|replace('a', '_')] }}",
        "{% set k %}{{ y }}{% endset %}{{ x[k] }}",
        "{% include 'other' %}",
        "{{ y.format(x) }}",
        "{{ x['{:_>3}'.format('a')] }}",
        "{{ x['\\U0000005f'] }}",
    ] {
        assert_suspicious(text, Rule::JinjaReflection);
    }
}

#[test]
fn what_does_not_parse_is_not_clean() {
    for text in ["{% if x %}", "{{ x", "{% trans %}a{% endtrans %}", "{{ x['a\\x'] }}"] {
        assert_suspicious(text, Rule::JinjaUnread);
    }
    assert_fails("{% trans %}{{ x.__class__ }}{% endtrans %}", Rule::JinjaEscape);
    for long in ["x", "x\n", "é", "\r\n"] {
        for text in ["{# ", "{{ '", "{% raw %}"] {
            assert_suspicious(text.to_owned() + &long.repeat((1 << 16) - 1), Rule::JinjaUnread);
            assert_suspicious(text.to_owned() + &long.repeat(2 << 20), Rule::JinjaUnread);
        }
    }
}

/// The scan comes back, and says what it read.
#[track_caller]
fn ends(text: String) {
    assert_eq!(scan(text).content, Content::Jinja);
}

#[test]
fn no_depth_is_too_much() {
    for deep in [".a", "[0]", "()", "|trim", "~a", " and a", "**a", " if a else b", " is defined"] {
        assert_suspicious(format!("{{{{ a{} }}}}", deep.repeat(100_000)), Rule::JinjaUnread);
        ends(format!("{{{{ a{} }}}}", deep.repeat(900)));
    }
    for (open, close) in [("(", ")"), ("[", "]"), ("not ", ""), ("-", ""), ("{a:", "}")] {
        let text = format!("{{{{ {}a{} }}}}", open.repeat(50_000), close.repeat(50_000));
        assert_suspicious(text, Rule::JinjaUnread);
        ends(format!("{{{{ {}a{} }}}}", open.repeat(900), close.repeat(900)));
    }
    let branches = |count: usize| format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(count));
    assert_suspicious(branches(50_000), Rule::JinjaUnread);
    assert_clean(branches(900));
    let blocks = format!("{}{}", "{% if a %}".repeat(50_000), "{% endif %}".repeat(50_000));
    assert_suspicious(blocks, Rule::JinjaUnread);
}

#[test]
fn a_name_is_a_hint_where_the_beginning_is_any_text() {
    let text = "You are {{ name.__class__ }}.";
    assert_eq!(named("chat_template.jinja", text).verdict, Verdict::Fail);
    // Of another format in full, and a template nevertheless.
    let both = r#"{"a": "{{ name.__class__ }}"}"#;
    assert_eq!(named("config.json", both).verdict, Verdict::Pass);
    assert_eq!(named("m/chat_template.jinja", both).verdict, Verdict::Fail);
    assert_eq!(named("README.md", "{{ x }} in a text: {{").verdict.word(), "inconclusive");
    assert_eq!(named("README.md", "A text with {{ x }} and {% y %}").verdict, Verdict::Pass);
}
