//! The subject at opt-level 3, as the profile of the workspace has it.

#[path = "../../subject.rs"]
mod subject;

pub use subject::campaign;
