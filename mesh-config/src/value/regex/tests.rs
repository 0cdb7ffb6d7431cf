use proptest::prelude::*;

use super::*;

fn is_match(source: &str, text: &[u8]) -> bool {
    full_match(source).unwrap().is_match(text)
}

#[test]
fn a_regex_matches_the_whole_string() {
    assert!(is_match("a.c", b"abc"));
    assert!(!is_match("a.c", b"xabc"));
    assert!(!is_match("a.c", b"abcx"));
    assert!(is_match("a|bc", b"bc"));
    assert!(!is_match("a|bc", b"abc"));
    assert!(!is_match("a", b"a\n"));
}

#[test]
fn syntax_that_re2_has_and_the_crate_has_not_is_taken() {
    for (source, text, expected) in [
        (r"\Qa.b\E+", "a.bb", true),
        (r"\Qa.b\E", "axb", false),
        (r"\Qa*", "a*", true),
        (r"a\E", "a", true),
        ("[[]", "[", true),
        ("[a[b]", "[", true),
        ("[]a]+", "]a", true),
        ("[^]a]", "b", true),
        (r"\141", "a", true),
        (r"\0", "\0", true),
        (r"\061", "1", true),
        ("a{,2}", "a{,2}", true),
        ("a{,2}", "aa", false),
        ("{", "{", true),
        ("a{x}", "a{x}", true),
        ("}", "}", true),
        ("a{1,2}{", "a{", true),
        (r"\<a\>", "<a>", true),
        (r"\_\-\ ", "_- ", true),
        (r"a\b{start}", "a{start}", true),
        ("(?P<1st>a)", "a", true),
        (r"\pN", "7", true),
        (r"\p{Greek}+", "αβ", true),
        (r"\p{^Greek}", "a", true),
        (r"\P{Greek}", "α", false),
        (r"[\p{Lu}x]", "X", true),
        ("[[:alpha:]]", "a", true),
        ("[[:^alpha:]]", "a", false),
        ("[[:word:]-]", "-", true),
        (r"\x{41}\x42", "AB", true),
        (r"[\x41-\x43]", "B", true),
        (r"[\d-z]", "-", true),
        (r"[a\]]", "]", true),
        ("[a-]", "-", true),
        ("[+--]", ",", true),
        ("#", "#", true),
        ("a b", "a b", true),
        ("(?i)abc", "ABC", true),
        ("(?i-s:a)b", "Ab", true),
        ("(?i-i)a", "A", false),
        ("(?:)", "", true),
        ("^*", "", true),
        ("(|a)", "", true),
        ("é+", "éé", true),
    ] {
        assert_eq!(is_match(source, text.as_bytes()), expected, "{source} on {text}");
    }
}

#[test]
fn syntax_with_another_meaning_has_that_of_re2() {
    for (source, text, expected) in [
        (r"\d", "٣", false),
        (r"\w", "é", false),
        (r"\W", "é", true),
        (r"[^\d]", "٣", true),
        (r"[\D]", "7", false),
        (r"\s", "\u{a0}", false),
        (r"\s", "\x0b", false),
        (r"\S", "\x0b", true),
        (r"é\b.", "éa", true),
        (r"a\b.", "aé", true),
        ("[a&&b]+", "a&b", true),
        ("[a~~b]+", "~", true),
        ("[a--b]", "a", false),
        ("[a||b]", "|", true),
        (".", "é", true),
        (".", "\n", false),
        ("(?s).", "\n", true),
    ] {
        let Ok(regex) = full_match(source) else {
            assert!(!expected, "{source}");
            continue;
        };
        assert_eq!(regex.is_match(text.as_bytes()), expected, "{source} on {text}");
    }
}

#[test]
fn a_byte_that_is_no_character_matches_nothing() {
    assert!(!is_match(".", b"\xff"));
    assert!(!is_match("[^a]", b"\xff"));
    assert!(!is_match(".*", b"a\xffb"));
    assert!(!is_match(r"\xff", b"\xff"));
    assert!(is_match(r"\xff", "\u{ff}".as_bytes()));
}

#[test]
fn what_re2_refuses_is_refused_in_its_words() {
    for (source, problem, part) in [
        ("*", "missing argument to repetition operator", "*"),
        ("a|*", "missing argument to repetition operator", "*"),
        ("(+)", "missing argument to repetition operator", "+"),
        ("(?i)*", "missing argument to repetition operator", "*"),
        ("{2}", "missing argument to repetition operator", "{2}"),
        ("a**", "invalid nested repetition operator", "**"),
        ("a*+", "invalid nested repetition operator", "*+"),
        ("a+?*", "invalid nested repetition operator", "+?*"),
        ("a{2}{3}", "invalid nested repetition operator", "{2}{3}"),
        ("a{1001}", "invalid repeat count", "{1001}"),
        ("a{2,1}", "invalid repeat count", "{2,1}"),
        ("a{99999999999999999999}", "invalid repeat count", "{99999999999999999999}"),
        ("(a", "missing closing )", "(a"),
        ("a)", "unexpected )", "a)"),
        ("[a", "missing closing ]", "[a"),
        ("[", "missing closing ]", "["),
        ("[]", "missing closing ]", "[]"),
        ("[a-", "missing closing ]", "[a-"),
        ("[b-a]", "invalid character class range", "b-a"),
        ("[[:nope:]]", "invalid character class range", "[:nope:]"),
        (r"\p{Nope}", "invalid character class range", r"\p{Nope}"),
        (r"\p{Alphabetic}", "invalid character class range", r"\p{Alphabetic}"),
        (r"\p{greek}", "invalid character class range", r"\p{greek}"),
        (r"\p", "invalid character class range", r"\p"),
        (r"\1", "invalid escape sequence", r"\1"),
        (r"(a)\1", "invalid escape sequence", r"\1"),
        (r"\8", "invalid escape sequence", r"\8"),
        (r"\q", "invalid escape sequence", r"\q"),
        (r"\u0041", "invalid escape sequence", r"\u"),
        (r"\Z", "invalid escape sequence", r"\Z"),
        (r"\é", "invalid escape sequence", r"\é"),
        (r"[\b]", "invalid escape sequence", r"\b"),
        (r"\x4", "invalid escape sequence", r"\x4"),
        (r"\x{110000}", "invalid escape sequence", r"\x{1"),
        ("a\\", "trailing backslash at end of expression", ""),
        ("(?=a)", "invalid or unsupported Perl syntax", "(?="),
        ("(?<=a)", "invalid or unsupported Perl syntax", "(?<"),
        ("(?x)a", "invalid or unsupported Perl syntax", "(?x"),
        ("(?u)a", "invalid or unsupported Perl syntax", "(?u"),
        ("(?i-)a", "invalid or unsupported Perl syntax", "(?i-)"),
        ("(?P<n-x>a)", "invalid named capture", "(?P<n-x>"),
        ("(?P<n", "invalid named capture", "(?P<n"),
        ("(?P<n>a)(?P<n>b)", "duplicate capture group name", "n"),
    ] {
        assert_eq!(full_match(source).unwrap_err(), RegexError::syntax(problem, part), "{source}");
    }
}

#[test]
fn the_messages_are_those_of_istio() {
    assert_eq!(full_match("").unwrap_err().to_string(), "regex string match should not be empty");
    assert_eq!(
        full_match(&"a".repeat(1025)).unwrap_err().to_string(),
        "regex is too large, max length allowed is 1024"
    );
    assert!(full_match(&"a".repeat(1024)).is_ok());
    assert_eq!(
        full_match("*").unwrap_err().to_string(),
        "error parsing regexp: missing argument to repetition operator: `*`; Istio uses RE2 style regex-based match (https://github.com/google/re2/wiki/Syntax)"
    );
}

#[test]
fn a_regex_that_would_grow_too_large_is_refused() {
    assert!(matches!(full_match("((a{1,100}){1,100}){1,100}"), Err(RegexError::TooLarge { .. })));
    assert!(matches!(
        full_match(r"(?:\pL{1000}|\pL{999}){1}x\pL{1000}\pL{1000}\pL{1000}"),
        Err(RegexError::TooLarge { problem: "expression too large", .. })
    ));
}

#[test]
fn groups_keep_their_numbers_in_a_search() {
    let regex = search(r"/(?P<first>a+)(?:x)(b)").unwrap();
    let found = regex.captures(b"--/aaxb--").unwrap();
    assert_eq!(&found[1], b"aa");
    assert_eq!(&found[2], b"b");
}

proptest! {
    #[test]
    fn no_text_panics(source in ".{0,40}") {
        drop(full_match(&source));
    }

    #[test]
    fn no_text_of_regex_characters_panics(source in r"[\\\[\](){}*+?|^$.,:<>=!\-&~QEpPdDwWsSbBxX0-9aimsUu]{0,24}") {
        drop(full_match(&source));
        drop(search(&source));
    }

    #[test]
    fn quoted_text_matches_itself_only(text in "[^\\\\]{1,20}", other in "[^\\\\]{1,20}") {
        let regex = full_match(&format!(r"\Q{text}\E")).unwrap();
        prop_assert!(regex.is_match(text.as_bytes()));
        prop_assert_eq!(regex.is_match(other.as_bytes()), text == other);
    }
}
