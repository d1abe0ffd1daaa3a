//! x
use crate::report::Report;
/// x
pub fn all(_: &Report) -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
    Ok(vec![])
}
