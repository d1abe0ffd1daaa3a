//! The device: what a file lies on, and how much of a power cut that is good for.
//!
//! All of it is read from the system's own files, whose root can be another directory, so that machines with
//! persistent memory can be imitated. Start at [`Ground`].

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::statfs::{FsType, TMPFS_MAGIC, fstatfs};
use uuid::Uuid;

use crate::{Domain, Error};

/// What a region lies on.
///
/// ```
/// use rio::{Backing, Region};
///
/// let region = Region::options().size(1 << 20).anonymous()?;
/// match region.backing() {
///     Backing::FsDax | Backing::DevDax => println!("the mapping is the medium"),
///     other => println!("{other}"),
/// }
/// # Ok::<_, rio::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backing {
    /// A file behind the kernel's page cache, on a disk or on anything else that is not listed below.
    PageCache,
    /// A file in tmpfs or ramfs: it ends with the kernel, and needs no sync.
    Tmpfs,
    /// A file on a file system with DAX: the mapping is the medium.
    FsDax,
    /// A DAX character device.
    DevDax,
    /// A memfd: it ends with the process.
    Anonymous,
}

impl Backing {
    /// Whether the mapping is the medium.
    pub(crate) fn is_dax(self) -> bool {
        matches!(self, Backing::FsDax | Backing::DevDax)
    }

    /// Whether a sync makes more durable than a store did. On DAX that is what nobody wrote back.
    pub(crate) fn needs_sync(self) -> bool {
        matches!(self, Backing::PageCache | Backing::FsDax)
    }
}

impl fmt::Display for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backing::PageCache => "page cache",
            Backing::Tmpfs => "tmpfs",
            Backing::FsDax => "fsdax",
            Backing::DevDax => "devdax",
            Backing::Anonymous => "anonymous memory",
        })
    }
}

/// How far into the machine its power-fail protection reaches, as the system tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PowerDomain {
    /// Nowhere, or the system does not say: DRAM set aside as persistent memory is such.
    Unknown,
    /// To the memory controller (ADR).
    Controller,
    /// To the processor's caches (eADR).
    Caches,
}

/// A device node by its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node {
    Block(u64),
    Char(u64),
}

impl Node {
    /// Where sysfs keeps the device, from its root.
    fn path(self) -> String {
        let (kind, device) = match self {
            Node::Block(device) => ("block", device),
            Node::Char(device) => ("char", device),
        };
        format!("dev/{kind}/{}:{}", libc::major(device), libc::minor(device))
    }
}

/// A DAX character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DaxDevice {
    pub(crate) len: u64,
    /// Mappings begin and end at multiples of it.
    pub(crate) align: u64,
}

/// What an open file lies on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    pub(crate) backing: Backing,
    pub(crate) power: PowerDomain,
    /// The device, where the file is one.
    pub(crate) dax: Option<DaxDevice>,
}

impl Ground {
    /// What this file lies on. `maps_with_sync` tells whether it can be mapped so (as `mapping.rs` does).
    pub(crate) fn of(
        file: &File,
        path: &Path,
        system: &System,
        maps_with_sync: impl Fn(&File) -> bool,
    ) -> Result<Ground, Error> {
        let found = file.metadata().map_err(|source| Error::system(path, "fstat", source))?;
        if found.file_type().is_char_device() {
            let node = Node::Char(found.rdev());
            let dax = Some(system.dax_device(node, path)?);
            return Ok(Ground { backing: Backing::DevDax, power: system.power_domain(node), dax });
        }
        if !found.is_file() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a DAX device");
            return Err(Error::system(path, "open", source));
        }
        let (mut backing, mut power) = (Backing::PageCache, PowerDomain::Unknown);
        let kind = fstatfs(file).map_err(|errno| Error::system(path, "fstatfs", errno))?.filesystem_type();
        if kind == TMPFS_MAGIC || kind == RAMFS_MAGIC {
            backing = Backing::Tmpfs;
        } else if maps_with_sync(file) {
            (backing, power) = (Backing::FsDax, system.power_domain(Node::Block(found.dev())));
        }
        Ok(Ground { backing, power, dax: None })
    }

    /// The domain that this is.
    pub(crate) fn domain(&self) -> Domain {
        match (self.backing.is_dax(), self.power) {
            (false, _) => Domain::PageCache,
            (true, PowerDomain::Caches) => Domain::Eadr,
            // Where no power-fail domain is known, a crash of the kernel may still lose what the caches hold.
            (true, PowerDomain::Controller | PowerDomain::Unknown) => Domain::Adr,
        }
    }
}

/// What ramfs calls itself; it has no name in the libraries.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

/// The system's files about itself.
#[derive(Clone, Debug)]
pub(crate) struct System {
    sys: PathBuf,
    proc: PathBuf,
}

impl System {
    /// This machine's.
    pub(crate) fn real() -> System {
        System::at(Path::new("/"))
    }

    /// Those below another root.
    fn at(root: &Path) -> System {
        System { sys: root.join("sys"), proc: root.join("proc") }
    }

    /// The identity of this boot of the kernel.
    pub(crate) fn boot_id(&self) -> Result<Uuid, Error> {
        let path = self.proc.join("sys/kernel/random/boot_id");
        parse(&path, |text| Uuid::try_parse(text).ok())
    }

    /// Size and alignment of a DAX character device, or an error if the device at this path is none.
    pub(crate) fn dax_device(&self, node: Node, path: &Path) -> Result<DaxDevice, Error> {
        let dir = self.sys.join(node.path());
        let subsystem = dir.join("subsystem");
        let target =
            fs::canonicalize(&subsystem).map_err(|source| Error::system(&subsystem, "open", source))?;
        if !target.ends_with("dax") {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "the device is not a DAX device");
            return Err(Error::system(path, "open", source));
        }
        let len = parse(&dir.join("size"), |text| text.parse().ok())?;
        // Kernels before 5.10 do not tell; 2 MiB is what they used for all but devices of whole gigabytes.
        let align =
            parse(&dir.join("align"), |text| text.parse().ok().filter(|align: &u64| align.is_power_of_two()));
        Ok(DaxDevice { len, align: align.unwrap_or(2 << 20) })
    }

    /// The power-fail domain of the persistent memory that a device stands on.
    pub(crate) fn power_domain(&self, node: Node) -> PowerDomain {
        let Ok(device) = fs::canonicalize(self.sys.join(node.path())) else {
            return self.weakest_region(node);
        };
        // The device lies below its region: .../ndbus0/region0/namespace0.0/block/pmem0/pmem0p1.
        let told = device.ancestors().find_map(|dir| fs::read_to_string(dir.join("persistence_domain")).ok());
        match told {
            Some(word) => power_domain(&word),
            None => self.weakest_region(node),
        }
    }

    /// The weakest of all persistent memory: a file system that maps its file with DAX lies on some of it, though
    /// through layers (device mapper, a subvolume) that hide which. A character device off the bus is ordinary
    /// memory lent as such, and no region speaks for it.
    fn weakest_region(&self, node: Node) -> PowerDomain {
        let regions = match node {
            Node::Block(_) => fs::read_dir(self.sys.join("bus/nd/devices")),
            Node::Char(_) => return PowerDomain::Unknown,
        };
        let words = regions.into_iter().flatten().flatten().filter_map(|entry| {
            let is_region = entry.file_name().to_string_lossy().starts_with("region");
            is_region.then(|| fs::read_to_string(entry.path().join("persistence_domain")).unwrap_or_default())
        });
        words.map(|word| power_domain(&word)).min().unwrap_or(PowerDomain::Unknown)
    }
}

/// The kernel's word for it.
fn power_domain(word: &str) -> PowerDomain {
    match word.trim() {
        "cpu_cache" => PowerDomain::Caches,
        "memory_controller" => PowerDomain::Controller,
        _ => PowerDomain::Unknown,
    }
}

fn parse<T>(path: &Path, value: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::system(path, "read", source))?;
    let invalid = || Error::system(path, "read", io::Error::from(io::ErrorKind::InvalidData));
    value(text.trim()).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    /// A machine with files of these contents, and links.
    fn machine(files: &[(&str, &str)], links: &[(&str, &str)]) -> (TempDir, System) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        for (path, target) in links {
            let (path, target) = (root.path().join(path), root.path().join(target));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::create_dir_all(&target).unwrap();
            symlink(target, path).unwrap();
        }
        let system = System::at(root.path());
        (root, system)
    }

    const BUS: &str = "sys/devices/LNXSYSTM:00/ndbus0";

    fn node(kind: fn(u64) -> Node, major: u32, minor: u32) -> Node {
        kind(libc::makedev(major, minor))
    }

    #[test]
    fn this_machine_has_a_boot_id() {
        let system = System::real();
        assert_eq!(system.boot_id().unwrap(), system.boot_id().unwrap());
        assert!(!system.boot_id().unwrap().is_nil());
    }

    #[test]
    fn a_boot_id_that_is_none_is_an_error() {
        let (_root, system) = machine(&[("proc/sys/kernel/random/boot_id", "today\n")], &[]);
        assert!(system.boot_id().unwrap_err().to_string().contains("boot_id"));
        let (_root, system) = machine(&[], &[]);
        assert!(system.boot_id().is_err());
    }

    #[test]
    fn a_dax_device_tells_its_size_and_alignment() {
        let device = format!("{BUS}/region0/dax0.0/dax/dax0.0");
        let (size, align) = (format!("{device}/size"), format!("{device}/align"));
        let subsystem = format!("{device}/subsystem");
        let links = [("sys/dev/char/252:3", device.as_str()), (subsystem.as_str(), "sys/bus/dax")];
        let dax = node(Node::Char, 252, 3);

        let (_root, system) = machine(&[(&size, "4294967296\n"), (&align, "1073741824\n")], &links);
        assert_eq!(
            system.dax_device(dax, Path::new("/dev/dax")).unwrap(),
            DaxDevice { len: 4 << 30, align: 1 << 30 }
        );
        let (_root, system) = machine(&[(&size, "4294967296\n")], &links);
        assert_eq!(
            system.dax_device(dax, Path::new("/dev/dax")).unwrap(),
            DaxDevice { len: 4 << 30, align: 2 << 20 }
        );
        let (_root, system) = machine(&[(&size, "much\n")], &links);
        assert!(system.dax_device(dax, Path::new("/dev/dax")).is_err());
    }

    #[test]
    fn another_character_device_is_no_dax_device() {
        let device = "sys/devices/virtual/mem/null";
        let subsystem = format!("{device}/subsystem");
        let links = [("sys/dev/char/1:3", device), (subsystem.as_str(), "sys/class/mem")];
        let (_root, system) = machine(&[], &links);
        let path = Path::new("/dev/null");
        let error = system.dax_device(node(Node::Char, 1, 3), path).unwrap_err();
        assert!(error.to_string().starts_with("/dev/null: "), "{error}");
        assert!(system.dax_device(node(Node::Char, 1, 4), path).is_err());
    }

    /// A machine with two regions that say these words, of which the first bears /dev/pmem0 (259:1) and the
    /// second /dev/dax1.0 (252:1).
    fn two_regions(first: &str, second: &str) -> (TempDir, System) {
        let regions = [format!("{BUS}/region0"), format!("{BUS}/region1")];
        let files = [
            (format!("{}/persistence_domain", regions[0]), first),
            (format!("{}/persistence_domain", regions[1]), second),
        ];
        let block = format!("{}/namespace0.0/block/pmem0/pmem0p1", regions[0]);
        let dax = format!("{}/dax1.0/dax/dax1.0", regions[1]);
        machine(
            &files.each_ref().map(|(path, word)| (path.as_str(), *word)),
            &[
                ("sys/dev/block/259:1", block.as_str()),
                ("sys/dev/char/252:1", dax.as_str()),
                ("sys/bus/nd/devices/region0", regions[0].as_str()),
                ("sys/bus/nd/devices/region1", regions[1].as_str()),
            ],
        )
    }

    #[test]
    fn the_region_below_a_device_speaks_for_it() {
        let (_root, system) = two_regions("cpu_cache\n", "memory_controller\n");
        assert_eq!(system.power_domain(node(Node::Block, 259, 1)), PowerDomain::Caches);
        assert_eq!(system.power_domain(node(Node::Char, 252, 1)), PowerDomain::Controller);
        // DRAM set aside by a kernel parameter: the file is there and empty.
        let (_root, system) = two_regions("\n", "cpu_cache\n");
        assert_eq!(system.power_domain(node(Node::Block, 259, 1)), PowerDomain::Unknown);
    }

    #[test]
    fn where_layers_hide_the_region_the_weakest_speaks() {
        let hidden = node(Node::Block, 253, 0);
        for (first, second, expected) in [
            ("cpu_cache\n", "cpu_cache\n", PowerDomain::Caches),
            ("cpu_cache\n", "memory_controller\n", PowerDomain::Controller),
            ("memory_controller\n", "\n", PowerDomain::Unknown),
        ] {
            let (_root, system) = two_regions(first, second);
            assert_eq!(system.power_domain(hidden), expected);
        }
        let (_root, system) = machine(&[], &[]);
        assert_eq!(system.power_domain(hidden), PowerDomain::Unknown);
    }

    #[test]
    fn a_file_is_known_by_its_file_system_and_how_it_maps() {
        let (root, system) = two_regions("memory_controller\n", "cpu_cache\n");
        let file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let ground = |maps| Ground::of(&file, Path::new("file"), &system, |_| maps).unwrap();
        // The build may lie in memory, and then it is known by that.
        if ground(false).backing != Backing::Tmpfs {
            assert_eq!(
                (ground(false).backing, ground(false).domain()),
                (Backing::PageCache, Domain::PageCache)
            );
            assert_eq!((ground(true).backing, ground(true).domain()), (Backing::FsDax, Domain::Adr));
        }
        let folder = File::open(root.path()).unwrap();
        assert!(Ground::of(&folder, root.path(), &system, |_| false).is_err());
    }

    #[test]
    fn the_domain_of_dax_follows_its_power_domain() {
        let domain = |backing, power| Ground { backing, power, dax: None }.domain();
        assert_eq!(domain(Backing::DevDax, PowerDomain::Caches), Domain::Eadr);
        assert_eq!(domain(Backing::FsDax, PowerDomain::Controller), Domain::Adr);
        assert_eq!(domain(Backing::FsDax, PowerDomain::Unknown), Domain::Adr);
        assert_eq!(domain(Backing::Tmpfs, PowerDomain::Caches), Domain::PageCache);
    }

    #[test]
    fn no_region_speaks_for_a_character_device_off_the_bus() {
        let (_root, system) = two_regions("cpu_cache\n", "cpu_cache\n");
        assert_eq!(system.power_domain(node(Node::Char, 252, 9)), PowerDomain::Unknown);
    }
}
