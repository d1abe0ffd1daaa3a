//! A command line that is wrong: what is wrong with it in one line, like every other error.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::ErrorKind;

use crate::Cli;
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
            let words = env::args_os().skip(1).take_while(|word| word != "--");
            let is_json = words.into_iter().any(|word| word == "--json");
            Failure::new(one_line(error)).report(is_json);
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
    format!("{} (see '{} --help')", lines.join("; ").replace(":;", ":"), command())
}

/// The command that the line was for: its first word that is one.
fn command() -> String {
    let is_command =
        |word: &OsString| Cli::command().get_subcommands().any(|command| *word == command.get_name());
    match env::args_os().skip(1).find(is_command) {
        Some(word) => format!("vista {}", word.display()),
        None => "vista".to_owned(),
    }
}
