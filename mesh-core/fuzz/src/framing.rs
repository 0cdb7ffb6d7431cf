//! Requests of HTTP/1.1, one after the other.

use mesh_core::framing::{Flaw, Framing};

/// Reads bytes at once and one by one, which makes no difference. Whoever takes bare line feeds refuses nothing more.
pub fn framing(bytes: &[u8]) {
    let mut one_by_one = Framing::new(true);
    let said = bytes.chunks(1).try_for_each(|byte| one_by_one.read(byte));
    let mut at_once = Framing::new(true);
    assert_eq!(at_once.read(bytes), said, "{bytes:?}");
    assert_eq!(at_once.is_held(), one_by_one.is_held(), "{bytes:?}");
    let lenient = Framing::new(false).read(bytes);
    assert!(lenient != Err(Flaw::BareLineFeed) && (said.is_err() || lenient.is_ok()), "{bytes:?}");
}
