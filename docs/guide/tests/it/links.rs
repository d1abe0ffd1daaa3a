//! No link leads nowhere: neither one between chapters, nor one into the repository.

use std::collections::HashMap;

use crate::{chapters, prose, root};

/// What the repository's files are called from outside of it. A link out of the book has to have this form.
const REPOSITORY: [&str; 2] = [
    "https://github.com/rio-vista/rio-vista/blob/main/",
    "https://github.com/rio-vista/rio-vista/tree/main/",
];

#[test]
fn every_link_leads_somewhere() {
    let chapters = chapters();
    let anchors: HashMap<&str, Vec<String>> =
        chapters.iter().map(|(name, text)| (name.as_str(), headings(text))).collect();
    let mut count = 0;
    for (name, text) in &chapters {
        for target in prose(text).flat_map(targets) {
            count += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if let Some(path) = REPOSITORY.iter().find_map(|prefix| path.strip_prefix(prefix)) {
                assert!(root().join("../..").join(path).exists(), "{name}: {target}");
            } else if !path.starts_with("https://") {
                let chapter = if path.is_empty() { name } else { path };
                let anchors = anchors.get(chapter).unwrap_or_else(|| panic!("{name}: {target}: no chapter"));
                assert!(anchor.is_empty() || anchors.iter().any(|known| known == anchor), "{name}: {target}");
            }
        }
    }
    assert!(count > 30, "{count} links");
}

/// Where the links of a line lead.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// The anchors of a chapter's headings, as mdBook makes them: letters, digits, `-` and `_` stay, in lower case, and spaces
/// become `-`.
fn headings(text: &str) -> Vec<String> {
    let titles = prose(text)
        .filter_map(|line| line.strip_prefix('#'))
        .map(|title| title.trim_start_matches('#').trim());
    let anchor = |title: &str| {
        let kept = title.to_lowercase();
        kept.chars()
            .filter_map(|c| match c {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect()
    };
    titles.map(anchor).collect()
}

#[test]
fn an_anchor_is_what_mdbook_makes_of_a_heading() {
    assert_eq!(
        headings("# A disk: `ext4`, XFS\n## 2. Its campaign\n"),
        ["a-disk-ext4-xfs", "2-its-campaign"]
    );
}
