//! Bytes as text, and back (RFC 4648).

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// As data of a Secret are written.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let letter = if place <= chunk.len() { char::from(LETTERS[bits >> (18 - 6 * place) & 63]) } else { '=' };
            text.push(letter);
        }
    }
    text
}

/// What a text holds, in letters of the usual alphabet or of that for addresses; what is none of them is left out.
pub(crate) fn decode(text: &str) -> Vec<u8> {
    let usual = text.bytes().map(|letter| match letter {
        b'-' => b'+',
        b'_' => b'/',
        letter => letter,
    });
    let sextets: Vec<usize> = usual.filter_map(|letter| LETTERS.iter().position(|known| *known == letter)).collect();
    let bytes = sextets.chunks(4).flat_map(|chunk| {
        let bits = chunk.iter().fold(0, |bits, sextet| bits << 6 | sextet) << (6 * (4 - chunk.len()));
        (0..chunk.len().saturating_sub(1)).map(move |place| (bits >> (16 - 8 * place) & 0xff) as u8)
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_written_in_base64() {
        for (given, expected) in [("", ""), ("a", "YQ=="), ("ab", "YWI="), ("abc", "YWJj"), ("abcd", "YWJjZA==")] {
            assert_eq!(encode(given.as_bytes()), expected);
            assert_eq!(decode(expected), given.as_bytes());
        }
        assert_eq!((decode("_-8"), decode("/+8=")), (vec![0xff, 0xef], vec![0xff, 0xef]));
    }
}
