//! A quick look at JSON text, without an allocation: true only when it is plainly valid and nothing about it needs
//! thought. Everything else goes to `syncline_model::json::facts`, which judges slowly and exactly.

/// Nesting up to which the look is worth it.
const DEPTH_MAX: u8 = 32;
/// Keys of one object that are compared with each other.
const KEYS_MAX: usize = 16;

/// Whether the text is JSON without duplicate keys, `\u` escapes, exponents, or deep nesting.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    let mut scan = Scan { rest: text.as_bytes() };
    scan.value(DEPTH_MAX).is_some() && scan.token().is_none()
}

struct Scan<'t> {
    rest: &'t [u8],
}

impl<'t> Scan<'t> {
    /// The next byte that is no space, left in place.
    fn token(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    fn eat(&mut self, b: u8) -> Option<()> {
        (self.token()? == b).then(|| self.rest = &self.rest[1..])
    }

    fn value(&mut self, depth: u8) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.token()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(drop),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn object(&mut self, depth: u8) -> Option<()> {
        self.eat(b'{')?;
        if self.token()? == b'}' {
            return self.eat(b'}');
        }
        let mut keys: [&[u8]; KEYS_MAX] = [&[]; KEYS_MAX];
        for n in 0..KEYS_MAX {
            self.token()?;
            let key = self.string()?;
            // An escape may spell the same key in another way.
            if key.contains(&b'\\') || keys[..n].contains(&key) {
                return None;
            }
            keys[n] = key;
            self.eat(b':')?;
            self.value(depth)?;
            match self.token()? {
                b',' => self.eat(b',')?,
                _ => return self.eat(b'}'),
            }
        }
        None
    }

    fn array(&mut self, depth: u8) -> Option<()> {
        self.eat(b'[')?;
        if self.token()? == b']' {
            return self.eat(b']');
        }
        loop {
            self.value(depth)?;
            match self.token()? {
                b',' => self.eat(b',')?,
                _ => return self.eat(b']'),
            }
        }
    }

    /// The raw text between the quotes.
    fn string(&mut self) -> Option<&'t [u8]> {
        let body = self.rest.strip_prefix(b"\"")?;
        let mut at = 0;
        loop {
            match *body.get(at)? {
                b'"' => break,
                b'\\' if matches!(body.get(at + 1)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                0..0x20 | b'\\' => return None,
                _ => at += 1,
            }
        }
        self.rest = &body[at + 1..];
        Some(&body[..at])
    }

    /// A number without exponent: `-0.5`, not `.5`, `01` or `1.`.
    fn number(&mut self) -> Option<()> {
        let rest = self.rest.strip_prefix(b"-").unwrap_or(self.rest);
        let whole = digits(rest);
        if whole == 0 || (whole > 1 && rest[0] == b'0') {
            return None;
        }
        let mut rest = &rest[whole..];
        if let Some(fraction) = rest.strip_prefix(b".") {
            let n = digits(fraction);
            if n == 0 {
                return None;
            }
            rest = &fraction[n..];
        }
        if matches!(rest.first(), Some(b'e' | b'E')) {
            return None;
        }
        self.rest = rest;
        Some(())
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|b| b.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use syncline_model::json;

    #[test]
    fn what_needs_thought_is_not_plain() {
        for text in ["{\"a\": [1, -0.5, null, true, \"x\\n\\\"\"], \"b\": {}}", "[]", " 7 ", "\"ü\""] {
            assert!(is_plain(text), "{text}");
        }
        for text in
            ["{\"a\":1,\"a\":2}", "\"\\u0000\"", "1e5", "01", "1.", "[1,]", "{\"a\"}", "", "[1] x", "\"a\nb\"", "tru", "{\"\\n\":1}"]
        {
            assert!(!is_plain(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn plain_text_is_json_and_has_nothing_to_lose(text in "[\\[\\]{}\",:0-9ab.\\\\n -]{0,30}") {
            if is_plain(&text) {
                prop_assert!(json::facts(&text).is_some_and(|f| !f.duplicate_keys && !f.nul_escape && !f.lone_surrogate));
            }
        }
    }
}
