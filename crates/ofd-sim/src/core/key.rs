use std::fmt;

/// A key in little memory: a canonical UUID takes 16 bytes, anything else its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Uuid([u8; 16]),
    Text(Box<str>),
}

const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Key {
    pub(super) fn new(text: &str) -> Self {
        uuid(text.as_bytes()).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

/// Only the form that is written back letter for letter: lower case, with hyphens.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != 36 || HYPHENS.iter().any(|i| text[*i] != b'-') {
        return None;
    }
    let mut digits = (0..36).filter(|i| !HYPHENS.contains(i)).map(|i| match text[i] {
        d @ b'0'..=b'9' => Some(d - b'0'),
        d @ b'a'..=b'f' => Some(d - b'a' + 10),
        _ => None,
    });
    let mut out = [0; 16];
    for byte in &mut out {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(out)
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Uuid(bytes) => {
                for (i, byte) in bytes.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_written_back_letter_for_letter() {
        for text in [
            "0190f5b2-7c3e-7abc-8def-0123456789ab",
            "0190F5B2-7c3e-7abc-8def-0123456789ab",
            "0190f5b2_7c3e-7abc-8def-0123456789ab",
            "k",
            "0190f5b27c3e7abc8def0123456789ab",
        ] {
            assert_eq!(Key::new(text).to_string(), text);
        }
        assert!(matches!(Key::new("0190f5b2-7c3e-7abc-8def-0123456789ab"), Key::Uuid(_)));
    }
}
