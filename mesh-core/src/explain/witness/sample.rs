//! Texts that a regular expression matches.

use std::collections::HashSet;

use regex_syntax::hir::{Class, ClassBytesRange, ClassUnicodeRange, Hir, HirKind, Repetition};

/// Texts are no longer than this, about.
const MAX_SAMPLE: usize = 4_000;
/// How many texts are made for one expression by going through all combinations of its alternatives.
const MAX_COMBINED: usize = 64;
/// How many are made by going through the alternatives of the widest alternation.
const MAX_ALTERNATIVES: usize = 512;
/// All texts of one expression together are about as long as this at most.
const MAX_BYTES: usize = 64_000;

/// Some texts that an expression matches, if it looks at nothing around them: all combinations of its alternatives as
/// long as they are few, and in any case each alternative of the widest alternation.
pub(super) fn samples(pattern: &str) -> Vec<String> {
    let Ok(hir) = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern) else { return Vec::new() };
    let (combinations, widest) = width(&hir);
    let combined = (0..combinations.min(MAX_COMBINED)).map(Turn::Combined);
    let wide = if combinations > MAX_COMBINED { widest.min(MAX_ALTERNATIVES) } else { 0 };
    let mut found = Vec::new();
    let (mut known, mut written) = (HashSet::new(), 0);
    for turn in combined.chain((0..wide).map(Turn::Along)) {
        let mut bytes = Vec::new();
        write(&hir, &mut turn.clone(), &mut bytes);
        written += bytes.len();
        let text = String::from_utf8(bytes).ok();
        found.extend(text.filter(|text| known.insert(text.clone())));
        if written > MAX_BYTES {
            break;
        }
    }
    found
}

/// Which alternatives a text takes.
#[derive(Clone, Debug)]
enum Turn {
    /// The digits of a number of which each alternation takes one: every combination has its number.
    Combined(usize),
    /// The same one everywhere, as far as there are so many.
    Along(usize),
}

impl Turn {
    fn of(&mut self, alternatives: usize) -> usize {
        match self {
            Self::Combined(rest) => {
                let own = *rest % alternatives;
                *rest /= alternatives;
                own
            }
            Self::Along(turn) => *turn % alternatives,
        }
    }
}

/// How many combinations of alternatives there are, and how many alternatives the widest alternation has.
fn width(hir: &Hir) -> (usize, usize) {
    match hir.kind() {
        HirKind::Alternation(parts) => {
            let most = parts.iter().map(width).fold((1, 1), |most, part| (most.0.max(part.0), most.1.max(part.1)));
            (most.0.saturating_mul(parts.len()), most.1.max(parts.len()))
        }
        HirKind::Concat(parts) => {
            parts.iter().map(width).fold((1, 1), |all, part| (all.0.saturating_mul(part.0), all.1.max(part.1)))
        }
        HirKind::Repetition(repetition) => {
            let (combinations, widest) = width(&repetition.sub);
            let counts = counts(repetition).len();
            (combinations.saturating_mul(counts), widest.max(counts))
        }
        HirKind::Capture(capture) => width(&capture.sub),
        // Letters in a row that differ in the last one only come out as a class.
        HirKind::Class(class) => (choices(class), choices(class)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Look(_) => (1, 1),
    }
}

/// How many characters of a class are worth telling apart: all of a small one, else the first few letters.
fn choices(class: &Class) -> usize {
    const SMALL: usize = 16;
    const FEW: usize = 3;
    let count: usize = match class {
        Class::Unicode(class) => class.iter().map(ClassUnicodeRange::len).sum(),
        Class::Bytes(class) => class.iter().map(ClassBytesRange::len).sum(),
    };
    if count <= SMALL { count.max(1) } else { FEW }
}

fn write(hir: &Hir, turn: &mut Turn, out: &mut Vec<u8>) {
    if out.len() > MAX_SAMPLE {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(class) => write_member(class, turn, out),
        HirKind::Repetition(repetition) => {
            let counts = counts(repetition);
            let times = counts[turn.of(counts.len())];
            // What is repeated takes the same turn each time.
            for _ in 0..times.saturating_sub(1) {
                write(&repetition.sub, &mut turn.clone(), out);
            }
            if times > 0 {
                write(&repetition.sub, turn, out);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, turn, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, turn, out)),
        HirKind::Alternation(parts) => write(&parts[turn.of(parts.len())], turn, out),
    }
}

/// How often what is repeated is: once rather than never first, since it shows more, the fewest, and some more.
fn counts(repetition: &Repetition) -> Vec<u32> {
    const SOME_MORE: u32 = 4;
    let (fewest, most) = (repetition.min, repetition.max.unwrap_or(u32::MAX));
    let mut counts = Vec::new();
    for count in [fewest.max(1), fewest, fewest.saturating_add(SOME_MORE)] {
        let count = count.min(most);
        if !counts.contains(&count) {
            counts.push(count);
        }
    }
    counts
}

/// One character of a class; of a large one a letter, if it has any.
fn write_member(class: &Class, turn: &mut Turn, out: &mut Vec<u8>) {
    let own = turn.of(choices(class));
    match class {
        Class::Unicode(class) => {
            let letters =
                class.iter().filter(|range| range.end() >= 'a').flat_map(|range| range.start().max('a')..=range.end());
            let others = class.iter().flat_map(|range| range.start()..=range.end());
            let mut chosen = letters.chain(others);
            out.extend(chosen.nth(own).into_iter().flat_map(|one| one.to_string().into_bytes()));
        }
        Class::Bytes(class) => {
            let letters = class
                .iter()
                .filter(|range| range.end() >= b'a')
                .flat_map(|range| range.start().max(b'a')..=range.end());
            let others = class.iter().flat_map(|range| range.start()..=range.end());
            out.extend(letters.chain(others).nth(own));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_matches_its_expression() {
        for pattern in [
            "^(?:/v[12]/.*)$",
            "^(?:a|b)$",
            "^(?:[0-9]{3}-x+)$",
            "^(?:.*)$",
            "^(?:/é?)$",
            "^(?:(?i)abc)$",
            "a{0}",
            "[a-f0-9]{128}",
        ] {
            let regex = regex::bytes::Regex::new(pattern).unwrap();
            let texts = samples(pattern);
            assert!(!texts.is_empty(), "{pattern}");
            for text in texts {
                assert!(regex.is_match(text.as_bytes()), "{pattern}: {text:?}");
            }
        }
    }

    #[test]
    fn each_alternative_has_a_sample() {
        assert_eq!(samples("^(?:one|two|three)$"), ["one", "two", "three"]);
        assert_eq!(samples("/v[12]"), ["/v1", "/v2"]);
        assert_eq!(samples("(?:a|b)/(?:c|d)"), ["a/c", "b/c", "a/d", "b/d"]);
        assert_eq!(samples("(?:api|web|(?:v1|v2)/x)").len(), 4);
        let tenants: Vec<_> = (0..300).map(|number| format!("t{number}")).collect();
        let all = samples(&format!("(?:{})", tenants.join("|")));
        assert!(tenants.iter().all(|tenant| all.contains(tenant)));
    }
}
