//! The promises of crash-sim, one file each.

mod machine; // what the machine executed is recorded, and nothing else changes
