//! What a word is: letters, digits and underscores of any script, in lower case, of 2 to 64 bytes.
//!
//! Longer ones are left out: they are data that was written in letters, and nobody looks for them.

use std::borrow::Cow;
use std::collections::HashMap;

const LEN_MIN: usize = 2;
const LEN_MAX: usize = 64;

/// The words of a text, one after the other.
pub fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let is_apart = |c: char| !(c.is_alphanumeric() || c == '_');
    let words = text.split(is_apart).filter(|word| (LEN_MIN..=LEN_MAX).contains(&word.len()));
    words.map(|word| match word.chars().any(char::is_uppercase) {
        true => Cow::Owned(word.to_lowercase()),
        false => Cow::Borrowed(word),
    })
}

/// How often each word stands in a text, in the order of the words.
pub fn count(text: &str) -> Vec<(String, u32)> {
    let mut counts: HashMap<Cow<'_, str>, u32> = HashMap::new();
    for word in words(text) {
        let count = counts.entry(word).or_default();
        *count = count.saturating_add(1);
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(word, count)| (word.into_owned(), count)).collect();
    counts.sort_unstable();
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_and_counted_in_lower_case() {
        let found = count("Die Grüße, die GRÜSSE: a fn_name(x2) x2 -- 42");
        let found: Vec<_> = found.iter().map(|(word, count)| (word.as_str(), *count)).collect();
        assert_eq!(found, [("42", 1), ("die", 2), ("fn_name", 1), ("grüsse", 1), ("grüße", 1), ("x2", 2)]);
        assert_eq!(count(&"x".repeat(65)), []);
        assert_eq!(count("").len() + count("a b c").len(), 0);
    }
}
