//! All changes of a file at once: the body of each changed function becomes a `match` on the number of the change that is in
//! force, with an arm for each, and the function as it is for every other number. So one build serves all of them.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The function, at the root of the crate, that says which change is in force; appended to its `lib.rs`.
pub(super) const IN_FORCE: &str = "
pub(crate) fn mutant_in_force() -> usize {
    static NUMBER: std::sync::LazyLock<usize> = std::sync::LazyLock::new(|| {
        std::env::var(\"MUTANT\").ok().and_then(|number| number.parse().ok()).unwrap_or_default()
    });
    *NUMBER
}
";

/// A change, as `cargo mutants --list --json` tells it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Mutant {
    /// Where it is, and what it does.
    pub(super) name: String,
    /// The path from the workspace's root.
    pub(super) file: String,
    pub(super) function: Function,
    /// What is replaced.
    pub(super) span: Span,
    pub(super) replacement: String,
}

/// The function in which it is.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Function {
    return_type: String,
    span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Span {
    start: Place,
    end: Place,
}

/// Both count from 1; columns are characters. An end stands behind the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

/// A file with all its changes.
#[derive(Debug)]
pub(super) struct Woven {
    pub(super) text: String,
    /// The lines of each change's arm, counted from 1, and its number.
    pub(super) arms: Vec<(Range<usize>, usize)>,
}

/// Weaves changes, each with its number, into the text of their file.
///
/// # Errors
/// If a span is not in the text, or a change not in the body of a function.
pub(super) fn weave(text: &str, mutants: &[(usize, &Mutant)]) -> Result<Woven> {
    let mut functions: Vec<&Function> = mutants.iter().map(|(_, mutant)| &mutant.function).collect();
    functions.sort_by_key(|function| (function.span.start, std::cmp::Reverse(function.span.end)));
    let mut woven = Woven { text: String::new(), arms: Vec::new() };
    let mut done = 0;
    for function in functions {
        let span = offsets_of(text, function.span)?;
        // Done before, or a part of one that was.
        if span.start < done {
            continue;
        }
        let opening = opening_of(&text[span.clone()]).context("a function has no body")?;
        let body = span.start + opening + 1..span.end - 1;
        woven.text += &text[done..body.start];
        woven.text += "match crate::mutant_in_force() {\n";
        for (number, mutant) in mutants {
            let change = offsets_of(text, mutant.span)?;
            if change.start < body.start || change.end > body.end {
                continue;
            }
            let (before, after) = (&text[body.start..change.start], &text[change.end..body.end]);
            let first = last_line_of(&woven.text);
            let changed = format!("{before}{}{after}", mutant.replacement);
            woven.text += &format!("{number} => {},\n", expression_of(&changed, &function.return_type));
            woven.arms.push((first..last_line_of(&woven.text), *number));
        }
        woven.text += &format!("_ => {},\n}}", expression_of(&text[body.clone()], &function.return_type));
        done = body.end;
    }
    woven.text += &text[done..];
    ensure!(woven.arms.len() == mutants.len(), "a change is outside of every body");
    Ok(woven)
}

/// A body as an expression. Each iterator that is hidden behind an `impl Iterator` has a type of its own; a list of them has
/// one that they share.
fn expression_of(body: &str, return_type: &str) -> String {
    let hidden = return_type.split_once("impl Iterator<Item").and_then(|(_, item)| item.trim().strip_prefix('='));
    match hidden.and_then(|item| item.trim().strip_suffix('>')) {
        Some(item) => format!("Vec::<{item}>::from_iter({{{body}}}).into_iter()"),
        None => format!("{{{body}}}"),
    }
}

/// Where a function's body opens, behind comments and attributes.
fn opening_of(function: &str) -> Option<usize> {
    let mut start = 0;
    for line in function.split_inclusive('\n') {
        if !["//", "#["].iter().any(|mark| line.trim_start().starts_with(mark)) {
            break;
        }
        start += line.len();
    }
    Some(start + function[start..].find('{')?)
}

/// The number of the line that a text ends in.
fn last_line_of(text: &str) -> usize {
    text.matches('\n').count() + 1
}

fn offsets_of(text: &str, span: Span) -> Result<Range<usize>> {
    let of = |place: Place| {
        let line = text.split_inclusive('\n').nth(place.line - 1)?;
        let column = line.char_indices().map(|(index, _)| index).chain([line.len()]).nth(place.column - 1)?;
        Some(line.as_ptr().addr() - text.as_ptr().addr() + column)
    };
    let both = of(span.start).zip(of(span.end)).map(|(start, end)| start..end);
    both.with_context(|| format!("there is no {span:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "/// Größe {ä}.
pub(crate) fn grows(size: i32) -> bool {
    let ä = 1; size > ä
}

fn sizes(all: &[i32]) -> impl Iterator<Item = &i32> {
    all.iter()
}
";

    fn mutant(place: [usize; 4], function: [usize; 4], return_type: &str, replacement: &str) -> Mutant {
        let span = |[line, column, end_line, end_column]: [usize; 4]| Span {
            start: Place { line, column },
            end: Place { line: end_line, column: end_column },
        };
        Mutant {
            name: String::new(),
            file: String::new(),
            function: Function { return_type: return_type.to_owned(), span: span(function) },
            span: span(place),
            replacement: replacement.to_owned(),
        }
    }

    #[test]
    fn each_change_has_an_arm_and_all_other_numbers_leave_the_function_as_it_is() {
        let function = [1, 1, 4, 2];
        let operator = mutant([3, 21, 3, 22], function, "-> bool", "<");
        let value = mutant([3, 5, 3, 24], function, "-> bool", "true");
        let hidden = mutant([7, 5, 7, 15], [6, 1, 8, 2], "-> impl Iterator<Item = &i32>", "[].iter()");
        let woven = weave(TEXT, &[(7, &operator), (8, &value), (9, &hidden)]).unwrap();
        assert_eq!(
            woven.text,
            "/// Größe {ä}.
pub(crate) fn grows(size: i32) -> bool {match crate::mutant_in_force() {
7 => {
    let ä = 1; size < ä
},
8 => {
    true
},
_ => {
    let ä = 1; size > ä
},
}}

fn sizes(all: &[i32]) -> impl Iterator<Item = &i32> {match crate::mutant_in_force() {
9 => Vec::<&i32>::from_iter({
    [].iter()
}).into_iter(),
_ => Vec::<&i32>::from_iter({
    all.iter()
}).into_iter(),
}}
"
        );
        assert_eq!(woven.arms, [(3..6, 7), (6..9, 8), (15..18, 9)]);
    }

    #[test]
    fn a_change_that_is_in_no_body_is_an_error() {
        let elsewhere = mutant([30, 1, 30, 2], [2, 1, 4, 2], "-> bool", "");
        assert!(weave(TEXT, &[(1, &elsewhere)]).unwrap_err().to_string().contains("there is no"));
        let outside = mutant([2, 23, 2, 26], [2, 1, 4, 2], "-> bool", "u32");
        assert!(weave(TEXT, &[(1, &outside)]).unwrap_err().to_string().contains("outside of every body"));
    }
}
