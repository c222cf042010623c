//! `/v1/agent/…`: the process itself, its members and its numbers.

use proconsul_anchors::acl::Act;
use serde_json::value::RawValue;

use crate::extract::{Ask, Tenancy};
use crate::filter::{Filter, MEMBER};
use crate::reject::Reject;
use crate::reply::Reply;
use crate::wire::process::{CoordOut, MemberOut, SelfOut, VersionOut};

/// `GET /v1/agent/self`.
pub(crate) async fn itself(ask: Ask) -> Result<Reply, Reject> {
    ask.demand_agent_read()?;
    let identity = &ask.site.settings.identity;
    let debug_config: &RawValue =
        serde_json::from_str(&identity.debug_config).map_err(|_| Reject::DebugConfig)?;
    Ok(Reply::json(&SelfOut {
        config: identity.into(),
        debug_config,
        coord: CoordOut::ORIGIN,
        member: MemberOut::lan(identity),
        stats: ask.site.control.stats(),
        meta: identity.into(),
    }))
}

/// `GET /v1/agent/version`.
pub(crate) async fn version(ask: Ask) -> Result<Reply, Reject> {
    Ok(Reply::json(&VersionOut::from(&ask.site.settings.identity)))
}

/// `GET /v1/agent/host`.
pub(crate) async fn host(ask: Ask) -> Result<Reply, Reject> {
    ask.demand(Act::operator_read())?;
    Ok(Reply::encoded(ask.site.control.host_json().into()))
}

/// `GET /v1/agent/members`.
pub(crate) async fn members(ask: Ask) -> Result<Reply, Reject> {
    const ALL_SEGMENTS: &str = "_all";
    let wan = !ask.params.first("wan").is_empty();
    let named_segment = !matches!(ask.params.first("segment"), "" | ALL_SEGMENTS);
    if wan && named_segment {
        return Err(Reject::SegmentOfWan);
    }
    ask.refuse_enterprise(Tenancy::Partition)?;
    if named_segment {
        return Err(Reject::Segments);
    }
    let identity = &ask.site.settings.identity;
    let member = if wan { MemberOut::wan(identity) } else { MemberOut::lan(identity) };
    let seen = ask.authority()?.allows(Act::node_read(&identity.node));
    let mut members = if seen { vec![member] } else { Vec::new() };
    let expression = ask.params.first("filter");
    if !expression.is_empty() {
        let filter = Filter::compile(expression, &MEMBER).map_err(Reject::Filter)?;
        if let Some(member) = members.first() {
            let value = serde_json::to_value(member).expect("our forms have text keys only");
            if !filter.matches(&value).map_err(Reject::Filter)? {
                members.clear();
            }
        }
    }
    Ok(Reply::json(&members).filtered(&ask.caller, !seen))
}

/// `GET /v1/agent/metrics`.
pub(crate) async fn metrics(ask: Ask) -> Result<Reply, Reject> {
    const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
    ask.demand_agent_read()?;
    if !wants_prometheus(&ask) {
        return Ok(Reply::encoded(ask.site.control.metrics_json().into()));
    }
    if !ask.site.settings.prometheus {
        let reason = "Prometheus is not enabled since its retention time is not positive";
        return Ok(Reply::nothing().reason(reason));
    }
    Ok(Reply::plain(ask.site.control.metrics_prometheus(), PROMETHEUS))
}

fn wants_prometheus(ask: &Ask) -> bool {
    let accepted = ask.headers.accept.as_deref().unwrap_or("");
    let open_metrics = accepted.contains("application/openmetrics-text");
    let old_text = accepted.contains("text/plain") && accepted.contains("version=0.4.0");
    ask.params.first("format") == "prometheus" || open_metrics || old_text
}

/// `GET /v1/agent/metrics/stream`.
pub(crate) async fn metrics_stream(ask: Ask) -> Result<Reply, Reject> {
    ask.demand_agent_read()?;
    Ok(Reply::stream(ask.site.control.metrics_stream(), None))
}

/// `GET /v1/agent/monitor`.
pub(crate) async fn monitor(ask: Ask) -> Result<Reply, Reject> {
    const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARN", "ERR", "ERROR"];
    const DEFAULT: &str = "INFO";
    ask.demand_agent_read()?;
    let level = ask.params.first("loglevel");
    let level = if level.is_empty() { DEFAULT } else { level };
    if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
        return Err(Reject::LogLevel(level.to_owned()));
    }
    let lines = ask.site.control.monitor(level, ask.params.has("logjson"));
    Ok(Reply::stream(lines, None))
}

/// `PUT /v1/agent/reload`.
pub(crate) async fn reload(ask: Ask) -> Result<Reply, Reject> {
    ask.demand_agent_write()?;
    ask.site.control.reload().await.map_err(Reject::Reload)?;
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/leave`.
pub(crate) async fn leave(ask: Ask) -> Result<Reply, Reject> {
    ask.demand_agent_write()?;
    ask.site.control.leave();
    Ok(Reply::nothing())
}

/// `PUT /v1/agent/join/<address>`: a member may always join itself, and there is no other yet.
pub(crate) async fn join(ask: Ask) -> Result<Reply, Reject> {
    ask.demand_agent_write()?;
    ask.refuse_enterprise(Tenancy::Partition)?;
    let identity = &ask.site.settings.identity;
    let (host, port) = ask.rest().rsplit_once(':').unwrap_or((ask.rest(), ""));
    let own_port = port.is_empty() || port.parse() == Ok(identity.serf_lan_port);
    if own_port && host == &*identity.advertise {
        return Ok(Reply::nothing());
    }
    Err(Reject::NotBuilt { method: ask.method, route: "/v1/agent/join/" })
}

/// `PUT /v1/agent/force-leave/<node>`: a member that is alive stays, and there is no other.
pub(crate) async fn force_leave(ask: Ask) -> Result<Reply, Reject> {
    ask.demand(Act::operator_write())?;
    ask.refuse_enterprise(Tenancy::Partition)?;
    let (asked, own) = (ask.rest(), &*ask.site.settings.identity.node);
    if asked == own { Ok(Reply::nothing()) } else { Err(Reject::UnknownMember(asked.to_owned())) }
}
