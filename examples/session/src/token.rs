//! A token: what a client shows to be known again.

use std::fmt;
use std::str::FromStr;

use vista::Persistent;

/// 128 bits that nobody can guess. Whoever has them has the session, so whoever can read the file can take over all of them.
#[derive(Clone, Copy, Persistent, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Token([u8; 16]);

/// Hides what it is: tokens do not belong into logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// A new one, by the system's random numbers.
    ///
    /// # Errors
    /// The system's, if it has none to give.
    pub fn random() -> Result<Token, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Token(bytes))
    }

    /// The token of these bytes: for tests, which have to give the same each time.
    pub const fn from_bytes(bytes: [u8; 16]) -> Token {
        Token(bytes)
    }
}

/// As it stands in a cookie: 32 hexadecimal digits.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What was to be a token is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoToken;

impl FromStr for Token {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Token, NoToken> {
        let digits = text.as_bytes();
        if digits.len() != 32 {
            return Err(NoToken);
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Token(bytes))
    }
}

fn digit(ascii: u8) -> Result<u8, NoToken> {
    match ascii {
        b'0'..=b'9' => Ok(ascii - b'0'),
        b'a'..=b'f' => Ok(ascii - b'a' + 10),
        _ => Err(NoToken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written() {
        let token = Token::from_bytes(std::array::from_fn(|i| (i * 17) as u8));
        assert_eq!(token.to_string(), "00112233445566778899aabbccddeeff");
        assert_eq!(token.to_string().parse(), Ok(token));
        for text in [
            "",
            "00112233445566778899aabbccddeef",
            "00112233445566778899aabbccddeefg",
            "grüße-grüße-grüße-grüße-grü",
        ] {
            assert_eq!(text.parse::<Token>(), Err(NoToken), "{text}");
        }
    }
}
