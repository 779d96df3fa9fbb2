//! As much of the shell as it takes to find a command in a script, with the words that it gets.

use std::{iter::Peekable, str::Chars};

/// The commands of a script, each as its words. `value` says what a variable stands for.
pub(crate) fn commands(script: &str, value: &dyn Fn(&str) -> String) -> Vec<Vec<String>> {
    let (mut commands, mut words) = (Vec::new(), Vec::new());
    let mut word = None::<String>;
    let end_word = |word: &mut Option<String>, words: &mut Vec<String>| words.extend(word.take());
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(c) => word.get_or_insert_default().push(c),
            },
            '\'' => {
                let text = word.get_or_insert_default();
                text.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                let text = word.get_or_insert_default();
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    match c {
                        '$' => text.push_str(&expanded(&mut chars, value)),
                        '\\' => text.extend(chars.next()),
                        c => text.push(c),
                    }
                }
            }
            '$' if chars.peek() != Some(&'(') => {
                let expanded = expanded(&mut chars, value);
                word.get_or_insert_default().push_str(&expanded);
            }
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            // Where it writes to or reads from is no word of the command.
            '<' | '>' => {
                // `2>` and the like.
                word.take_if(|word| word.chars().all(|c| c.is_ascii_digit()));
                end_word(&mut word, &mut words);
                while chars.next_if(|c| matches!(c, '<' | '>' | '&' | ' ')).is_some() {}
                skip_word(&mut chars, value);
            }
            '\n' | ';' | '|' | '&' | '(' | ')' => {
                end_word(&mut word, &mut words);
                commands.push(std::mem::take(&mut words));
            }
            c if c.is_whitespace() => end_word(&mut word, &mut words),
            c => word.get_or_insert_default().push(c),
        }
    }
    end_word(&mut word, &mut words);
    commands.push(words);
    commands.retain(|words| !words.is_empty());
    commands
}

/// The value of the variable whose name follows.
fn expanded(chars: &mut Peekable<Chars<'_>>, value: &dyn Fn(&str) -> String) -> String {
    let braced = chars.next_if_eq(&'{').is_some();
    let mut name = String::new();
    while let Some(c) = chars.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
        name.push(c);
    }
    if braced {
        chars.by_ref().take_while(|c| *c != '}').for_each(drop);
    } else if name.is_empty() {
        // `$?` and its kin.
        name.extend(chars.next());
    }
    value(&name)
}

fn skip_word(chars: &mut Peekable<Chars<'_>>, value: &dyn Fn(&str) -> String) {
    let mut quoted = false;
    while let Some(c) = chars.next_if(|c| quoted || !(c.is_whitespace() || ";|&()".contains(*c))) {
        match c {
            '"' => quoted = !quoted,
            '$' => drop(expanded(chars, value)),
            _ => {}
        }
    }
}

#[test]
fn commands_are_found_in_scripts() {
    let script = "\
validate() { # of a version\n  a \"$X\" --to \\\n    'b # c' \"${X:?say it}\" >\"$X/out\" 2>/dev/null || status=$?\n}\n\
if [ \"$Y\" = 3 ]; then b; fi\ncat x | (c \"a\\\"b\")\n";
    let value = |name: &str| format!("<{name}>");
    let found = commands(script, &value);
    let found: Vec<_> = found.iter().map(|words| words.join("|")).collect();
    assert_eq!(
        found,
        [
            "validate",
            "{",
            "a|<X>|--to|b # c|<X>",
            "status=<?>",
            "}",
            "if|[|<Y>|=|3|]",
            "then|b",
            "fi",
            "cat|x",
            "c|a\"b",
        ]
    );
}
