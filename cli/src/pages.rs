//! What comes with a command: completions for shells, and man pages. Both are made from the definition of its arguments.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::failure::Failure;
use crate::output::{Output, Verdict};

/// Print the completions for a shell.
///
/// For example: `vista completions bash > ~/.local/share/bash-completion/completions/vista`, or
/// `vista completions zsh > _vista` in a directory of your fpath, or
/// `vista completions fish > ~/.config/fish/completions/vista.fish`.
#[derive(clap::Args)]
#[command(after_help = "Exit codes: 0 printed; 2 the command is wrong.")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Write the man pages into a directory: vista.1 and one for each subcommand.
///
/// For example: `vista man ~/.local/share/man/man1`, and then `man vista-kv`.
#[derive(clap::Args)]
pub(crate) struct Man {
    /// The directory; it is made if it is not there.
    directory: PathBuf,
}

pub(crate) fn complete(args: &Completions) -> Result<Verdict, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "vista", &mut text);
    Output::default().bytes(&text)?;
    Ok(Verdict::Good)
}

pub(crate) fn man(args: &Man) -> Result<Verdict, Failure> {
    let fail = |path: &Path, error: &io::Error| Failure::system(path, "write a man page", error);
    fs::create_dir_all(&args.directory).map_err(|error| fail(&args.directory, &error))?;
    clap_mangen::generate_to(Cli::command(), &args.directory)
        .map_err(|error| fail(&args.directory, &error))?;
    Ok(Verdict::Good)
}
