//! Paths in one form, so that every spelling of a place is routed, and judged, alike.
//!
//! As Envoy does before anything looks at a path; the result is what the upstream gets. How far it
//! goes is `pathNormalization` of the MeshConfig.

use mesh_config::api::mesh_config::NormalizationType;

use crate::Failure;

/// Brings a path (without its query) into the form that `how` asks for; `None` if it is in it.
///
/// `BASE`, which is the default, resolves dot segments, takes a backslash for a slash, decodes
/// escaped characters that need no escape and escapes those that do. `MERGE_SLASHES` also makes one
/// of several slashes, and `DECODE_AND_MERGE_SLASHES` decodes escaped ones before all that.
///
/// # Errors
/// [`Failure::InvalidPath`] for an escaped NUL, except under `NONE`.
pub fn normalize(path: &str, how: NormalizationType) -> Result<Option<String>, Failure> {
    let merges = matches!(how, NormalizationType::MergeSlashes | NormalizationType::DecodeAndMergeSlashes);
    if how == NormalizationType::None || is_normal(path.as_bytes(), merges) {
        return Ok(None);
    }
    let mut normal = match how {
        NormalizationType::DecodeAndMergeSlashes => canonical(&decode_slashes(path.as_bytes()))?,
        _ => canonical(path.as_bytes())?,
    };
    if merges {
        normal.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    }
    // All that is not ASCII is escaped by now.
    Ok(String::from_utf8(normal).ok().filter(|normal| normal != path))
}

/// As [`normalize`], again and again until nothing changes: what one time decodes, the next time resolves, so that
/// `/%2e%2e;/a` does not go on as `/..;/a`, which some servers resolve themselves. Envoy stops after the first time.
///
/// # Errors
/// As for [`normalize`]; and where it does not come to an end soon.
pub fn normalize_fully(path: &str, how: NormalizationType) -> Result<Option<String>, Failure> {
    const MOST: usize = 8;
    let Some(mut normal) = normalize(path, how)? else { return Ok(None) };
    for _ in 0..MOST {
        match normalize(&normal, how)? {
            None => return Ok(Some(normal)),
            Some(next) => normal = next,
        }
    }
    Err(Failure::InvalidPath)
}

/// Whether nothing would change; what nearly every path is, and cheap to see.
fn is_normal(path: &[u8], merges: bool) -> bool {
    let mut after_slash = false;
    path.iter().all(|byte| {
        let class = CLASSES[usize::from(*byte)];
        let behind = std::mem::replace(&mut after_slash, class == Class::Slash);
        match class {
            Class::Plain => true,
            Class::Dot => !behind,
            Class::Slash => !(merges && behind),
            Class::Changes => false,
        }
    })
}

/// What a byte of a path may mean for its form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Plain,
    Dot,
    Slash,
    /// A path with it is not in its normal form, or may not be.
    Changes,
}

/// Every path of every request goes through this.
const CLASSES: [Class; 256] = {
    let mut classes = [Class::Plain; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b'%' | b'\\' => Class::Changes,
            b'.' => Class::Dot,
            b'/' => Class::Slash,
            other if needs_escape(other) => Class::Changes,
            _ => Class::Plain,
        };
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

fn decode_slashes(path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        match escaped(rest) {
            Some(slash @ (b'/' | b'\\')) => {
                decoded.push(slash);
                rest = &rest[3..];
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    decoded
}

fn canonical(path: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut normal = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        if let Some((parent, behind)) = dot_segment(rest).filter(|_| normal.last() == Some(&b'/')) {
            if parent {
                leave_segment(&mut normal);
            }
            rest = behind;
            continue;
        }
        rest = after;
        match (*first, escaped_after(*first, after)) {
            (b'\\', _) => normal.push(b'/'),
            (_, Some(0)) => return Err(Failure::InvalidPath),
            (_, Some(byte)) => {
                if is_unreserved(byte) {
                    normal.push(byte);
                } else {
                    normal.extend_from_slice(&[b'%', after[0], after[1]]);
                }
                rest = &after[2..];
            }
            (byte, None) if needs_escape(byte) => normal.extend_from_slice(&escape(byte)),
            (byte, None) => normal.push(byte),
        }
    }
    Ok(normal)
}

/// `.` or `..`, escaped or not, as a whole segment: whether it means the parent, and what is behind
/// it and its slash.
fn dot_segment(rest: &[u8]) -> Option<(bool, &[u8])> {
    let one = dot(rest)?;
    if let Some(behind) = end_of_dots(rest, one) {
        return Some((false, behind));
    }
    end_of_dots(rest, dot(one)?).map(|behind| (true, behind))
}

/// What follows the segment of some dots; parameters (`..;x=1`) belong to it unless a dot is escaped.
fn end_of_dots<'a>(dots: &[u8], after: &'a [u8]) -> Option<&'a [u8]> {
    let are_literal = dots[..dots.len() - after.len()].iter().all(|byte| *byte == b'.');
    if are_literal && after.first() == Some(&b';') {
        let end = after.iter().position(|byte| matches!(byte, b'/' | b'\\')).unwrap_or(after.len());
        return segment_end(&after[end..]);
    }
    segment_end(after)
}

fn dot(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'.', after @ ..] | [b'%', b'2', b'e' | b'E', after @ ..] => Some(after),
        _ => None,
    }
}

/// What follows the end of a segment.
fn segment_end(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] => Some(rest),
        [b'/' | b'\\', after @ ..] => Some(after),
        _ => None,
    }
}

/// Goes back to the slash before the last one; above the root there is nothing.
fn leave_segment(normal: &mut Vec<u8>) {
    let parent = normal.len().saturating_sub(1);
    let slash = normal[..parent].iter().rposition(|byte| *byte == b'/');
    normal.truncate(slash.map_or(1, |slash| slash + 1));
}

/// The byte that an escape sequence at the start stands for.
fn escaped(rest: &[u8]) -> Option<u8> {
    let [first, after @ ..] = rest else { return None };
    escaped_after(*first, after)
}

fn escaped_after(first: u8, after: &[u8]) -> Option<u8> {
    let [high, low, ..] = after else { return None };
    if first != b'%' {
        return None;
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

fn escape(byte: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    [b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

const fn needs_escape(byte: u8) -> bool {
    !matches!(byte, 0x21..=0x7e) || matches!(byte, b'"' | b'#' | b'<' | b'>' | b'?' | b'^' | b'`' | b'{'..=b'}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: NormalizationType = NormalizationType::Base;
    const MERGE: NormalizationType = NormalizationType::MergeSlashes;
    const DECODE: NormalizationType = NormalizationType::DecodeAndMergeSlashes;

    fn normal(path: &str, how: NormalizationType) -> String {
        normalize(path, how).unwrap().unwrap_or_else(|| path.to_owned())
    }

    #[test]
    fn each_level_goes_further_than_the_one_before() {
        for (path, base, merged, decoded) in [
            ("/a/b", "/a/b", "/a/b", "/a/b"),
            ("/a//b/", "/a//b/", "/a/b/", "/a/b/"),
            ("/b//", "/b//", "/b/", "/b/"),
            ("/a%2Fb", "/a%2Fb", "/a%2Fb", "/a/b"),
            ("/a%5cb", "/a%5cb", "/a%5cb", "/a/b"),
            ("/a%2f%2Fb", "/a%2f%2Fb", "/a%2f%2Fb", "/a/b"),
            ("/a/%2e%2e%2fb", "/a/..%2fb", "/a/..%2fb", "/b"),
            ("/\\a", "//a", "/a", "/a"),
        ] {
            assert_eq!(normal(path, BASE), base, "{path}");
            assert_eq!(normal(path, MERGE), merged, "{path}");
            assert_eq!(normal(path, DECODE), decoded, "{path}");
            assert_eq!(normalize(path, NormalizationType::None), Ok(None));
            assert_eq!(normalize(path, NormalizationType::Default), normalize(path, BASE));
        }
    }

    #[test]
    fn dot_segments_are_resolved_and_the_root_is_the_top() {
        for (path, expected) in [
            ("/a/./b", "/a/b"),
            ("/a/.", "/a/"),
            ("/a/b/..", "/a/"),
            ("/a/../b", "/b"),
            ("/a/b/../../c", "/c"),
            ("/../../c", "/c"),
            ("/a/%2E%2e/b", "/b"),
            ("/a/.%2e\\b", "/b"),
            ("/a\\..\\b", "/b"),
            ("/a//../b", "/a/b"),
            ("/...", "/..."),
            ("/.a/..b/c../d.", "/.a/..b/c../d."),
            ("/a;x/../b", "/b"),
            ("/a/..;x=1/b", "/b"),
            ("/a/.;/b", "/a/b"),
            ("/..;/..;", "/"),
            ("/a/%2e%2e;/b", "/a/..;/b"),
            ("/a/...;/b", "/a/...;/b"),
        ] {
            assert_eq!(normal(path, BASE), expected, "{path}");
        }
    }

    #[test]
    fn only_what_needs_no_escape_is_decoded_and_once() {
        for (path, expected) in [
            ("/%61dmi%6E%7e", "/admin~"),
            ("/%2561", "/%2561"),
            ("/%3f%23%20%c0%ae", "/%3f%23%20%c0%ae"),
            ("/a%zz%", "/a%zz%"),
            ("/a%4", "/a%4"),
            ("/\u{e9}\"{}", "/%C3%A9%22%7B%7D"),
            ("/a|b^c", "/a%7Cb%5Ec"),
        ] {
            assert_eq!(normal(path, BASE), expected, "{path}");
        }
    }

    #[test]
    fn an_escaped_nul_is_refused() {
        assert_eq!(normalize("/a%00", BASE), Err(Failure::InvalidPath));
        assert_eq!(normalize("/a%00", DECODE), Err(Failure::InvalidPath));
        assert_eq!(normalize("/a%00", NormalizationType::None), Ok(None));
    }

    proptest! {
        #[test]
        fn no_dot_segment_or_backslash_is_left(path in "/[ab./\\\\%25eEfF]{0,24}", decodes in any::<bool>()) {
            let Ok(found) = normalize(&path, if decodes { DECODE } else { BASE }) else { return Ok(()) };
            let normal = found.unwrap_or(path);
            prop_assert!(normal.starts_with('/') && !normal.contains('\\'));
            prop_assert!(!normal.split('/').any(|segment| segment == "." || segment == ".."), "{normal}");
            prop_assert!(!(decodes && normal.contains("//")), "{normal}");
        }

        #[test]
        fn a_path_that_looks_normal_is(path in "/[a-c./~{]{0,16}", merges in any::<bool>()) {
            if is_normal(path.as_bytes(), merges) {
                let mut whole = canonical(path.as_bytes()).unwrap();
                if merges {
                    whole.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
                }
                prop_assert_eq!(String::from_utf8(whole).unwrap(), path);
            }
        }
    }
}
