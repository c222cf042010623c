//! `/debug/pprof/…`: where the time goes, for `go tool pprof` and people.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use proconsul_anchors::acl::Act;

use crate::control::Profile;
use crate::extract::Ask;
use crate::reject::{OperatorFault, Reject};
use crate::reply::{Reply, TEXT_UTF8};

const NO_SNIFF: (HeaderName, HeaderValue) =
    (http::header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
const DISPOSITION: HeaderName = http::header::CONTENT_DISPOSITION;
/// By it `go tool pprof` knows that a text tells what is wrong.
const GO_PPROF: HeaderName = HeaderName::from_static("x-go-pprof");
const UNKNOWN: &str = "Unknown profile\n";
const OCTETS: &str = "application/octet-stream";
const HTML: &str = "text/html; charset=utf-8";

/// A processor's profile that does not say how long is as long as Go's.
const SECONDS_DEFAULT: f64 = 30.0;
/// No profile takes longer.
const SECONDS_MAX: f64 = 600.0;

/// `/debug/pprof/` and what is below it.
pub(crate) async fn pprof(ask: Ask) -> Result<Reply, Reject> {
    let authority = ask.authority();
    match authority {
        Ok(authority) if authority.is_open() && !ask.site.settings.debug => {
            return Ok(Reply::absent());
        }
        Ok(authority) if authority.allows(Act::operator_read()) => {}
        _ => return Ok(Reply::plain("", TEXT_UTF8).status(StatusCode::FORBIDDEN)),
    }
    let reply = match ask.rest() {
        "" => Reply::plain(INDEX, HTML),
        "cmdline" => Reply::plain(ask.site.control.command_line(), TEXT_UTF8),
        "symbol" => Reply::plain("num_symbols: 1\n", TEXT_UTF8),
        "profile" => file("profile", taken(&ask, Profile::Processor(seconds(&ask))).await?),
        "heap" => file("heap", taken(&ask, Profile::Heap).await?),
        "allocs" => file("allocs", taken(&ask, Profile::Heap).await?),
        name @ ("goroutine" | "threadcreate") => match ask.params.first("debug") {
            "" | "0" => file(name, taken(&ask, Profile::Threads).await?),
            _ => Reply::plain(taken(&ask, Profile::ThreadsText).await?, TEXT_UTF8),
        },
        name @ ("trace" | "block" | "mutex") => return Err(foreign(name)),
        _ => Reply::plain(UNKNOWN, TEXT_UTF8)
            .status(StatusCode::NOT_FOUND)
            .header(GO_PPROF, HeaderValue::from_static("1")),
    };
    Ok(reply.header(NO_SNIFF.0, NO_SNIFF.1))
}

async fn taken(ask: &Ask, profile: Profile) -> Result<Vec<u8>, Reject> {
    let profile = ask.site.control.profile(profile).await;
    profile.map_err(|text| OperatorFault::Profile(text).into())
}

fn file(name: &str, profile: Vec<u8>) -> Reply {
    let named = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    Reply::plain(profile, OCTETS).header(DISPOSITION, named.expect("a name without quotes"))
}

/// As Go does, whatever is no number above 0 counts as not given.
fn seconds(ask: &Ask) -> Duration {
    let asked: f64 = ask.params.first("seconds").parse().unwrap_or(0.0);
    let seconds = if asked > 0.0 { asked } else { SECONDS_DEFAULT };
    Duration::from_secs_f64(seconds.min(SECONDS_MAX))
}

fn foreign(name: &str) -> Reject {
    OperatorFault::NoSuchProfile(name.to_owned()).into()
}

/// What there is, for people.
const INDEX: &str = "<html><head><title>/debug/pprof/</title></head><body>\n<p>Profiles of this program:</p>\n<ul>\n\
<li><a href=\"profile?seconds=10\">profile</a>: where the processors are, over some seconds</li>\n\
<li><a href=\"heap\">heap</a>: who holds memory</li>\n\
<li><a href=\"goroutine?debug=1\">goroutine</a>: its threads (for pprof without <code>debug</code>)</li>\n\
<li><a href=\"cmdline\">cmdline</a>: how it was started</li>\n</ul>\n</body></html>\n";
