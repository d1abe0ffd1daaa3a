//! What can go wrong with a queue.

/// An error of the queue. Nothing has changed when one is returned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The segment's.
    #[error(transparent)]
    Vista(#[from] vista::Error),
    /// The jobs take what the length of the file allows for.
    #[error("the queue is full: its jobs count for {held_bytes} bytes of {limit}")]
    Full {
        /// What they count for.
        held_bytes: u64,
        /// What they may.
        limit: u64,
    },
    /// There is no job of this number: there never was, or it is acknowledged.
    #[error("job {id}: there is none, or it is acknowledged")]
    NoJob {
        /// The number.
        id: u64,
    },
    /// The job is not leased: it waits, or is dead.
    #[error("job {id}: it is not leased")]
    NotLeased {
        /// The number.
        id: u64,
    },
    /// The lease ran out, and somebody else has the job now.
    #[error("job {id}: attempt {attempt} has ended, the job is in attempt {current}")]
    OtherAttempt {
        /// The number.
        id: u64,
        /// The attempt that was named.
        attempt: u32,
        /// The one that is under way.
        current: u32,
    },
    /// The job is no dead letter.
    #[error("job {id}: it is not among the dead")]
    NotDead {
        /// The number.
        id: u64,
    },
    /// The system's, with what was done.
    #[error("{what}: {source}")]
    System {
        /// What was done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// The result of what can fail in a queue.
pub type Result<T, E = Error> = std::result::Result<T, E>;
