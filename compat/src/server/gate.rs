//! How many requests are answered (`limits.request_limits`, `limits.rpc_rate`). Told the time.

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

/// A rate is no slower than makes this time for a whole burst: a century or two.
const BURST_TIME_MAX_SECS: f64 = 5e9;

/// Pages whose requests nobody counts: they ask no server for state …
const OWN: &str = "/v1/agent/";
/// … and pages that are neither reads nor writes: how a server in need is looked after.
const EXEMPT: &[&str] = &["/v1/operator/", "/v1/snapshot", "/v1/status/"];
/// Pages that read although their method writes.
const READS: &[&str] = &["/v1/acl/bootstrap", "/v1/discovery-chain/", "/v1/internal/acl/authorize"];

/// Who is let through.
pub(crate) struct Gate {
    limits: RequestLimits,
    told: Told,
    calls: Bucket,
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
    Own,
    Exempt,
    Read,
    Write,
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(limits: RequestLimits) -> Self {
        let told = Told::default();
        let bucket = |rate: Option<f64>| Bucket::of(rate, rate.map_or(0, burst), &told);
        Self {
            limits,
            calls: Bucket::of(limits.rpc_rate, limits.rpc_burst_max, &told),
            reads: bucket(limits.read_rate),
            writes: bucket(limits.write_rate),
            told,
        }
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
        if self.limits.mode == LimitMode::Disabled && self.limits.rpc_rate.is_none() {
            return Ok(());
        }
        let class = Class::of(route, method);
        self.told.hear(now);
        if class != Class::Own && !self.calls.take() {
            return Err(Reject::RpcRate);
        }
        let (bucket, refusal) = match class {
            _ if self.limits.mode == LimitMode::Disabled => return Ok(()),
            Class::Own | Class::Exempt => return Ok(()),
            Class::Read => (&self.reads, Reject::RetryElsewhere),
            Class::Write => (&self.writes, Reject::RetryLater),
        };
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
    fn of(rate: Option<f64>, burst: u32, told: &Told) -> Self {
        let Some(rate) = rate else { return Self::Endless };
        // Where nothing may come at once, nothing ever does.
        let Some(burst) = NonZeroU32::new(burst) else { return Self::Empty };
        let slowest = BURST_TIME_MAX_SECS / f64::from(burst.get());
        let period = Duration::from_secs_f64(rate.recip().min(slowest));
        let Some(quota) = Quota::with_period(period) else { return Self::Endless };
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

/// How many of a rate may come at once.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Consul cuts the fraction off too, and a cast stays within its bounds"
)]
fn burst(rate: f64) -> u32 {
    (rate as u32).saturating_mul(BURST_SECONDS)
}

// === impl Class ===

impl Class {
    fn of(route: &str, method: &Method) -> Self {
        let is_one = |prefixes: &[&str]| prefixes.iter().any(|prefix| route.starts_with(prefix));
        if route.starts_with(OWN) {
            Self::Own
        } else if is_one(EXEMPT) {
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
        Gate::new(RequestLimits { mode, read_rate, write_rate, ..RequestLimits::default() })
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
    fn calls_of_the_servers_are_counted_whatever_they_do() {
        let of = |rate, burst| {
            Gate::new(RequestLimits {
                rpc_rate: Some(rate),
                rpc_burst_max: burst,
                ..RequestLimits::default()
            })
        };
        let gate = of(1.0, 5);
        assert_eq!(passed(&gate, "/v1/status/leader", &Method::GET, 3, 1), 3);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::PUT, 9, 1), 2);
        assert_eq!(passed(&gate, "/v1/agent/self", &Method::GET, 9, 1), 9);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::GET, 9, 3), 2);
        // What does not come back: a burst, and no more.
        let gate = of(0.0, u32::MAX);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::GET, 9, 1), 9);
        let gate = of(0.0, 2);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::GET, 9, 1), 2);
        assert_eq!(passed(&gate, "/v1/kv/", &Method::GET, 9, 9_000), 0);
        let told = gate.admit("/v1/kv/", &Method::GET, Duration::from_secs(1)).unwrap_err();
        assert_eq!(
            (told.status().as_u16(), told.to_string().as_str()),
            (429, "RPC rate limit exceeded")
        );
    }

    #[test]
    fn requests_are_counted_as_what_they_do() {
        let cases = [
            ("/v1/agent/service/register", Method::PUT, Class::Own),
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
