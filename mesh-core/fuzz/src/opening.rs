//! The first bytes of connections.

use mesh_core::opening::Opening;

/// Tells plaintext from TLS. What is decided stays so however much comes, and nothing that begins as TLS is plaintext.
pub fn opening(bytes: &[u8]) {
    let mut before = Opening::Undecided;
    for length in 0..=bytes.len() {
        let said = Opening::of(&bytes[..length]);
        assert!(before == Opening::Undecided || before == said, "{before:?}, then {said:?}: {bytes:?}");
        assert!(said != Opening::Undecided || length < Opening::DECIDED_BY, "{bytes:?}");
        before = said;
    }
    assert_eq!(before == Opening::Plaintext, bytes.first().is_some_and(|first| *first != 22), "{bytes:?}");
}
