//! What is wrong with a text that should be JSON, in the words of Go's `encoding/json`, which the real server passes on.
//! The grammar is RFC 8259's; which words go with which place was seen in the answers of kube-apiserver (`37-errors.yaml`).

/// Deeper is refused, as by serde_json; Go allows 10,000.
const DEPTH_MAX: usize = 127;

/// What is wrong; `None`: nothing, it is JSON.
pub(crate) fn problem(text: &[u8]) -> Option<String> {
    let mut scanner = Scanner { text, at: 0, depth: 0 };
    scanner.whole().err()
}

/// A character as Go quotes it.
fn quoted(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        0x20..=0x7e | 0xa1..=0xac | 0xae.. => format!("'{}'", char::from(byte)),
        0x80.. => format!("'\\u{byte:04x}'"),
        _ => format!("'\\x{byte:02x}'"),
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

type Scanned = Result<(), String>;

impl Scanner<'_> {
    fn whole(&mut self) -> Scanned {
        self.value()?;
        self.space();
        if self.at < self.text.len() { self.unexpected("after top-level value") } else { Ok(()) }
    }

    fn value(&mut self) -> Scanned {
        self.space();
        match self.peek() {
            Some(b'{' | b'[') if self.depth == DEPTH_MAX => self.unexpected("exceeded max depth"),
            Some(opening @ (b'{' | b'[')) => {
                self.depth += 1;
                let scanned = match opening {
                    b'{' => self.members(b'}', Self::field, "after object key:value pair"),
                    _ => self.members(b']', Self::value, "after array element"),
                };
                self.depth -= 1;
                scanned
            }
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => self.unexpected("looking for beginning of value"),
        }
    }

    /// What stands between two braces or brackets, with commas between.
    fn members(&mut self, closing: u8, member: fn(&mut Self) -> Scanned, place: &str) -> Scanned {
        self.at += 1;
        self.space();
        if self.takes(closing) {
            return Ok(());
        }
        loop {
            member(self)?;
            self.space();
            if self.takes(closing) {
                return Ok(());
            }
            self.expect(b',', place)?;
        }
    }

    fn field(&mut self) -> Scanned {
        self.space();
        if self.peek() != Some(b'"') {
            return self.unexpected("looking for beginning of object key string");
        }
        self.string()?;
        self.space();
        self.expect(b':', "after object key")?;
        self.value()
    }

    fn string(&mut self) -> Scanned {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return self.unexpected("in string literal"),
            }
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Scanned {
        if self.takes(b'u') {
            for _ in 0..4 {
                if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                    return self.unfinished("in \\u hexadecimal character escape");
                }
                self.at += 1;
            }
            return Ok(());
        }
        if !matches!(self.peek(), Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) {
            return self.unfinished("in string escape code");
        }
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Scanned {
        let _ = self.takes(b'-');
        if !self.takes(b'0') {
            self.digits("in numeric literal")?;
        }
        if self.takes(b'.') {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.takes(b'e') || self.takes(b'E') {
            let _ = self.takes(b'+') || self.takes(b'-');
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn digits(&mut self, place: &str) -> Scanned {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return self.unfinished(place);
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Scanned {
        for letter in word.bytes() {
            if !self.takes(letter) {
                return self.unfinished(&format!("in literal {word} (expecting {})", quoted(letter)));
            }
        }
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_it = self.peek() == Some(byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, byte: u8, place: &str) -> Scanned {
        if self.takes(byte) { Ok(()) } else { self.unexpected(place) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, place: &str) -> Scanned {
        if self.peek().is_none() {
            return Err("unexpected end of JSON input".to_owned());
        }
        self.unfinished(place)
    }

    /// Where a space would be wrong, too, Go takes the end for one.
    fn unfinished(&self, place: &str) -> Scanned {
        Err(format!("invalid character {} {place}", quoted(self.peek().unwrap_or(b' '))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It finds a problem where serde_json does, and nowhere else.
        #[test]
        fn what_is_no_json_has_a_problem(text in r#"[ \n{}\[\],:"0-2.eE+\-truefalsn\\u]{0,12}"#) {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(problem(text.as_bytes()).is_none(), is_json, "{:?}", text);
        }
    }

    #[test]
    fn what_has_no_end_of_depth_is_refused() {
        assert_eq!(problem(&vec![b'['; 3_000_000]).as_deref(), Some("invalid character '[' exceeded max depth"));
        for depth in 126..130 {
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let is_json = serde_json::from_str::<serde_json::Value>(&nested).is_ok();
            assert_eq!(problem(nested.as_bytes()).is_none(), is_json, "{depth}");
        }
    }

    #[test]
    fn it_is_told_in_gos_words() {
        for (text, told) in [
            ("", "unexpected end of JSON input"),
            ("{\"a\":1}{", "invalid character '{' after top-level value"),
            ("{a", "invalid character 'a' looking for beginning of object key string"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("[1 2]", "invalid character '2' after array element"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
            ("\"a\nb\"", "invalid character '\\n' in string literal"),
            ("\"\\q\"", "invalid character 'q' in string escape code"),
            ("\"\\u00x\"", "invalid character 'x' in \\u hexadecimal character escape"),
            ("tru}", "invalid character '}' in literal true (expecting 'e')"),
            ("-a", "invalid character 'a' in numeric literal"),
            ("1.e", "invalid character 'e' after decimal point in numeric literal"),
            ("1e!", "invalid character '!' in exponent of numeric literal"),
            ("tru", "invalid character ' ' in literal true (expecting 'e')"),
            ("[1.", "invalid character ' ' after decimal point in numeric literal"),
            ("\"\\", "invalid character ' ' in string escape code"),
            ("\"a", "unexpected end of JSON input"),
            ("\u{7}", "invalid character '\\a' looking for beginning of value"),
            ("01", "invalid character '1' after top-level value"),
        ] {
            assert_eq!(problem(text.as_bytes()).as_deref(), Some(told), "{text}");
        }
    }
}
