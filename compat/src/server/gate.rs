//! How many requests are answered (`limits.request_limits`). Told the time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use http::Method;
use tracing::debug;

use crate::reject::Reject;
use crate::settings::{LimitMode, RequestLimits};

/// So many seconds' worth may come at once (Consul's own factor).
const BURST_SECONDS: u32 = 10;

/// Pages whose requests nobody counts: they ask no server for state, or are how a server in need is looked after.
const EXEMPT: &[&str] = &["/v1/agent/", "/v1/operator/", "/v1/snapshot", "/v1/status/"];
/// Pages that read although their method writes.
const READS: &[&str] = &["/v1/acl/bootstrap", "/v1/discovery-chain/", "/v1/internal/acl/authorize"];

/// Who is let through.
pub(crate) struct Gate {
    limits: RequestLimits,
    told: Told,
    reads: Bucket,
    writes: Bucket,
}

/// The time since some moment, as whoever comes last tells it.
#[derive(Clone, Debug, Default)]
struct Told(Arc<AtomicU64>);

/// What is left of a rate.
enum Bucket {
    /// There is no bound.
    Endless,
    /// Nobody is let through.
    Empty,
    Counted(Box<RateLimiter<NotKeyed, InMemoryState, Told, NoOpMiddleware<Nanos>>>),
}

/// What a request is counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Exempt,
    Read,
    Write,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(limits: RequestLimits) -> Self {
        let told = Told::default();
        let bucket = |rate| Bucket::of(rate, &told);
        Self { limits, reads: bucket(limits.read_rate), writes: bucket(limits.write_rate), told }
    }

    /// The gate to go on with under these limits: what was counted stays, unless they are others.
    pub(super) fn is_of(&self, limits: RequestLimits) -> bool {
        self.limits == limits
    }

    /// Whether a request to a route may be answered now, this long after the start.
    ///
    /// # Errors
    /// The refusal that the client is told.
    pub(crate) fn admit(
        &self,
        route: &'static str,
        method: &Method,
        now: Duration,
    ) -> Result<(), Reject> {
        if self.limits.mode == LimitMode::Disabled {
            return Ok(());
        }
        let (bucket, refusal) = match Class::of(route, method) {
            Class::Exempt => return Ok(()),
            Class::Read => (&self.reads, Reject::RetryElsewhere),
            Class::Write => (&self.writes, Reject::RetryLater),
        };
        self.told.hear(now);
        if bucket.take() {
            return Ok(());
        }
        let enforced = self.limits.mode == LimitMode::Enforcing;
        debug!(route, enforced, "a request exceeds the rate limit");
        metrics::counter!("consul.rpc.rate_limit.exceeded", "op" => route).increment(1);
        if enforced { Err(refusal) } else { Ok(()) }
    }
}

// === impl Told ===

impl Told {
    /// Time does not go back, whoever is late to tell it.
    fn hear(&self, now: Duration) {
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanos, Ordering::Relaxed);
    }
}

impl Clock for Told {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.load(Ordering::Relaxed))
    }
}

// === impl Bucket ===

impl Bucket {
    fn of(rate: Option<f64>, told: &Told) -> Self {
        let Some(rate) = rate else { return Self::Endless };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "Consul cuts the fraction off too, and a cast stays within its bounds"
        )]
        let burst = NonZeroU32::new((rate as u32).saturating_mul(BURST_SECONDS));
        // Below one a second nothing may come at once: nothing ever does.
        let Some(burst) = burst else { return Self::Empty };
        let Some(quota) = Quota::with_period(Duration::from_secs_f64(rate.recip())) else {
            return Self::Endless;
        };
        Self::Counted(Box::new(RateLimiter::direct_with_clock(
            quota.allow_burst(burst),
            told.clone(),
        )))
    }

    fn take(&self) -> bool {
        match self {
            Self::Endless => true,
            Self::Empty => false,
            Self::Counted(limiter) => limiter.check().is_ok(),
        }
    }
}

// === impl Class ===

impl Class {
    fn of(route: &str, method: &Method) -> Self {
        let is_one = |prefixes: &[&str]| prefixes.iter().any(|prefix| route.starts_with(prefix));
        if is_one(EXEMPT) {
            Self::Exempt
        } else if matches!(*method, Method::GET | Method::HEAD) || is_one(READS) {
            Self::Read
        } else {
            Self::Write
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(mode: LimitMode, read_rate: f64, write_rate: f64) -> Gate {
        let (read_rate, write_rate) = (Some(read_rate), Some(write_rate));
        Gate::new(RequestLimits { mode, read_rate, write_rate })
    }

    /// How many of so many requests at one moment are let through.
    fn passed(gate: &Gate, route: &'static str, method: &Method, of: u32, second: u64) -> usize {
        let now = Duration::from_secs(second);
        (0..of).filter(|_| gate.admit(route, method, now).is_ok()).count()
    }

    #[test]
    fn ten_seconds_worth_may_come_at_once() {
        let gate = gate(LimitMode::Enforcing, 1.0, 2.0);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::PUT, 30, 1), 20);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::GET, 30, 1), 10);
        // Three seconds later there is room for as many as come in them.
        assert_eq!(passed(&gate, "/v1/txn", &Method::PUT, 30, 4), 6);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::GET, 30, 4), 3);
        assert_eq!(passed(&gate, "/v1/agent/self", &Method::GET, 30, 4), 30);
        let told = |method| gate.admit("/v1/kv/", &method, Duration::from_secs(4)).unwrap_err();
        assert_eq!(told(Method::GET).status(), 429);
        assert_eq!(told(Method::PUT).status(), 503);
    }

    #[test]
    fn a_rate_below_one_lets_nothing_through() {
        let gate = gate(LimitMode::Enforcing, 0.5, 0.0);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::GET, 5, 100), 0);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::DELETE, 5, 100), 0);
    }

    #[test]
    fn who_does_not_enforce_refuses_nobody() {
        for mode in [LimitMode::Disabled, LimitMode::Permissive] {
            assert_eq!(passed(&gate(mode, 0.0, 0.0), "/v1/kv/", &Method::PUT, 5, 1), 5);
        }
    }

    #[test]
    fn requests_are_counted_as_what_they_do() {
        let cases = [
            ("/v1/agent/service/register", Method::PUT, Class::Exempt),
            ("/v1/status/leader", Method::GET, Class::Exempt),
            ("/v1/health/service/", Method::GET, Class::Read),
            ("/v1/discovery-chain/", Method::POST, Class::Read),
            ("/v1/catalog/register", Method::PUT, Class::Write),
            ("/v1/kv/", Method::DELETE, Class::Write),
        ];
        for (route, method, class) in cases {
            assert_eq!(Class::of(route, &method), class, "{route}");
        }
    }
}
