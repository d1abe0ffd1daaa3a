//! SIGKILL to a real process.
use rio::{Medium, Region};
/// A region whose process may be killed at a counted moment.
pub(crate) struct Victim {
    region: Region,
}
impl Victim {
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }
    pub(crate) fn flush(&self, offset: u64, len: u64) {
        self.count();
        self.region.flush(offset, len)
    }
    pub(crate) fn fence(&self) {
        self.count();
        self.region.fence()
    }
    pub(crate) fn grow(&mut self, len: u64) -> Result<(), rio::Error> {
        self.count();
        Medium::grow(&mut self.region, len)
    }
    pub(crate) fn guard(&mut self, offset: u64, len: u64) -> Result<(), rio::Error> {
        Medium::guard(&mut self.region, offset, len)
    }
    pub(crate) fn count(&self) {}
    pub(crate) fn close(self) -> Result<(), rio::Error> {
        self.region.close()
    }
}
