//! That the harness measures what it says: all engines do the same work, and the counters count.

#![deny(unsafe_code)]

mod engines; // every engine ends in the model's state
mod counts; // fences, lines, allocations
mod others; // opening and fragmentation

use std::path::Path;

use benches::allocations::CountingAllocator;
use benches::files::Files;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn files() -> Files {
    let memory = Path::new("/dev/shm");
    Files::new(if memory.is_dir() { memory } else { Path::new("/tmp") }).unwrap()
}
