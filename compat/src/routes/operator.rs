//! `/v1/operator/…`: the group, its autopilot, how much there is. The group has one member.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{Method, StatusCode};
use proconsul_anchors::acl::Act;
use proconsul_anchors::change::Change;
use proconsul_anchors::pairs::Pairs;
use proconsul_anchors::query::Query;
use proconsul_anchors::record::{AnyRecord, RecordChange, Setting, When};

use crate::blocking;
use crate::extract::body::read_json;
use crate::extract::{Ask, ReadOptions, Tenancy};
use crate::go::text::{parse_bool, parse_int, parse_uint};
use crate::reject::{Faults, OperatorFault, Reject};
use crate::reply::{Meta, Reply};
use crate::wire::decode::{Hint, body, body_into};
use crate::wire::operator::{
    Autopilot, AutopilotForm, AutopilotOut, KeyForm, RaftOut, RaftServerOut, ServerHealth, Usage,
    UsageOut,
};

/// The name of the setting that keeps the configuration of autopilot.
pub(crate) const AUTOPILOT: &str = "autopilot";

/// The options of a page that reads and does not wait.
fn options(ask: &Ask) -> Result<ReadOptions, Reject> {
    let options = ask.read_options()?;
    blocking::own_datacenter(&ask.site, &options)?;
    Ok(options)
}

/// `GET /v1/operator/raft/configuration`.
pub(crate) async fn raft_configuration(ask: Ask) -> Result<Reply, Reject> {
    options(&ask)?;
    ask.demand(Act::operator_read())?;
    let identity = &ask.site.settings.identity;
    let server = RaftServerOut {
        id: &identity.node_id,
        node: &identity.node,
        address: identity.server_address(),
        leader: ask.site.handle.has_leader(),
        protocol_version: "3",
        voter: true,
        last_index: ask.site.handle.snapshot().revision(),
    };
    Ok(Reply::json(&RaftOut { servers: [server], index: 0 }))
}

/// `POST /v1/operator/raft/transfer-leader`: there is nobody to transfer it to.
pub(crate) async fn transfer_leader(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Partition)?;
    ask.demand(Act::operator_write())?;
    let own = &*ask.site.settings.identity.node_id;
    Err(match ask.params.first("id") {
        "" => OperatorFault::NoPeer,
        id if id == own => OperatorFault::OwnServer,
        id => OperatorFault::NoSuchServer(id.to_owned()),
    }
    .into())
}

/// `DELETE /v1/operator/raft/peer`: the only member stays.
pub(crate) async fn remove_peer(ask: Ask) -> Result<Reply, Reject> {
    let identity = &ask.site.settings.identity;
    let (by, name, own) = match (ask.params.given("id"), ask.params.given("address")) {
        (None, None) => return Err(OperatorFault::PeerUnnamed.into()),
        (Some(_), Some(_)) => return Err(OperatorFault::PeerNamedTwice.into()),
        (Some(id), None) => ("id", id, *id == *identity.node_id),
        (None, Some(address)) => ("address", address, address == identity.server_address()),
    };
    ask.own_datacenter(ask.params.first("dc"))?;
    ask.demand(Act::operator_write())?;
    let unknown = OperatorFault::UnknownPeer { by, name: name.to_owned() };
    Err(if own { OperatorFault::LastVoter } else { unknown }.into())
}

/// `GET` and `PUT /v1/operator/autopilot/configuration`.
pub(crate) async fn autopilot_configuration(ask: Ask) -> Result<Reply, Reject> {
    if ask.method == Method::PUT {
        return set_autopilot(ask).await;
    }
    options(&ask)?;
    ask.demand(Act::operator_read())?;
    let index = ask.site.handle.snapshot();
    let row = index.record::<Setting>(AUTOPILOT);
    // What a later version keeps and this one cannot read counts as not set.
    let autopilot = row.and_then(|row| serde_json::from_str::<Autopilot>(&row.record.body).ok());
    Ok(Reply::json(&AutopilotOut {
        autopilot: autopilot.unwrap_or_default(),
        create_index: row.map_or(0, |row| row.created),
        modify_index: row.map_or(0, |row| row.modified),
    }))
}

async fn set_autopilot(mut ask: Ask) -> Result<Reply, Reject> {
    let fault = |error| Reject::from(OperatorFault::Autopilot(error));
    let text = read_json(ask.take_body(), ask.headers.content_length).await;
    let text = text.map_err(|reject| match reject {
        Reject::Decode(error) => fault(error),
        other => other,
    })?;
    let mut form = AutopilotForm::default();
    body_into(&mut form, &text, Hint::None).map_err(fault)?;
    let when = match ask.params.given("cas") {
        None => When::Always,
        Some(text) => When::Index(parse_uint(text).map_err(OperatorFault::Cas)?),
    };
    ask.own_datacenter(ask.params.first("dc"))?;
    ask.demand(Act::operator_write())?;
    let change = autopilot_change(&Autopilot::from(form), when);
    let committed = blocking::write(&ask.site, &ask.caller, change).await?;
    Ok(Reply::json(&committed.yes))
}

fn autopilot_change(autopilot: &Autopilot, when: When) -> Change {
    let body = serde_json::to_string(autopilot).expect("it has text keys only").into();
    let record = AnyRecord::Setting(Box::new(Setting { name: AUTOPILOT.into(), body }));
    Change::Records(vec![RecordChange::Put { record, when }])
}

/// `GET /v1/operator/autopilot/health`.
pub(crate) async fn autopilot_health(ask: Ask) -> Result<Reply, Reject> {
    autopilot(&ask, |server| {
        let reply = Reply::json(&server.health());
        if server.leads { reply } else { reply.status(StatusCode::TOO_MANY_REQUESTS) }
    })
}

/// `GET /v1/operator/autopilot/state`.
pub(crate) async fn autopilot_state(ask: Ask) -> Result<Reply, Reject> {
    autopilot(&ask, |server| Reply::json(&server.state()))
}

fn autopilot(ask: &Ask, form: impl Fn(&ServerHealth<'_>) -> Reply) -> Result<Reply, Reject> {
    options(ask)?;
    ask.demand(Act::operator_read())?;
    let (handle, identity) = (&ask.site.handle, &ask.site.settings.identity);
    let index = handle.snapshot();
    let node = index.node(&identity.node);
    let none = Pairs::default();
    let leads = handle.leads();
    Ok(form(&ServerHealth {
        id: &identity.node_id,
        name: &identity.node,
        address: identity.server_address(),
        version: &identity.version,
        leads: handle.has_leader(),
        term: leads.term,
        index: index.revision(),
        since: leads.since,
        meta: node.and_then(|row| row.node.meta.as_ref()).unwrap_or(&none),
    }))
}

/// `GET /v1/operator/usage`. Another datacenter's name changes nothing, as in Consul.
pub(crate) async fn usage(ask: Ask) -> Result<Reply, Reject> {
    ask.refuse_enterprise(Tenancy::Both)?;
    let options = ReadOptions { datacenter: String::new(), ..ask.read_options()? };
    ask.demand(Act::operator_read()).map_err(Reject::queried)?;
    let query = Query::Several(vec![Query::Nodes, Query::Services { by_node_meta: false }]);
    let answer = blocking::read(&ask.site, &ask.caller, &options, &query).await?;
    let meta = Meta::with_consistency(&answer, &options);
    let datacenter = &*ask.site.settings.identity.datacenter;
    let form = UsageOut {
        usage: BTreeMap::from([(datacenter, Usage::of(&answer.at))]),
        index: meta.index.max(1),
        last_contact: 0,
        known_leader: meta.known_leader,
        consistency_level: options.consistency.as_str(),
        not_modified: false,
        backend: 0,
        filtered: false,
    };
    Ok(Reply::json(&form).meta(meta))
}

/// `/v1/operator/keyring`: nothing gossips here, so that there are no keys, which is what Consul says while gossip is
/// not encrypted.
pub(crate) async fn keyring(mut ask: Ask) -> Result<Reply, Reject> {
    const READ: &str = "Keyring is empty (encryption not enabled)";
    const WRITE: &str = "No keyring to modify (encryption not enabled)";
    let reads = ask.method == Method::GET;
    let mut form = KeyForm::default();
    if !reads {
        let text = read_json(ask.take_body(), ask.headers.content_length).await?;
        form = body(&text, Hint::None)?;
    }
    check_relay_factor(ask.params.first("relay-factor"))?;
    let local = local_only(ask.params.first("local-only"), reads)?;
    ask.demand(if reads { Act::keyring_read() } else { Act::keyring_write() })?;
    if !reads && let Err(error) = BASE64.decode(&form.key) {
        return Err(bad_key(&ask, &error));
    }
    let identity = &ask.site.settings.identity;
    let told = if reads { READ } else { WRITE };
    let pool = |pool: &str, member: String| {
        [format!("{pool} error: 1/1 nodes reported failure"), format!("{member}: {told}")]
    };
    let wan = pool("WAN", format!("{}.{}", identity.node, identity.datacenter));
    let lan = pool(&format!("{} (LAN)", identity.datacenter), identity.node.to_string());
    let wan = wan.into_iter().filter(|_| !local);
    Err(OperatorFault::Keyring(Faults(wan.chain(lan).collect())).into())
}

/// Go tells where a text ceases to be base64.
fn bad_key(ask: &Ask, error: &base64::DecodeError) -> Reject {
    let at = match error {
        base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => {
            *at
        }
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => 0,
    };
    let datacenter = &ask.site.settings.identity.datacenter;
    let fault = |pool: &str| format!("{pool} error: illegal base64 data at input byte {at}");
    OperatorFault::Keyring(Faults(vec![fault("WAN"), fault(&format!("{datacenter} (LAN)"))])).into()
}

fn check_relay_factor(text: &str) -> Result<(), Reject> {
    if text.is_empty() {
        return Ok(());
    }
    match parse_int(text) {
        Some(0..=5) => Ok(()),
        Some(_) => Err(OperatorFault::RelayFactorRange.into()),
        None => Err(OperatorFault::RelayFactor(text.to_owned()).into()),
    }
}

fn local_only(text: &str, reads: bool) -> Result<bool, Reject> {
    if text.is_empty() {
        return Ok(false);
    }
    let local = parse_bool(text).ok_or_else(|| OperatorFault::LocalOnly(text.to_owned()))?;
    if local && !reads { Err(OperatorFault::LocalOnlyWrite.into()) } else { Ok(local) }
}
