//! That the harness measures what it says: all engines do the same work, and the counters count.

#![deny(unsafe_code)]

mod engines; // every engine ends in the model's state
mod records; // every workload on every store behind the seam
mod collections; // collections side by side
mod survive; // who keeps what it has acknowledged
mod counts; // fences, lines, allocations, system calls
mod others; // opening, recovery and fragmentation
mod reports; // what is made of the figures

use std::path::{Path, PathBuf};

use benches::allocations::CountingAllocator;
use benches::files::Files;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Memory if there is a place for it, else where temporary files go.
fn dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

fn files() -> Files {
    Files::new(&dir()).unwrap()
}
