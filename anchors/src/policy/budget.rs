//! What an evaluation may cost: steps, depth of the stack, and time where the rim hands in a watch.
//!
//! The interpreter asks its time source at every step. Ours tells no time: it counts, and when something is used up it tells
//! the end of all time, so that the interpreter stops. Steps and depth are the same on every machine; the watch is a net for
//! what a single step may cost.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::sync::Once;
use std::time::Duration;

use regorus::Engine;
use regorus::utils::limits::{ExecutionTimerConfig, TimeSource, set_time_source};

/// Tells the time since some moment. Only differences count.
pub type Stopwatch = fn() -> Duration;

/// Steps of one evaluation. The ready rules take some hundreds.
pub(super) const STEPS_MAX: u32 = 20_000;

/// How deep one evaluation may go below whoever asked, in bytes of the stack: an asker's thread has two megabytes.
const STACK_BYTES_MAX: usize = if cfg!(debug_assertions) { 1 << 20 } else { 512 << 10 };

/// How long one evaluation may take, by the rim's watch.
pub(super) const TIME_MAX: Duration = Duration::from_millis(100);

/// What is left to the evaluation that this thread runs.
#[derive(Clone, Copy)]
struct Budget {
    steps: u32,
    /// An address of the stack frame that asked.
    top: usize,
    until: Option<(Stopwatch, Duration)>,
}

thread_local! {
    static BUDGET: Cell<Option<Budget>> = const { Cell::new(None) };
}

struct Meter;

/// Has an engine stop when its evaluation costs too much.
pub(super) fn bind(engine: &mut Engine) {
    static INSTALLED: Once = Once::new();
    // Fails only when it was installed before, which `Once` rules out.
    INSTALLED.call_once(|| {
        let _ = set_time_source(&Meter);
    });
    let limit = Duration::from_secs(1);
    engine.set_execution_timer_config(ExecutionTimerConfig {
        limit,
        check_interval: NonZeroU32::MIN,
    });
}

/// Runs an evaluation within the bounds.
pub(super) fn within<T>(stopwatch: Option<Stopwatch>, evaluate: impl FnOnce() -> T) -> T {
    let until = stopwatch.map(|watch| (watch, watch() + TIME_MAX));
    BUDGET.set(Some(Budget { steps: STEPS_MAX, top: here(), until }));
    let result = evaluate();
    BUDGET.set(None);
    result
}

/// Takes steps for what one call does at once.
pub(super) fn spend(steps: usize) -> anyhow::Result<()> {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    let Some(budget) = BUDGET.get() else { return Ok(()) };
    let left = budget.steps.saturating_sub(steps);
    BUDGET.set(Some(Budget { steps: left, ..budget }));
    anyhow::ensure!(left > 0, "the evaluation takes more than {STEPS_MAX} steps");
    Ok(())
}

fn here() -> usize {
    let local = 0_u8;
    std::ptr::from_ref(&local).addr()
}

// === impl TimeSource ===

impl TimeSource for Meter {
    fn now(&self) -> Option<Duration> {
        let Some(mut budget) = BUDGET.get() else { return Some(Duration::ZERO) };
        budget.steps = budget.steps.saturating_sub(1);
        BUDGET.set(Some(budget));
        let is_over = budget.steps == 0
            || budget.top.abs_diff(here()) > STACK_BYTES_MAX
            || budget.until.is_some_and(|(watch, until)| watch() > until);
        Some(if is_over { Duration::MAX } else { Duration::ZERO })
    }
}
