//! Waiting for a fact by asking for it.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Between two questions: short beside any start of a program, long beside the cost of asking.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks until there is an answer or `limit` has passed.
///
/// # Errors
/// The name of what was waited for, and how long.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Option<T>,
) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = ask() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(format!("waited {limit:?} in vain for {what}"));
        }
        thread::sleep(PAUSE);
    }
}
