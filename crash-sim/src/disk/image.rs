//! What a disk holds: sectors on the platter, and above them what was written and not synced. Start at [`Image`].

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::SECTOR_LEN;

/// Sectors that are shared together between images.
const CHUNK_LEN: usize = 16;

/// A sector's bytes, shared between images.
#[derive(Clone)]
pub(crate) struct Sector(Arc<Body>);

struct Body {
    bytes: [u8; SECTOR_LEN],
    hash: [u64; 2],
}

impl Sector {
    pub(crate) fn new(bytes: [u8; SECTOR_LEN]) -> Sector {
        let hash = [1u64, 2].map(|seed| {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            bytes.hash(&mut hasher);
            hasher.finish()
        });
        Sector(Arc::new(Body { bytes, hash }))
    }

    fn zero() -> Sector {
        static ZERO: OnceLock<Sector> = OnceLock::new();
        ZERO.get_or_init(|| Sector::new([0; SECTOR_LEN])).clone()
    }

    pub(crate) fn bytes(&self) -> &[u8; SECTOR_LEN] {
        &self.0.bytes
    }

    /// What it adds to the digest of a disk that has it in this place.
    fn digest(&self, file: usize, sector: u32) -> u128 {
        let place = ((file as u64) << 32 | u64::from(sector)).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mix = |half: u64| {
            let product =
                u128::from(half ^ place).wrapping_mul(0xD1B5_4A32_D192_ED03_9E6C_63D0_876A_68EE | 1);
            (product >> 64) as u64 ^ product as u64
        };
        u128::from(mix(self.0.hash[0])) << 64 | u128::from(mix(self.0.hash[1].rotate_left(17)))
    }
}

impl PartialEq for Sector {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.hash == other.0.hash && self.0.bytes == other.0.bytes
    }
}

impl fmt::Debug for Sector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sector({:016x})", self.0.hash[0])
    }
}

/// What happens to a disk.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A sector was written, in a call of this number.
    Written { call: u32, file: usize, sector: u32, new: Sector },
    /// A file was synced, or could not be.
    Synced { file: usize, fate: Option<Fate> },
}

/// What becomes of dirty sectors when their sync fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost,
    Kept,
    Mixed,
}

/// A sector above the platter.
#[derive(Clone, Debug)]
struct Cached {
    /// What reads see.
    current: Sector,
    /// What was written since the last sync; nothing, if that failed and left what reads see in the cache alone.
    versions: Vec<Sector>,
    /// When it became dirty.
    since: u64,
}

/// What a disk holds at a moment. Cheap to clone.
///
/// ```
/// # use crash_sim::disk::Disk;
/// # use std::io::IoSlice;
/// # let disk = Disk::new([("log", 4096)]);
/// # let log = disk.file("log").unwrap();
/// let before = disk.image();
/// log.write_all_at(0, &[IoSlice::new(b"written")])?;
/// assert!(before.bytes("log") != disk.image().bytes("log"));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Image {
    files: Arc<[(String, u64)]>,
    platter: Vec<Vec<Arc<Vec<Sector>>>>,
    digest: u128,
    cache: BTreeMap<(usize, u32), Cached>,
    clock: u64,
}

/// A dirty sector in words: its file, its number, how many versions it has.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    pub(crate) file: usize,
    pub(crate) sector: u32,
    pub(crate) versions: u16,
}

impl Image {
    pub(crate) fn new(files: impl Iterator<Item = (String, u64)>) -> Image {
        let files: Arc<[(String, u64)]> = files.collect();
        let platter = files.iter().map(|&(_, len)| {
            let count = len.div_ceil(SECTOR_LEN as u64) as usize;
            let chunk = Arc::new(vec![Sector::zero(); CHUNK_LEN]);
            vec![chunk; count.div_ceil(CHUNK_LEN)]
        });
        // The digest begins with nothing: what counts is how images of the same files differ.
        Image { platter: platter.collect(), files, digest: 0, cache: BTreeMap::new(), clock: 0 }
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|(other, _)| other == name)
    }

    pub(crate) fn len_of(&self, file: usize) -> u64 {
        self.files[file].1
    }

    pub(crate) fn name_of(&self, file: usize) -> &str {
        &self.files[file].0
    }

    fn on_platter(&self, file: usize, sector: u32) -> &Sector {
        &self.platter[file][sector as usize / CHUNK_LEN][sector as usize % CHUNK_LEN]
    }

    fn set_platter(&mut self, file: usize, sector: u32, new: Sector) {
        let chunk = Arc::make_mut(&mut self.platter[file][sector as usize / CHUNK_LEN]);
        let place = &mut chunk[sector as usize % CHUNK_LEN];
        self.digest ^= place.digest(file, sector) ^ new.digest(file, sector);
        *place = new;
    }

    /// The sector as reads see it.
    pub(crate) fn sector(&self, file: usize, sector: u32) -> &Sector {
        match self.cache.get(&(file, sector)) {
            Some(cached) => &cached.current,
            None => self.on_platter(file, sector),
        }
    }

    /// Reads bytes, which lie inside.
    pub(crate) fn read(&self, file: usize, offset: u64, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            let here = offset + at as u64;
            let from = here as usize % SECTOR_LEN;
            let part = (SECTOR_LEN - from).min(bytes.len() - at);
            let sector = self.sector(file, (here / SECTOR_LEN as u64) as u32);
            bytes[at..at + part].copy_from_slice(&sector.bytes()[from..from + part]);
            at += part;
        }
    }

    /// Reads bytes of a file as reads see them.
    ///
    /// ```
    /// # use crash_sim::disk::Disk;
    /// # use std::io::IoSlice;
    /// # let disk = Disk::new([("log", 4096)]);
    /// # let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"written")])?;
    /// let mut bytes = [0; 7];
    /// disk.image().read_at("log", 0, &mut bytes);
    /// assert_eq!(&bytes, b"written");
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is no such file, or the bytes lie outside.
    pub fn read_at(&self, name: &str, offset: u64, bytes: &mut [u8]) {
        let file = self.find(name).unwrap_or_else(|| panic!("no file {name}"));
        assert!(offset + bytes.len() as u64 <= self.len_of(file), "outside of {name}");
        self.read(file, offset, bytes);
    }

    /// The bytes of a file as reads see them.
    ///
    /// ```
    /// # use crash_sim::disk::Disk;
    /// # use std::io::IoSlice;
    /// # let disk = Disk::new([("log", 4096)]);
    /// # let log = disk.file("log").unwrap();
    /// log.write_all_at(0, &[IoSlice::new(b"written")])?;
    /// assert!(disk.image().bytes("log").starts_with(b"written"));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is no such file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let file = self.find(name).unwrap_or_else(|| panic!("no file {name}"));
        let mut bytes = vec![0; self.len_of(file) as usize];
        self.read(file, 0, &mut bytes);
        bytes
    }

    /// Changes bytes of a file wherever it has them: on the platter, and in each version above it. For damage, and to
    /// make images equal that differ in what does not matter.
    ///
    /// ```
    /// # use crash_sim::disk::Disk;
    /// # use std::io::IoSlice;
    /// # let disk = Disk::new([("log", 4096)]);
    /// # let log = disk.file("log").unwrap();
    /// let mut image = disk.image();
    /// image.edit("log", 100, 1, |byte| byte[0] ^= 0xff); // Damage.
    /// let damaged = Disk::of(image);
    /// # assert_eq!(damaged.image().bytes("log")[100], 0xff);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Panics
    /// If there is no such file, or the bytes lie outside.
    pub fn edit(&mut self, name: &str, offset: u64, len: usize, change: impl Fn(&mut [u8])) {
        let file = self.find(name).unwrap_or_else(|| panic!("no file {name}"));
        let (sector, from) = ((offset / SECTOR_LEN as u64) as u32, offset as usize % SECTOR_LEN);
        assert!(from + len <= SECTOR_LEN && offset + len as u64 <= self.len_of(file), "not in one sector");
        let edited = |old: &Sector| {
            let mut bytes = *old.bytes();
            change(&mut bytes[from..from + len]);
            Sector::new(bytes)
        };
        let new = edited(self.on_platter(file, sector));
        self.set_platter(file, sector, new);
        if let Some(cached) = self.cache.get_mut(&(file, sector)) {
            cached.current = edited(&cached.current);
            cached.versions.iter_mut().for_each(|version| *version = edited(version));
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        match event {
            Event::Written { file, sector, new, .. } => self.write(*file, *sector, new),
            Event::Synced { file, fate } => self.sync(*file, *fate),
        }
    }

    fn write(&mut self, file: usize, sector: u32, new: &Sector) {
        self.clock += 1;
        let is_same = self.on_platter(file, sector) == new;
        let Some(cached) = self.cache.get_mut(&(file, sector)) else {
            if !is_same {
                let cached = Cached { current: new.clone(), versions: vec![new.clone()], since: self.clock };
                self.cache.insert((file, sector), cached);
            }
            return;
        };
        if cached.versions.is_empty() {
            cached.since = self.clock;
        }
        if cached.versions.last() != Some(new) {
            cached.versions.push(new.clone());
        }
        cached.current = new.clone();
    }

    fn sync(&mut self, file: usize, fate: Option<Fate>) {
        let keys: Vec<_> = self.cache.range((file, 0)..=(file, u32::MAX)).map(|(&key, _)| key).collect();
        for (index, key) in keys.into_iter().enumerate() {
            let cached = self.cache.get_mut(&key).expect("it is there");
            let Some(last) = cached.versions.pop() else { continue };
            cached.versions.clear();
            let arrives = match fate {
                None | Some(Fate::Kept) => true,
                Some(Fate::Lost) => false,
                Some(Fate::Mixed) => index % 2 == 1,
            };
            if arrives {
                self.cache.remove(&key);
                self.set_platter(key.0, key.1, last);
            } else if self.on_platter(key.0, key.1) == &self.cache[&key].current {
                self.cache.remove(&key);
            }
        }
    }

    /// The dirty sectors, in the order in which they became so.
    pub(crate) fn units(&self) -> Vec<Unit> {
        let mut dirty: Vec<_> = self.cache.iter().filter(|(_, cached)| !cached.versions.is_empty()).collect();
        dirty.sort_by_key(|(_, cached)| cached.since);
        let unit = |(&(file, sector), cached): (&(usize, u32), &Cached)| Unit {
            file,
            sector,
            versions: cached.versions.len() as u16,
        };
        dirty.into_iter().map(unit).collect()
    }

    /// What power cuts leave.
    pub(crate) fn cuts(&self) -> Cuts {
        let dirty = self.units().into_iter().map(|unit| {
            let key = (unit.file, unit.sector);
            let old = self.on_platter(unit.file, unit.sector).clone();
            (key, [&[old], &self.cache[&key].versions[..]].concat())
        });
        let dirty = dirty.collect();
        Cuts { base: Image { cache: BTreeMap::new(), ..self.clone() }, dirty }
    }

    /// Shows what power cuts may leave, as how many versions each dirty sector keeps: all of it if that is at most
    /// `eager`, otherwise about `samples`: everything kept and everything lost, prefixes and suffixes, one sector that
    /// differs from the others, two, then by chance. Returns how many were shown, and how many there are.
    pub(crate) fn power_cuts(
        &self,
        eager: u64,
        samples: u64,
        seed: u64,
        mut show: impl FnMut(&[u16]),
    ) -> (u64, u128) {
        let full: Vec<u16> = self.units().iter().map(|unit| unit.versions).collect();
        let all = full.iter().fold(1u128, |all, &versions| all.saturating_mul(u128::from(versions) + 1));
        let mut kept = full.clone();
        if all <= u128::from(eager) {
            loop {
                show(&kept);
                let Some(place) = kept.iter().position(|&kept| kept != 0) else { break };
                kept[place] -= 1;
                kept[..place].copy_from_slice(&full[..place]);
            }
            return (all as u64, all);
        }
        let mut seen = std::collections::HashSet::new();
        let mut tried = 0;
        let mut see = |kept: &[u16]| {
            if tried < samples && seen.insert(kept.to_vec()) {
                show(kept);
                tried += 1;
            }
            tried < samples
        };
        let none = vec![0; full.len()];
        see(&full);
        see(&none);
        for cut in 1..full.len() {
            for (first, second) in [(&full, &none), (&none, &full)] {
                see(&[&first[..cut], &second[cut..]].concat());
            }
        }
        for one in 0..full.len() {
            for versions in 0..=full[one] {
                for all in [&full, &none] {
                    kept.copy_from_slice(all);
                    kept[one] = versions;
                    see(&kept);
                }
            }
        }
        let mut random = fastrand::Rng::with_seed(seed);
        let half = samples / 2 + 1; // What is left of it is for chance.
        let mut pairs = 0;
        'pairs: for one in 0..full.len() {
            for two in 0..one {
                for (all, other) in [(&full, &none), (&none, &full)] {
                    kept.copy_from_slice(all);
                    (kept[one], kept[two]) = (other[one], other[two]);
                    pairs += 1;
                    if pairs > half || !see(&kept) {
                        break 'pairs;
                    }
                }
            }
        }
        loop {
            for (kept, &versions) in kept.iter_mut().zip(&full) {
                *kept = random.u16(0..=versions);
            }
            if !see(&kept) {
                break;
            }
        }
        (tried, all)
    }

    /// What it holds, dirty sectors included, in a number.
    pub(crate) fn fingerprint(&self) -> u128 {
        self.cache.iter().fold(self.digest, |digest, (&(file, sector), cached)| {
            let place = |index: usize| sector ^ (index as u32 + 1) << 24;
            let versions = cached.versions.iter().enumerate();
            let digest = versions.fold(digest, |digest, (index, version)| {
                digest ^ version.digest(file, place(index)).rotate_left(7)
            });
            digest ^ cached.current.digest(file, place(0)).rotate_left(31)
        })
    }
}

/// What power cuts leave of an image, where each dirty sector keeps so many of its versions.
pub(crate) struct Cuts {
    base: Image,
    dirty: Vec<((usize, u32), Vec<Sector>)>,
}

impl Cuts {
    pub(crate) fn image(&self, kept: &[u16]) -> Image {
        let mut image = self.base.clone();
        for (&((file, sector), ref versions), &kept) in self.dirty.iter().zip(kept) {
            if kept != 0 {
                image.set_platter(file, sector, versions[usize::from(kept)].clone());
            }
        }
        image
    }

    /// The [fingerprint](Image::fingerprint) of that image.
    pub(crate) fn fingerprint(&self, kept: &[u16]) -> u128 {
        let changes = self.dirty.iter().zip(kept).map(|(&((file, sector), ref versions), &kept)| {
            versions[0].digest(file, sector) ^ versions[usize::from(kept)].digest(file, sector)
        });
        changes.fold(self.base.digest, |digest, change| digest ^ change)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("files", &self.files)
            .field("dirty", &self.units())
            .finish_non_exhaustive()
    }
}
