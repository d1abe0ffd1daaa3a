//! Any bytes in header and tables end in `Ok` or `Err`, in bounded time.
