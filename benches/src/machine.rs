//! What a number was measured on: a number without it is worth nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::statfs::{self, FsType, statfs};
use serde::{Deserialize, Serialize};

/// The machine, and what runs on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Number of its cores.
    pub cores: usize,
    /// The one that the timed thread was pinned to.
    pub pinned_to: Option<usize>,
    /// Memory in GiB.
    pub memory_gib: u64,
    /// Release of the kernel.
    pub kernel: String,
    /// What the regions lie on.
    pub file_system: String,
    /// What the files lie on whose commits wait for a disk.
    pub disk_file_system: String,
    /// The instruction that writes a line back.
    pub write_back: String,
    /// The commit that was measured, marked if the work tree differed from it.
    pub commit: String,
    /// The compiler.
    pub compiler: String,
    /// The command that was run.
    pub command: String,
}

impl Machine {
    /// This one, with regions in `dir` and files for the disk in `disk`.
    pub fn here(dir: &Path, disk: &Path, write_back: String, pinned_to: Option<usize>) -> Self {
        let first = |path, key: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_once(':').map_or_else(unknown, |(_, value)| value.trim().to_owned())
        };
        let kib = first("/proc/meminfo", "MemTotal");
        let kib: u64 = kib.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        Machine {
            processor: first("/proc/cpuinfo", "model name"),
            cores: fs::read_to_string("/proc/cpuinfo").map_or(0, |text| text.matches("processor\t").count()),
            pinned_to,
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| unknown(), |release| release.trim().to_owned()),
            file_system: file_system_of(dir),
            disk_file_system: file_system_of(disk),
            write_back,
            commit: commit(),
            compiler: output("rustc", &["--version"]),
            command: command(),
        }
    }

    /// As lines of text.
    pub fn lines(&self) -> Vec<String> {
        let Machine { processor, cores, memory_gib, kernel, file_system, write_back, .. } = self;
        let pinned = self.pinned_to.map_or("not pinned".to_owned(), |cpu| format!("pinned to core {cpu}"));
        vec![
            format!(
                "machine: {processor}, {cores} cores, {memory_gib} GiB; write-back by {write_back}; {pinned}"
            ),
            format!("kernel: {kernel}; file system: {file_system}; of the disk: {}", self.disk_file_system),
            format!("commit: {}; compiler: {}", self.commit, self.compiler),
            format!("command: {}", self.command),
        ]
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn file_system_of(dir: &Path) -> String {
    statfs(dir).map_or_else(|_| unknown(), |stat| file_system(stat.filesystem_type()))
}

fn file_system(kind: FsType) -> String {
    let known = [
        (statfs::TMPFS_MAGIC, "tmpfs"),
        (statfs::EXT4_SUPER_MAGIC, "ext4"),
        (statfs::XFS_SUPER_MAGIC, "xfs"),
        (statfs::BTRFS_SUPER_MAGIC, "btrfs"),
        (statfs::OVERLAYFS_SUPER_MAGIC, "overlayfs"),
    ];
    let name = known.iter().find(|(known, _)| *known == kind).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("{kind:?}"))
}

/// Bytes of a region that `dir` and the memory have room for.
pub fn room(dir: &Path) -> u64 {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|kib| kib.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0);
    let free = statfs(dir).map_or(0, |stat| stat.blocks_available() * stat.block_size() as u64);
    free.min(kib << 10)
}

/// The commit, marked if tracked files differ from it.
fn commit() -> String {
    let hash = output("git", &["rev-parse", "--short=12", "HEAD"]);
    let changes = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    if changes.is_empty() || hash == unknown() { hash } else { format!("{hash} and changes") }
}

/// The command, without the path by which the program was found.
fn command() -> String {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let features = [("peers", cfg!(feature = "peers")), ("pmdk", cfg!(feature = "pmdk"))];
    let features: Vec<_> = features.into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name).collect();
    let features =
        if features.is_empty() { String::new() } else { format!("--features {} ", features.join(",")) };
    format!("cargo run --release -p benches {features}-- {}", arguments.join(" "))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        _ => unknown(),
    }
}
