//! Names for content: SHA-256 in hexadecimal.

use sha2::{Digest, Sha256};

/// The whole digest of some bytes.
#[must_use]
pub fn full(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Twelve digits for a list of parts; where one part ends and the next begins counts too.
#[must_use]
pub fn short(parts: &[&[u8]]) -> String {
    let mut state = Sha256::new();
    for part in parts {
        state.update((part.len() as u64).to_be_bytes());
        state.update(part);
    }
    hexadecimal(&state.finalize())[..12].to_owned()
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
