//! What writes a record again as it was.

use proconsul_anchors::acl::Act;
use proconsul_anchors::change::{Change, KvChange, PutWhen, Registration};
use proconsul_anchors::lineage::body::Body;
use proconsul_anchors::record::{AnyRecord, RecordChange, When};
use proconsul_anchors::scope::ScopePath;
use proconsul_anchors::service::Node;

use crate::extract::Ask;
use crate::reject::{LineageFault, Reject};

/// The write, as its own page would make it.
pub(super) fn change(ask: &Ask, body: &Body, scope: &ScopePath) -> Result<Change, Reject> {
    Ok(match body {
        Body::Key { key, value, flags } => {
            let (key, value, flags) = (key.clone(), value.clone(), *flags);
            let scope = beside_root(ask, scope);
            Change::Kv(KvChange::Put { key, value, flags, when: PutWhen::Always, scope })
        }
        Body::Node(node) => {
            let registration = Registration { node: (**node).clone(), ..Registration::default() };
            Change::Register(Box::new(registration))
        }
        Body::Service { node, service } => {
            let service = Some((**service).clone());
            let scope = beside_root(ask, scope);
            on_node(ask, node, Registration { service, scope, ..Registration::default() })?
        }
        Body::Check { node, check } => {
            let checks = vec![(**check).clone()];
            on_node(ask, node, Registration { checks, ..Registration::default() })?
        }
        Body::Record(record) => {
            ask.demand(may_roll_back(record)?)?;
            let change = RecordChange::Put { record: record.clone(), when: When::Always };
            Change::Records(vec![change])
        }
        Body::Session(_) => return Err(LineageFault::NoRollback("a session").into()),
    })
}

fn beside_root(ask: &Ask, scope: &ScopePath) -> Option<ScopePath> {
    (*scope != ask.site.handle.root()).then(|| scope.clone())
}

/// The node stays as it is now.
fn on_node(ask: &Ask, node: &str, registration: Registration) -> Result<Change, Reject> {
    let index = ask.site.handle.snapshot();
    let Some(row) = index.node(node) else {
        return Err(
            LineageFault::NoRollback("what was on a node that is not there any more").into()
        );
    };
    let node = Node::clone(&row.node);
    let registration = Registration { node, skip_node_update: true, ..registration };
    Ok(Change::Register(Box::new(registration)))
}

/// Who may write a record again. What has secrets, or numbers that only its own page knows, is not written again.
fn may_roll_back(record: &AnyRecord) -> Result<Act<'static>, LineageFault> {
    match record {
        AnyRecord::ConfigEntry(_)
        | AnyRecord::Scope(_)
        | AnyRecord::ScopePolicy(_)
        | AnyRecord::Alias(_) => Ok(Act::operator_write()),
        AnyRecord::Policy(_) | AnyRecord::Role(_) | AnyRecord::BindingRule(_) => {
            Ok(Act::acl_write())
        }
        AnyRecord::Token(_) => Err(LineageFault::NoRollback("a token")),
        AnyRecord::AuthMethod(_) => Err(LineageFault::NoRollback("an auth method")),
        AnyRecord::PreparedQuery(_) => Err(LineageFault::NoRollback("a prepared query")),
        AnyRecord::Coordinate(_) => Err(LineageFault::NoRollback("a coordinate")),
        AnyRecord::CaRoot(_) => Err(LineageFault::NoRollback("a root of the mesh")),
        AnyRecord::Setting(_) => Err(LineageFault::NoRollback("a setting")),
        AnyRecord::VirtualIp(_) => Err(LineageFault::NoRollback("a virtual address")),
        AnyRecord::Credential(_) => Err(LineageFault::NoRollback("a credential")),
        AnyRecord::Adjacency(_) => Err(LineageFault::NoRollback("an adjacency")),
    }
}
