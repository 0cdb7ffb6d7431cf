//! Texts that a regular expression matches.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Texts are no longer than this, about.
const MAX_SAMPLE: usize = 1_000;
/// How many texts are made for one expression.
const MAX_SAMPLES: usize = 32;

/// Some texts that an expression matches: as many as are needed to walk through each alternative of its widest
/// alternation, the other ones going along.
pub(super) fn samples(pattern: &str) -> Vec<String> {
    let Ok(hir) = regex_syntax::ParserBuilder::new().utf8(false).build().parse(pattern) else { return Vec::new() };
    let mut found = Vec::new();
    for turn in 0..widest(&hir).clamp(2, MAX_SAMPLES) {
        let mut bytes = Vec::new();
        write(&hir, turn, &mut bytes);
        found.extend(String::from_utf8(bytes).ok().filter(|text| !found.contains(text)));
    }
    found
}

/// How many alternatives the widest alternation has.
fn widest(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Alternation(parts) => parts.iter().map(widest).max().unwrap_or(1).max(parts.len()),
        HirKind::Concat(parts) => parts.iter().map(widest).max().unwrap_or(1),
        HirKind::Repetition(repetition) => widest(&repetition.sub),
        HirKind::Capture(capture) => widest(&capture.sub),
        // Letters in a row that differ in the last one only come out as a class.
        HirKind::Class(class) => members(class),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Look(_) => 1,
    }
}

/// How many characters a class has that are worth telling apart: those of a small one.
fn members(class: &Class) -> usize {
    const SMALL: usize = 16;
    let count = match class {
        Class::Unicode(class) => class.iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum(),
        Class::Bytes(class) => class.iter().map(regex_syntax::hir::ClassBytesRange::len).sum::<usize>(),
    };
    if count <= SMALL { count } else { 1 }
}

fn write(hir: &Hir, turn: usize, out: &mut Vec<u8>) {
    if out.len() > MAX_SAMPLE {
        return;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.extend_from_slice(&literal.0),
        HirKind::Class(class) => write_member(class, turn, out),
        HirKind::Repetition(repetition) => {
            // One rather than none, where both are allowed: it shows more. Every other text has the fewest.
            let fewest = repetition.min;
            let one = u32::from(repetition.max != Some(0) && turn.is_multiple_of(2));
            for _ in 0..fewest.max(one).min(64) {
                write(&repetition.sub, turn, out);
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, turn, out),
        HirKind::Concat(parts) => parts.iter().for_each(|part| write(part, turn, out)),
        HirKind::Alternation(parts) => write(&parts[turn % parts.len()], turn, out),
    }
}

/// One character of a class; of a large one a letter, if it has any.
fn write_member(class: &Class, turn: usize, out: &mut Vec<u8>) {
    let members = members(class);
    let small = members > 1;
    match class {
        Class::Unicode(class) if small => {
            let mut all = class.iter().flat_map(|range| range.start()..=range.end());
            let chosen = all.nth(turn % members);
            out.extend(chosen.into_iter().flat_map(|one| one.to_string().into_bytes()));
        }
        Class::Bytes(class) if small => {
            out.extend(class.iter().flat_map(|range| range.start()..=range.end()).nth(turn % members));
        }
        Class::Unicode(class) => {
            let plain = class.iter().find(|range| range.end() >= 'a').or(class.iter().next());
            let one = plain.map(|range| range.start().max('a').min(range.end()));
            out.extend(one.into_iter().flat_map(|one| one.to_string().into_bytes()));
        }
        Class::Bytes(class) => {
            let plain = class.iter().find(|range| range.end() >= b'a').or(class.iter().next());
            out.extend(plain.map(|range| range.start().max(b'a').min(range.end())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_matches_its_expression() {
        for pattern in
            ["^(?:/v[12]/.*)$", "^(?:a|b)$", "^(?:[0-9]{3}-x+)$", "^(?:.*)$", "^(?:/é?)$", "^(?:(?i)abc)$", "a{0}"]
        {
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
    }
}
