//! Access control behind the door: who a secret stands for, what it may write, and when that is looked up anew.

use super::*;
use crate::acl::identity::{ANONYMOUS, GLOBAL_MANAGEMENT};
use crate::acl::{
    Act, AgentTokens, DefaultPolicy, NodeIdentity, Policy, Role, ServiceIdentity, Token, Tokens,
};
use crate::record::{AnyRecord, RecordChange, Setting, When};
use crate::service::{Check, Checked};
use crate::txn::{TxnOp, Verb};

pub(super) const MANAGER: &str = "11111111-1111-1111-1111-111111111111";

pub(super) async fn guarded(default_policy: DefaultPolicy) -> (Handle, Arc<Moved>) {
    let clock = Arc::new(Moved(AtomicU64::new(1_000)));
    let store = Arc::new(Store::in_memory().unwrap());
    let settings = GroupSettings { scope: "dc1".into(), member: "n1".into() };
    let recovery = Tokens { agent_recovery: Some(Secret::new("recover")), ..Tokens::default() };
    let acl = AclSettings {
        enabled: true,
        default_policy,
        datacenter: "dc1".into(),
        node: "n1".into(),
        tokens: AgentTokens::new(recovery),
        initial_management: Some(Secret::new(MANAGER)),
        ..AclSettings::default()
    };
    let handle = Handle::open(store, settings, acl, Arc::clone(&clock) as _).await.unwrap();
    handle.found_acl().await.unwrap();
    (handle, clock)
}

pub(super) fn bearer(secret: &str) -> Caller {
    let token = (!secret.is_empty()).then(|| Secret::new(secret));
    Caller { token, ..Caller::default() }
}

fn token(handle: &Handle, secret: &str) -> Token {
    Token::blank(format!("accessor-{secret}"), handle.seal(&Secret::new(secret)), Time(0))
}

fn policy(id: &str, rules: &str, datacenters: &[&str]) -> AnyRecord {
    let datacenters = datacenters.iter().map(|name| (*name).into()).collect::<Vec<_>>();
    AnyRecord::Policy(Box::new(Policy {
        id: id.into(),
        name: id.into(),
        description: "".into(),
        rules: rules.into(),
        datacenters: (!datacenters.is_empty()).then_some(datacenters),
    }))
}

async fn write(handle: &Handle, records: impl IntoIterator<Item = AnyRecord>) {
    let put = |record| RecordChange::Put { record, when: When::Always };
    submit(handle, Change::Records(records.into_iter().map(put).collect())).await;
}

/// A token with one policy; the secret is the policy's id.
async fn let_in(handle: &Handle, secret: &str, rules: &str) -> Caller {
    let token = Token { policies: vec![secret.into()], ..token(handle, secret) };
    write(handle, [policy(secret, rules, &[]), AnyRecord::Token(token.into())]).await;
    bearer(secret)
}

async fn refusal(handle: &Handle, caller: &Caller, change: Change) -> String {
    match handle.submit(caller, change).await {
        Ok(_) => "ok".to_owned(),
        Err(Refusal::NotAllowed(denial)) => {
            format!("{denial} {}", denial.name.as_deref().unwrap_or("-"))
        }
        Err(Refusal::Txn(faults)) => {
            faults.iter().map(|fault| format!("{}: {}", fault.op, fault.why)).collect()
        }
        Err(other) => other.to_string(),
    }
}

#[tokio::test]
async fn the_first_start_makes_what_consul_makes() {
    let (handle, _) = guarded(DefaultPolicy::Deny).await;
    let index = handle.snapshot();
    let made: Vec<u64> = index.records::<Policy>().map(|row| row.created).collect();
    assert_eq!((made, index.records::<Token>().len()), (vec![2, 3], 2));
    assert_eq!(index.record::<Token>(ANONYMOUS).unwrap().created, 5);
    assert!(index.record::<Setting>(crate::acl::BOOTSTRAP_SETTING).is_some());
    handle.found_acl().await.unwrap();
    assert_eq!(handle.snapshot().revision(), index.revision(), "nothing is made twice");
}

#[tokio::test]
async fn a_secret_stands_for_its_token() {
    let (handle, clock) = guarded(DefaultPolicy::Deny).await;
    let may = |secret: &str, act| handle.authority(&bearer(secret)).map(|bound| bound.allows(act));
    assert_eq!(may(MANAGER, Act::acl_write()), Ok(true));
    assert_eq!(may("", Act::key_read("a")), Ok(false));
    assert_eq!(
        may("nobody", Act::key_read("a")),
        Err(Refusal::UnknownToken { bootstrapped: true })
    );
    assert_eq!(may("manage", Act::key_read("a")), Err(Refusal::ReservedSecret));
    assert_eq!(may("recover", Act::agent_write("n1")), Ok(true));
    assert_eq!(may("recover", Act::agent_write("n2")), Ok(false));
    assert_eq!(may("recover", Act::node_read("n2")), Ok(true));
    assert!(handle.authority(&Caller::own()).unwrap().is_open());

    let until = Token { expires: Some(Time(2_000)), ..token(&handle, "short") };
    write(&handle, [AnyRecord::Token(until.into())]).await;
    assert_eq!(may("short", Act::key_read("a")), Ok(false));
    clock.0.store(2_000, Ordering::Relaxed);
    assert_eq!(may("short", Act::key_read("a")), Err(Refusal::ExpiredToken));
}

#[tokio::test]
async fn roles_and_identities_add_up_where_they_hold() {
    let (handle, _) = guarded(DefaultPolicy::Deny).await;
    let role = Role {
        id: "r".into(),
        name: "r".into(),
        description: "".into(),
        policies: vec!["here".into(), "there".into(), "gone".into()],
        service_identities: Vec::new(),
        node_identities: vec![NodeIdentity { node: "n1".into(), datacenter: "dc1".into() }],
        templated_policies: Vec::new(),
    };
    let web = ServiceIdentity { service: "web".into(), datacenters: Some(vec!["dc1".into()]) };
    let db = ServiceIdentity { service: "db".into(), datacenters: Some(vec!["dc2".into()]) };
    let token =
        Token { roles: vec!["r".into()], service_identities: vec![web, db], ..token(&handle, "t") };
    write(
        &handle,
        [
            policy("here", "key \"a\" { policy = \"read\" }", &["dc1"]),
            policy("there", "key \"b\" { policy = \"read\" }", &["dc2"]),
            AnyRecord::Role(role.into()),
            AnyRecord::Token(token.into()),
        ],
    )
    .await;
    let authority = handle.authority(&bearer("t")).unwrap();
    for (act, allowed) in [
        (Act::key_read("a"), true),
        (Act::key_read("b"), false),
        (Act::node_write("n1"), true),
        (Act::node_write("n2"), false),
        (Act::service_write("web"), true),
        (Act::service_write("web-sidecar-proxy"), true),
        (Act::service_write("db"), false),
        (Act::service_read("db"), true),
    ] {
        assert_eq!(authority.allows(act), allowed, "{act:?}");
    }
}

#[tokio::test]
async fn what_is_kept_of_a_caller_follows_its_policies() {
    let (handle, _) = guarded(DefaultPolicy::Deny).await;
    let caller = let_in(&handle, "t", "key \"a\" { policy = \"read\" }").await;
    let reads = |key| handle.authority(&caller).unwrap().allows(Act::key_read(key));
    assert!(reads("a") && !reads("b"));
    write(&handle, [policy("t", "key \"b\" { policy = \"read\" }", &[])]).await;
    assert!(!reads("a") && reads("b"));
    let gone = RecordChange::Remove {
        table: crate::record::TableId::Token,
        key: "accessor-t".into(),
        when: When::Always,
    };
    submit(&handle, Change::Records(vec![gone])).await;
    assert_eq!(handle.authority(&caller).err(), Some(Refusal::UnknownToken { bootstrapped: true }));
}

#[tokio::test]
async fn default_allow_keeps_access_control_to_itself() {
    let (handle, _) = guarded(DefaultPolicy::Allow).await;
    let anonymous = handle.authority(&bearer("")).unwrap();
    assert!(anonymous.allows(Act::key_write("a")) && anonymous.allows(Act::operator_write()));
    assert!(!anonymous.allows(Act::acl_read()) && !anonymous.allows(Act::acl_write()));
    let_in(&handle, "t", "key_prefix \"a\" { policy = \"deny\" }").await;
    let bound = handle.authority(&bearer("t")).unwrap();
    assert!(!bound.allows(Act::key_read("ab")) && bound.allows(Act::key_read("b")));
    let manager = Token { policies: vec![GLOBAL_MANAGEMENT.into()], ..token(&handle, "m") };
    write(&handle, [AnyRecord::Token(manager.into())]).await;
    assert!(handle.authority(&bearer("m")).unwrap().allows(Act::acl_write()));
}

#[tokio::test]
async fn registrations_are_vetted_as_consul_vets_them() {
    let (handle, _) = guarded(DefaultPolicy::Deny).await;
    let web = let_in(&handle, "web", "service \"web\" { policy = \"write\" }").await;
    let node = let_in(&handle, "node", "node \"n1\" { policy = \"write\" }").await;
    let told = "node:write is denied n1";
    assert_eq!(refusal(&handle, &web, register("n1", Some("web"))).await, told);
    assert_eq!(refusal(&handle, &bearer(""), register("n1", None)).await, told);
    assert_eq!(refusal(&handle, &node, register("n1", None)).await, "ok");
    assert_eq!(refusal(&handle, &web, register("n1", Some("web"))).await, "ok");
    let other = register("n1", Some("db"));
    assert_eq!(refusal(&handle, &web, other.clone()).await, "service:write is denied db");
    submit(&handle, other).await;

    // An id that is another service's.
    let Change::Register(mut stolen) = register("n1", Some("web")) else { unreachable!() };
    stolen.service.as_mut().unwrap().id = "db".into();
    assert_eq!(refusal(&handle, &web, Change::Register(stolen)).await, "not allowed");

    let check = |id: &str, service: Option<&str>| {
        let Change::Register(mut registration) = register("n1", None) else { unreachable!() };
        let service = service.map(|id| Checked {
            id: id.into(),
            name: "".into(),
            tags: crate::service::Tags::default(),
        });
        registration.checks.push(Check { id: id.into(), service, ..Check::default() });
        Change::Register(registration)
    };
    assert_eq!(refusal(&handle, &web, check("c1", Some("web"))).await, "ok");
    assert_eq!(refusal(&handle, &web, check("c2", Some("db"))).await, "service:write is denied db");
    assert_eq!(refusal(&handle, &web, check("c3", None)).await, told);
    assert_eq!(
        refusal(&handle, &web, check("c4", Some("no"))).await,
        "node n1 has no service no for check c4"
    );

    let service = |id: &str| Removal::Service { node: "n1".into(), id: id.into() };
    let check = |id: &str| Removal::Check { node: "n1".into(), id: id.into() };
    let all = Removal::Node { node: "n1".into() };
    for (removal, expected) in [
        (service("db"), "service:write is denied db"),
        (service("no"), "no service no"),
        (check("no"), "no check no"),
        (check("c1"), "ok"),
        (service("web"), "ok"),
        (all.clone(), told),
    ] {
        let told = refusal(&handle, &web, Change::Deregister(removal.clone())).await;
        assert_eq!(told, expected, "{removal:?}");
    }
    assert_eq!(refusal(&handle, &node, Change::Deregister(service("db"))).await, "ok");
    assert_eq!(refusal(&handle, &node, Change::Deregister(all)).await, "ok");
}

#[tokio::test]
async fn keys_sessions_and_transactions_are_vetted() {
    let (handle, _) = guarded(DefaultPolicy::Deny).await;
    submit(&handle, register("n1", None)).await;
    submit(&handle, session("s1", "")).await;
    let rules = "key_prefix \"a/\" { policy = \"write\" } key \"a/x\" { policy = \"read\" }
                 session \"n2\" { policy = \"write\" }";
    let caller = let_in(&handle, "t", rules).await;
    let tree = |prefix: &str| Change::Kv(KvChange::DeleteTree { prefix: prefix.into() });
    let op = |verb, key: &str| TxnOp::Key(KeyOp { verb, key: key.into(), ..KeyOp::default() });
    let node = |verb| {
        let node = Node { name: "n1".into(), ..Node::default() };
        TxnOp::Node(Box::new(crate::txn::NodeOp { verb, node, index: 0 }))
    };
    for (change, expected) in [
        (put("a/b", PutWhen::Always), "ok"),
        (put("a/x", PutWhen::Index(0)), "key:write is denied a/x"),
        (put("b", PutWhen::Acquire("s1".into())), "key:write is denied b"),
        (tree("a/"), "key:write is denied a/"),
        (tree("a/b"), "ok"),
        (tree(""), "key:write is denied -"),
        (session("s2", ""), "session:write is denied n1"),
        (Change::CloseSession { id: "s1".into() }, "session:write is denied n1"),
        (Change::CloseSession { id: "none".into() }, "ok"),
        (
            Change::Txn(vec![
                op(KeyVerb::Set, "b"),
                op(KeyVerb::GetTree, "b"),
                op(KeyVerb::CheckIndex, "b"),
                node(Verb::Get),
                node(Verb::Set),
            ]),
            "0: key:write is denied2: key:read is denied4: node:write is denied",
        ),
    ] {
        assert_eq!(refusal(&handle, &caller, change.clone()).await, expected, "{change:?}");
    }
}
