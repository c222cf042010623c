//! `/v1/txn`: several operations as one.

use http::StatusCode;
use proconsul_anchors::acl::vet::vet_op;
use proconsul_anchors::acl::{Act, Authority};
use proconsul_anchors::change::Change;
use proconsul_anchors::error::{Misfit, Refusal, TxnFault};
use proconsul_anchors::txn::{CheckOp, KeyOp, KeyVerb, NodeOp, ServiceOp, TxnOp, TxnResult, Verb};

use crate::acl::uuid;
use crate::blocking;
use crate::extract::body::{self, TooLong};
use crate::extract::{Ask, Consistency};
use crate::go::print::json;
use crate::limits::TXN_OPS_MAX;
use crate::reject::Reject;
use crate::reject::discovery::{DiscoveryFault, NO_KEY, misfit, unknown_verb};
use crate::reply::Reply;
use crate::routes::catalog::check_service;
use crate::wire::decode::{Hint, body};
use crate::wire::txn::{
    CheckOpForm, ErrorOut, KeyOpForm, NodeOpForm, OpForm, OpForms, QueryMetaOut, ResultOut,
    ServiceOpForm, TxnOut,
};

/// What becomes of an operation before anything is carried out.
type Checked = Result<TxnOp, String>;

/// `PUT /v1/txn`.
pub(crate) async fn apply(mut ask: Ask) -> Result<Reply, Reject> {
    let forms = forms(&mut ask).await?;
    let writes = forms.iter().any(writes);
    let consistency = if writes { Consistency::Leader } else { ask.read_options()?.consistency };
    ask.own_datacenter(ask.datacenter())?;
    if consistency != Consistency::Stale {
        blocking::await_leader(&ask.site).await?;
    }
    let authority = ask.authority()?;
    let check = Check { ask: &ask, authority: &authority };
    let ops = match check.all(forms) {
        Ok(ops) => ops,
        Err(errors) => {
            let read = (!writes).then(QueryMetaOut::default);
            let reply = conflict(errors, read);
            return Ok(if writes { reply } else { reply.leader(false) });
        }
    };
    if writes { write(&ask, &authority, ops).await } else { Ok(read(&ask, &authority, &ops)) }
}

async fn forms(ask: &mut Ask) -> Result<Vec<OpForm>, Reject> {
    let settings = &ask.site.settings;
    let (value_max, max) = (settings.kv_value_bytes_max, settings.txn_bytes_max);
    let max = max.max(value_max);
    let length = ask.headers.content_length;
    let text = body::read(ask.body.take(), length, max, |too_long| match too_long {
        TooLong::Announced(length) => DiscoveryFault::TxnTooLarge { length, max }.into(),
        TooLong::Unannounced => DiscoveryFault::UnsizedTxnTooLarge { max }.into(),
    });
    let text = text.await.map_err(|reject| match reject {
        Reject::Body(fault) => DiscoveryFault::TxnBody(fault.into()).into(),
        other => other,
    })?;
    let forms = body::<OpForms>(&text, Hint::None).map_err(DiscoveryFault::TxnBody)?.0;
    if forms.len() > TXN_OPS_MAX {
        return Err(DiscoveryFault::TxnTooMany { count: forms.len(), max: TXN_OPS_MAX }.into());
    }
    for op in forms.iter().filter_map(|form| form.key.as_deref()) {
        let bytes = op.value.0.len();
        if bytes as u64 > value_max {
            let key = op.key.clone();
            return Err(DiscoveryFault::TxnValue { key, bytes, max: value_max }.into());
        }
    }
    // An operation that names nothing counts for nothing.
    let names = |form: &OpForm| {
        form.key.is_some() || form.node.is_some() || form.service.is_some() || form.check.is_some()
    };
    Ok(forms.into_iter().filter(names).collect())
}

/// Whether a form asks for more than reading. An unknown verb of a key counts as reading, one of another record as writing.
fn writes(form: &OpForm) -> bool {
    match form {
        OpForm { key: Some(op), .. } => key_verb(&op.verb.0).is_some_and(key_writes),
        OpForm { node: Some(op), .. } => op.verb.0 != "get",
        OpForm { service: Some(op), .. } => op.verb.0 != "get",
        OpForm { check: Some(op), .. } => op.verb.0 != "get",
        _ => false,
    }
}

fn key_writes(verb: KeyVerb) -> bool {
    match verb {
        KeyVerb::Set
        | KeyVerb::Cas
        | KeyVerb::Lock
        | KeyVerb::Unlock
        | KeyVerb::Delete
        | KeyVerb::DeleteTree
        | KeyVerb::DeleteCas => true,
        KeyVerb::Get
        | KeyVerb::GetOrEmpty
        | KeyVerb::GetTree
        | KeyVerb::CheckIndex
        | KeyVerb::CheckSession
        | KeyVerb::CheckNotExists => false,
    }
}

fn key_verb(text: &str) -> Option<KeyVerb> {
    Some(match text {
        "get" => KeyVerb::Get,
        "get-or-empty" => KeyVerb::GetOrEmpty,
        "get-tree" => KeyVerb::GetTree,
        "check-index" => KeyVerb::CheckIndex,
        "check-session" => KeyVerb::CheckSession,
        "check-not-exists" => KeyVerb::CheckNotExists,
        "set" => KeyVerb::Set,
        "cas" => KeyVerb::Cas,
        "lock" => KeyVerb::Lock,
        "unlock" => KeyVerb::Unlock,
        "delete" => KeyVerb::Delete,
        "delete-tree" => KeyVerb::DeleteTree,
        "delete-cas" => KeyVerb::DeleteCas,
        _ => return None,
    })
}

fn verb(of: &str, text: &str) -> Result<Verb, String> {
    Ok(match text {
        "get" => Verb::Get,
        "set" => Verb::Set,
        "cas" => Verb::Cas,
        "delete" => Verb::Delete,
        "delete-cas" => Verb::DeleteCas,
        _ => return Err(unknown_verb(of, text)),
    })
}

/// What Consul looks at before it carries anything out, rights included.
struct Check<'a> {
    ask: &'a Ask,
    authority: &'a Authority,
}

impl Check<'_> {
    /// The operations, or what is wrong with each that cannot be.
    fn all(&self, forms: Vec<OpForm>) -> Result<Vec<TxnOp>, Vec<ErrorOut>> {
        let (mut ops, mut errors) = (Vec::with_capacity(forms.len()), Vec::new());
        for (op_index, form) in forms.into_iter().enumerate() {
            match self.one(form) {
                Ok(op) => ops.push(op),
                Err(what) => errors.push(ErrorOut { op_index, what }),
            }
        }
        if errors.is_empty() { Ok(ops) } else { Err(errors) }
    }

    fn one(&self, form: OpForm) -> Checked {
        let op = match form {
            OpForm { key: Some(op), .. } => key(*op),
            OpForm { node: Some(op), .. } => self.node(*op),
            OpForm { service: Some(op), .. } => service(*op),
            OpForm { check: Some(op), .. } => check(*op),
            _ => Err("unknown operation type".to_owned()),
        }?;
        vet_op(self.authority, &op).map_err(|refusal| Reject::from(refusal).to_string())?;
        self.is_not_delayed(op)
    }

    fn is_not_delayed(&self, op: TxnOp) -> Checked {
        match op {
            TxnOp::Key(KeyOp { verb: KeyVerb::Lock, key, .. })
                if self.ask.site.handle.is_lock_delayed(&key) =>
            {
                Err(misfit(&Misfit::LockDelayed(key)))
            }
            op => Ok(op),
        }
    }

    fn node(&self, form: NodeOpForm) -> Checked {
        let verb = verb("node", &form.verb.0)?;
        let index = form.node.modify_index;
        let node = form.node.into_node(&self.ask.site.settings.identity.datacenter);
        if verb != Verb::Get {
            if node.name.is_empty() {
                return Err(Reject::NoNode.to_string());
            }
            if !node.id.is_empty() {
                uuid::check(&node.id).map_err(|fault| Reject::NodeId(fault).to_string())?;
            }
        }
        Ok(TxnOp::Node(Box::new(NodeOp { verb, node, index })))
    }
}

fn key(form: KeyOpForm) -> Checked {
    let verb = key_verb(&form.verb.0);
    if form.key.is_empty() && verb != Some(KeyVerb::DeleteTree) {
        return Err(NO_KEY.to_owned());
    }
    Ok(TxnOp::Key(KeyOp {
        verb: verb.ok_or_else(|| unknown_verb("KV", &form.verb.0))?,
        key: form.key.into(),
        value: form.value.0,
        flags: form.flags,
        index: form.index,
        session: form.session.into(),
        scope: None,
    }))
}

fn service(form: ServiceOpForm) -> Checked {
    let verb = verb("service", &form.verb.0)?;
    let index = form.service.modify_index;
    let mut op = ServiceOp {
        verb,
        node: form.node.into(),
        service: form.service.into(),
        index,
        ..ServiceOp::default()
    };
    if verb != Verb::Get {
        check_service(&op.service).map_err(|reject| reject.to_string())?;
        // What is read is looked up by its id alone.
        if op.service.id.is_empty() {
            op.service.id = op.service.name.clone();
        }
    }
    Ok(TxnOp::Service(Box::new(op)))
}

fn check(form: CheckOpForm) -> Checked {
    let verb = verb("check", &form.verb.0)?;
    let (index, node) = (form.check.modify_index, form.check.node.as_str().into());
    let mut op = CheckOp { verb, node, check: form.check.into(), index };
    if verb != Verb::Get && op.check.id.is_empty() {
        op.check.id = (&*op.check.name).into();
    }
    Ok(TxnOp::Check(Box::new(op)))
}

async fn write(ask: &Ask, authority: &Authority, ops: Vec<TxnOp>) -> Result<Reply, Reject> {
    match ask.site.handle.submit(&ask.caller, Change::Txn(ops)).await {
        Ok(committed) => {
            let shown = shown(authority, &committed.results);
            Ok(Reply::json(&TxnOut { results: Some(shown), errors: None, read: None }))
        }
        Err(Refusal::Txn(faults)) => Ok(conflict(errors(&faults), None)),
        Err(refusal) => Err(refusal.into()),
    }
}

fn read(ask: &Ask, authority: &Authority, ops: &[TxnOp]) -> Reply {
    let known_leader = ask.site.handle.has_leader();
    let read = QueryMetaOut { index: 1, known_leader, ..QueryMetaOut::default() };
    match ask.site.handle.snapshot().read_txn(ops) {
        Ok(results) => {
            let shown = shown(authority, &results);
            let results_filtered = shown.len() < results.len() && authority.has_token();
            let read = Some(QueryMetaOut { results_filtered, ..read });
            let out = TxnOut { results: Some(shown), errors: None, read };
            Reply::json(&out).leader(known_leader)
        }
        Err(faults) => conflict(errors(&faults), Some(read)).leader(known_leader),
    }
}

fn errors(faults: &[TxnFault]) -> Vec<ErrorOut> {
    let error = |fault: &TxnFault| ErrorOut { op_index: fault.op, what: misfit(&fault.why) };
    faults.iter().map(error).collect()
}

fn conflict(errors: Vec<ErrorOut>, read: Option<QueryMetaOut>) -> Reply {
    let out = TxnOut { results: None, errors: Some(errors), read };
    Reply::encoded(json(&out)).charset().status(StatusCode::CONFLICT)
}

/// What a caller may see of the results.
fn shown<'a>(authority: &Authority, results: &'a [TxnResult]) -> Vec<ResultOut<'a>> {
    results.iter().filter(|result| may_see(authority, result)).map(Into::into).collect()
}

fn may_see(authority: &Authority, result: &TxnResult) -> bool {
    authority.allows(match result {
        TxnResult::Key(row) | TxnResult::KeyAlone(row) => Act::key_read(&row.key),
        TxnResult::Absent(op) => Act::key_read(&op.key),
        TxnResult::Node(row) => Act::node_read(row.node.name.as_str()),
        TxnResult::Service(row) => Act::service_read(row.service.name.as_str()),
        TxnResult::Check(row) => match &row.check.service {
            Some(of) if !of.name.is_empty() => Act::service_read(of.name.as_str()),
            _ => Act::node_read(row.node.as_str()),
        },
    })
}
