//! The derive macro behind `vista::Persistent`.
