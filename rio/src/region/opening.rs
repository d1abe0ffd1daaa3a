//! Opening: how a region comes to be, by creating its file or by finding it.
//!
//! Both end in [`Region::assemble`], which maps and writes nothing; what is written, and in which order, stands in
//! `publish` and `open_by`.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use uuid::Uuid;

use super::{Hints, Phase, Region, sharing};
use crate::device::{Ground, System};
use crate::header::{self, Header, State};
use crate::lock::{self, Access, Locked};
use crate::mapping::{self, Mapping, Sharing};
use crate::naming::{self, Unnamed, Until};
use crate::{Backing, Domain, DomainChoice, Error, HEADER_LEN, RegionOptions, Survives, WriteBack, space};

impl Region {
    pub(crate) fn create_by<E: From<Error>>(
        options: &RegionOptions,
        path: &Path,
        init: impl FnOnce(Region) -> Result<Region, E>,
    ) -> Result<Region, E> {
        Region::create_until(options, path, Until::Nameless, init).map_err(Failure::into_error)
    }

    pub(crate) fn open_or_create_by<E: From<Error>>(
        options: &RegionOptions,
        path: &Path,
        init: impl FnOnce(Region) -> Result<Region, E>,
    ) -> Result<Region, E> {
        match Region::open_by(options, path) {
            Err(Error::System { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return Ok(other?),
        }
        match Region::create_until(options, path, Until::Nameless, init) {
            // Another was faster, so now there is one to open.
            Err(Failure::Ours(Error::AlreadyExists { .. })) => Ok(Region::open_by(options, path)?),
            other => other.map_err(Failure::into_error),
        }
    }

    fn create_until<E: From<Error>>(
        options: &RegionOptions,
        path: &Path,
        until: Until,
        init: impl FnOnce(Region) -> Result<Region, E>,
    ) -> Result<Region, Failure<E>> {
        if options.private {
            let expected = "no new region: what is private is only looked at";
            return Err(Error::option(path, "private", 1, expected).into());
        }
        let is_device = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_char_device());
        let (region, unnamed) = if is_device {
            (Region::unpublished_device(options, path)?, None)
        } else {
            let (file, unnamed) = Unnamed::new(path, until)?;
            (Region::unpublished_file(options, path, file)?, Some(unnamed))
        };
        let id = region.id();
        let mut region = init(region).map_err(Failure::Init)?;
        if region.id() != id {
            return Err(
                Error::option(path, "region of create_with", 1, "the one that was to be filled").into()
            );
        }
        region.publish(unnamed)?;
        Ok(region)
    }

    pub(crate) fn anonymous_by(options: &RegionOptions) -> Result<Region, Error> {
        let path = Path::new("<anonymous>");
        if options.private {
            return Err(Error::option(
                path,
                "private",
                1,
                "no new region: what is private is only looked at",
            ));
        }
        let file = memfd_create("rio", MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| Error::system(path, "memfd_create", errno))?;
        let mut region = Region::unpublished_file(options, path, file.into())?;
        region.publish(None)?;
        Ok(region)
    }

    /// A region on a new empty file.
    fn unpublished_file(options: &RegionOptions, path: &Path, file: File) -> Result<Region, Error> {
        let size = options.size.unwrap_or(0);
        let len = size.checked_next_multiple_of(mapping::page_len()).filter(|len| *len <= i64::MAX as u64);
        let Some(len) = len.filter(|len| *len >= HEADER_LEN) else {
            return Err(Error::option(path, "size", size, format!("from {HEADER_LEN} to {}", i64::MAX)));
        };
        // Nobody else can have the file, but whoever opens it at the moment of its naming shall find it locked.
        let file = lock::acquire(file, path, Access::Owner, Instant::now(), Duration::ZERO)?;
        let system = System::real();
        let mut ground = Ground::of(&file, path, &system, mapping::maps_with_sync)?;
        if path == Path::new("<anonymous>") {
            ground.backing = Backing::Anonymous;
        }
        space::allocate(&file, path, 0..len, ground.backing)?;
        Region::assemble(options, path, file, ground, &system, Origin::New { len })
    }

    /// A region on a DAX device that bears none.
    fn unpublished_device(options: &RegionOptions, path: &Path) -> Result<Region, Error> {
        let file = lock::open_locked(path, Access::Owner, options.lock_wait)?;
        let system = System::real();
        let ground = Ground::of(&file, path, &system, mapping::maps_with_sync)?;
        let device_len = ground.dax.map_or(0, |device| device.len);
        let len = options.size.unwrap_or(device_len);
        let Some(len) = len.checked_next_multiple_of(mapping::page_len()).filter(|len| *len >= HEADER_LEN)
        else {
            return Err(Error::option(path, "size", len, format!("from {HEADER_LEN} to {device_len}")));
        };
        if len > device_len {
            return Err(space::no_space(path, len, Errno::ENOSPC.into()));
        }
        if header::looks_like_one(&read_header(&file, path, &ground)?) {
            return Err(Error::AlreadyExists { path: path.to_owned(), len: device_len });
        }
        let mut region = Region::assemble(options, path, file, ground, &system, Origin::New { len })?;
        region.mapping.bytes_mut(0..len).fill(0);
        Ok(region)
    }

    /// Makes the content durable, then the header, and at last the name.
    fn publish(&mut self, unnamed: Option<Unnamed>) -> Result<(), Error> {
        self.sync()?; // Orders: the content, then the header that makes it a region.
        self.write_header()?;
        let Some(unnamed) = unnamed else {
            self.phase = Phase::Open;
            return Ok(());
        };
        let needs_sync = self.ground.backing.needs_sync();
        if needs_sync {
            // Orders: the file and its length, then its name.
            self.synced(|region| region.file.sync_all())?;
        }
        let dir = unnamed.dir().to_owned();
        unnamed.publish(&self.file)?;
        self.phase = Phase::Open;
        if needs_sync {
            self.synced(|region| region.file.sync_all())?; // The count of its names, on file systems without a journal.
            naming::sync_dir(&dir)?;
        }
        Ok(())
    }

    pub(crate) fn open_by(options: &RegionOptions, path: &Path) -> Result<Region, Error> {
        let access = if options.private { Access::Reader } else { Access::Owner };
        let file = lock::open_locked(path, access, options.lock_wait)?;
        let system = System::real();
        let ground = Ground::of(&file, path, &system, mapping::maps_with_sync)?;
        if options.private && ground.backing == Backing::DevDax {
            return Err(Error::option(path, "private", 1, "no DAX device: it cannot be mapped so"));
        }
        let bytes = read_header(&file, path, &ground)?;
        let (header, newest) =
            header::select(&bytes).map_err(|fault| fault.of(path.display().to_string()))?;
        let file_len = file_len(&file, path, &ground)?;
        if file_len < header.len {
            return Err(Error::Damaged {
                path: path.display().to_string(),
                offset: file_len,
                what: "end of the file",
                found: format!("{file_len} bytes"),
                expected: format!("the {} bytes that the header tells", header.len),
            });
        }
        // What matters is what the bytes lay on when they were left, whatever they lie on now.
        let now = system.boot_id()?;
        let left_open = header.state == State::Open && header.boot_id != now;
        if left_open && !header.survives.kernel_crash && !options.accept_reboot {
            return Err(Error::LeftOpenAcrossReboot {
                path: path.to_owned(),
                left_open: header.boot_id,
                now,
            });
        }
        let mut region =
            Region::assemble(options, path, file, ground, &system, Origin::Found { header, newest })?;
        if left_open && !header.survives.kernel_crash {
            // The doubt stays with the file until its owner has closed it: the mark keeps the boot that it comes from.
            region.is_doubtful = true;
            region.header.boot_id = header.boot_id;
        }
        if !region.private {
            // Orders: the mark that it is open, durable, then every store of the new owner.
            region.write_header()?;
        }
        region.phase = Phase::Open;
        Ok(region)
    }

    /// Maps the file, and writes nothing yet.
    fn assemble(
        options: &RegionOptions,
        path: &Path,
        file: Locked,
        ground: Ground,
        system: &System,
        origin: Origin,
    ) -> Result<Region, Error> {
        let private = options.private;
        let best = WriteBack::best();
        let (domain, survives) = match (private, options.domain) {
            (true, _) => (Domain::PageCache, Survives::NOTHING),
            (false, choice) => {
                let domain = match choice {
                    DomainChoice::Auto => ground.domain(),
                    DomainChoice::Forced(domain) => domain,
                };
                let able = best != WriteBack::None;
                (domain, Survives::on(ground.backing, ground.power, domain, able))
            }
        };
        let boot_id = system.boot_id()?;
        let (header, newest, found) = match origin {
            Origin::New { len } => {
                let id = Uuid::new_v4();
                let backing = ground.backing;
                let state = State::Open;
                let header = Header { len, generation: 0, id, boot_id, state, domain, backing, survives };
                (header, 1, None)
            }
            Origin::Found { header, newest } => {
                let found = Some(header.state);
                let backing = ground.backing;
                let header = Header { boot_id, state: State::Open, domain, backing, survives, ..header };
                (header, newest, found)
            }
        };
        // A device is mapped as a whole: its pages may be longer than the region.
        let mapped_len = ground.dax.map_or(header.len, |device| device.len);
        let align = ground.dax.map_or(1, |device| device.align);
        let system_error = |source| Error::system(path, "mmap", source);
        let mut mapping =
            Mapping::reserve(mapped_len, options.reserve, align, options.protection && !private)
                .map_err(system_error)?;
        let room = ground.dax.map_or(mapping.reserved(), |device| device.len).min(options.max_len);
        let max_len = (room / mapping::page_len() * mapping::page_len()).max(header.len);
        let hints = Hints { huge_pages: options.huge_pages, prefault: options.prefault && !private };
        mapping.map(&file, mapped_len, sharing(private, ground.backing)).map_err(system_error)?;
        mapping.hint(0..header.len, hints.huge_pages, hints.prefault);
        Ok(Region {
            mapping,
            len: header.len,
            domain,
            write_back: if domain.needs_flush() { best } else { WriteBack::None },
            file,
            path: path.to_owned(),
            header,
            newest,
            phase: Phase::Unpublished,
            ground,
            survives,
            found,
            max_len,
            private,
            is_doubtful: false,
            hints,
            sync_failed: AtomicBool::new(false),
        })
    }
}

/// Why a region was not created: our word or that of the caller's `init`.
enum Failure<E> {
    Ours(Error),
    Init(E),
}

impl<E> From<Error> for Failure<E> {
    fn from(error: Error) -> Self {
        Failure::Ours(error)
    }
}

impl<E: From<Error>> Failure<E> {
    fn into_error(self) -> E {
        match self {
            Failure::Ours(error) => error.into(),
            Failure::Init(error) => error,
        }
    }
}

/// Where the header comes from.
enum Origin {
    New { len: u64 },
    Found { header: Header, newest: usize },
}

/// Both copies of the header, read without a mapping where that can be, so that a short file is an error.
fn read_header(file: &File, path: &Path, ground: &Ground) -> Result<header::Bytes, Error> {
    let file_len = file_len(file, path, ground)?;
    if file_len < HEADER_LEN {
        return Err(Error::Damaged {
            path: path.display().to_string(),
            offset: file_len,
            what: "end of the file",
            found: format!("{file_len} bytes"),
            expected: format!("at least the {HEADER_LEN} bytes of a header"),
        });
    }
    let mut bytes = [0; HEADER_LEN as usize];
    match ground.dax {
        None => {
            file.read_exact_at(&mut bytes, 0).map_err(|source| Error::system(path, "read", source))?;
        }
        Some(device) => {
            let mut mapping = Mapping::reserve(device.align, device.align, device.align, false)
                .map_err(|source| Error::system(path, "mmap", source))?;
            mapping
                .map(file, device.align, Sharing::Shared)
                .map_err(|source| Error::system(path, "mmap", source))?;
            bytes.copy_from_slice(mapping.bytes(0..HEADER_LEN));
        }
    }
    Ok(bytes)
}

fn file_len(file: &File, path: &Path, ground: &Ground) -> Result<u64, Error> {
    match ground.dax {
        Some(device) => Ok(device.len),
        None => Ok(file.metadata().map_err(|source| Error::system(path, "fstat", source))?.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn options() -> RegionOptions {
        Region::options().size(1 << 16)
    }

    #[test]
    fn without_nameless_files_a_region_is_made_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let create = |init: fn(Region) -> Result<Region, Error>| {
            Region::create_until(&options(), &path, Until::Hidden, init).map_err(Failure::into_error)
        };
        let refuse = |_: Region| Err(Error::option(Path::new("x"), "test", 1, "2"));
        assert!(matches!(create(refuse), Err(Error::BadOption { what: "test", .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        create(Ok).unwrap().close().unwrap();
        assert!(matches!(create(Ok), Err(Error::AlreadyExists { .. })));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(Region::open(&path).unwrap().was_clean());
    }

    #[test]
    fn a_crash_while_a_hidden_file_is_made_leaves_nothing_of_that_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let crash = std::panic::catch_unwind(|| {
            let init = |_: Region| -> Result<Region, Error> { panic!("in the middle") };
            let _ = Region::create_until(&options(), &path, Until::Hidden, init);
        });
        assert!(crash.is_err() && !path.exists());
    }

    #[test]
    fn a_growth_that_cannot_be_mapped_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        let mut region = options().create(&path).unwrap();
        let backing = region.ground.backing;
        if backing == Backing::FsDax {
            return; // Then the lie below would be none.
        }
        for _ in 0..2 {
            // The file is extended, and then the kernel refuses to map it as DAX.
            region.ground.backing = Backing::FsDax;
            assert!(matches!(region.grow(1 << 20), Err(Error::System { call: "mmap", .. })));
            assert_eq!((region.len(), fs::metadata(&path).unwrap().len()), (1 << 16, 1 << 16));
            assert_eq!((region.mapping.mapped(), region.header.len), (1 << 16, 1 << 16));
        }
        region.ground.backing = backing;
        region.bytes_mut(HEADER_LEN..1 << 16).unwrap().fill(1);
        region.grow(1 << 20).unwrap();
        assert!(region.bytes_mut(1 << 16..1 << 20).unwrap().iter().all(|byte| *byte == 0));
        region.close().unwrap();
        assert_eq!(Region::open(&path).unwrap().len(), 1 << 20);
    }

    #[test]
    fn after_a_failed_sync_a_region_neither_grows_nor_closes_as_clean() {
        let dir = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = dir.path().join("region");
        let mut region = options().create(&path).unwrap();
        if !region.backing().needs_sync() {
            return; // Where nothing is synced nothing fails.
        }
        let fail = |_: &Region| Err(io::Error::from(Errno::EIO));
        assert!(matches!(region.synced(fail), Err(Error::System { call: "sync", .. })));
        let error = region.sync().unwrap_err();
        assert!(matches!(&error, Error::System { source, .. } if source.to_string().contains("earlier")));
        // The header on the medium may tell of a longer file than we think it is, so it is not cut.
        region.file.set_len(3 << 16).unwrap();
        assert!(region.grow(1 << 20).is_err());
        assert_eq!((region.len(), fs::metadata(&path).unwrap().len()), (1 << 16, 3 << 16));
        assert!(region.close().is_err());
        assert!(!Region::open(&path).unwrap().was_clean());
    }
}
