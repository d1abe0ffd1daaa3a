//! What the numbers were measured on.

use std::fs;
use std::path::Path;

use serde::Serialize;
use vista::Segment;
use workloads::Bank;

use crate::failure::Failure;

/// The machine, and what of it the bank lies on.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) backing: String,
    pub(crate) domain: String,
    pub(crate) survives: String,
    pub(crate) is_protected: bool,
    pub(crate) build: &'static str,
}

impl Machine {
    /// Asks the system, and the region.
    pub(crate) fn look(path: &Path) -> Result<Machine, Failure> {
        let segment = Segment::<Bank>::open(path)?;
        let region = segment.medium()?;
        let machine = Machine {
            processor: processor().unwrap_or_else(|| "an unknown processor".to_owned()),
            kernel: first_line("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            file_system: file_system_of(path).unwrap_or_else(|| "an unknown file system".to_owned()),
            backing: region.backing().to_string(),
            domain: region.domain().to_string(),
            survives: region.survives().to_string(),
            is_protected: region.is_protected(),
            build: if cfg!(debug_assertions) { "debug build" } else { "release build" },
        };
        segment.close()?;
        Ok(machine)
    }
}

fn first_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.to_owned())
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    // AArch64 gives no name, but the numbers of its maker and part.
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    let name = value("model name").or_else(|| {
        Some(format!("implementer {}, part {}", value("CPU implementer")?, value("CPU part")?))
    })?;
    Some(format!("{name}, {count} of its processors"))
}

/// The name of the file system that a path lies on, from the kernel's list of mounts.
pub(crate) fn file_system_of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(point), Some(name)) = (words.next(), words.next()) else { continue };
        // The longest one holds the path; of two on one another, the later.
        if path.starts_with(point) && best.is_none_or(|(len, _)| point.len() >= len) {
            best = Some((point.len(), name));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

/// Whether a file of so many bytes at this path would take more than half of the memory that is free. The kernel
/// grants a tmpfs what it does not have, and ends processes when it is asked for it.
pub(crate) fn overfills_memory(path: &Path, len: u64) -> bool {
    let is_tmpfs = path.parent().and_then(file_system_of).is_some_and(|name| name == "tmpfs");
    let available = || available_memory(&fs::read_to_string("/proc/meminfo").ok()?);
    is_tmpfs && available().is_some_and(|available| len > available / 2)
}

/// The free memory, in bytes, that /proc/meminfo tells of.
fn available_memory(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_where_a_path_lies() {
        assert_eq!(file_system_of(Path::new("/proc/self")).as_deref(), Some("proc"));
        assert_eq!(file_system_of(Path::new("/no/such/path")), None);
    }

    #[test]
    fn memory_is_not_to_be_filled() {
        let text = "MemTotal:       24683964 kB\nMemAvailable:   23621632 kB\n";
        assert_eq!(available_memory(text), Some(23_621_632 << 10));
        assert_eq!(available_memory("MemTotal: 1 kB"), None);
        assert!(!overfills_memory(Path::new("/proc/self/bank"), u64::MAX), "no tmpfs");
        if file_system_of(Path::new("/dev/shm")).as_deref() == Some("tmpfs") {
            assert!(overfills_memory(Path::new("/dev/shm/bank"), 1 << 50));
            assert!(!overfills_memory(Path::new("/dev/shm/bank"), 4096));
        }
    }
}
