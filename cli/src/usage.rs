//! A command line that is wrong: what is wrong with it in one line, like every other error.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::Failure;

/// Prints help or version if that was asked for, or else what is wrong.
pub(crate) fn end(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody may read it; that is no error.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            Failure::new(one_line(error)).report();
            ExitCode::from(2)
        }
    }
}

/// What clap says in several lines, without what a manual is for.
fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.split("\n\nUsage:").next().unwrap_or(&text).split("\n\nFor more").next().unwrap_or(&text);
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    format!("{} (see '{} --help')", lines.join("; ").replace(":;", ":"), command(error))
}

/// The command that the line was for, by its usage: the words in front of the first argument.
fn command(error: &clap::Error) -> String {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let words = usage.split_whitespace().skip_while(|word| *word != "vista");
    let words = words.take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
    let words: Vec<_> = words.collect();
    if words.is_empty() { "vista".to_owned() } else { words.join(" ") }
}
