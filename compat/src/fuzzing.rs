//! Doors for the fuzzers (`fuzz/`), and a test that shows them again what they once found.

mod mesh;

use proconsul_anchors::node::definition::{CheckDefinition, ServiceDefinition};
use proconsul_anchors::service::{Check, Service};
use proconsul_mesh::intentions::Draft;

pub use self::mesh::entries;
use crate::filter::{AGENT_SERVICE, CHECK_SERVICE_NODE, Filter, HEALTH_CHECK, MEMBER, NODE};
use crate::wire::acl::auth_method::AuthMethodForm;
use crate::wire::acl::binding_rule::BindingRuleForm;
use crate::wire::acl::policy::PolicyForm;
use crate::wire::acl::role::RoleForm;
use crate::wire::acl::token::TokenForm;
use crate::wire::agent::{CheckForm, ServiceForm, UpdateForm};
use crate::wire::decode::{Hint, Read, body};
use crate::wire::intention::IntentionForm;
use crate::wire::register::{DeregisterForm, RegisterForm};
use crate::wire::session::SessionForm;
use crate::wire::txn::OpForms;

/// Reads a body as every form that a request may bring, and makes of it what the handlers make.
pub fn bodies(text: &[u8]) {
    if let Some(form) = read::<ServiceForm>(text) {
        let _definition = ServiceDefinition::from(form);
    }
    if let Some(form) = read::<CheckForm>(text) {
        let _definition = CheckDefinition::from(form);
    }
    if let Some(mut form) = read::<RegisterForm>(text) {
        let _node = form.node("dc1");
        let _service = form.service.take().map(|form| Service::from(*form));
        let _check = form.check.take().map(|form| Check::from(*form));
    }
    let _update = read::<UpdateForm>(text);
    let _removal = read::<DeregisterForm>(text);
    let _session = read::<SessionForm>(text);
    let _ops = read::<OpForms>(text);
    let _token = read::<TokenForm>(text);
    let _policy = read::<PolicyForm>(text);
    let _role = read::<RoleForm>(text);
    let _rule = read::<BindingRuleForm>(text);
    let _method = read::<AuthMethodForm>(text);
    let _intention = read::<IntentionForm>(text).map(Draft::from);
}

fn read<T: Read>(text: &[u8]) -> Option<T> {
    body(text, Hint::Namespaces).ok()
}

/// Reads an expression for records of several schemas and asks it of an empty one.
pub fn filter(expression: &str) {
    for schema in [&NODE, &HEALTH_CHECK, &CHECK_SERVICE_NODE, &AGENT_SERVICE, &MEMBER] {
        if let Ok(filter) = Filter::compile(expression, schema) {
            let _held = filter.matches(&serde_json::json!({}));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proconsul_anchors::service::Service;

    use crate::limits::JSON_DEPTH_MAX;
    use crate::wire::register::RegisterForm;

    /// What a fuzzer once found, by target.
    fn found(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/fuzz").join(target);
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.map(|file| fs::read(file.path()).unwrap()).collect()
    }

    #[test]
    fn what_fuzzers_found_is_answered() {
        found("entries").iter().for_each(|text| super::entries(text));
        found("bodies").iter().for_each(|text| super::bodies(text));
        found("filter").iter().for_each(|text| super::filter(&String::from_utf8_lossy(text)));
    }

    /// Objects around a service in what is kept of it: more than there are.
    const AROUND: usize = 16;

    #[test]
    fn the_deepest_body_that_is_taken_can_be_kept() {
        let levels = JSON_DEPTH_MAX - "body service proxy config".split(' ').count();
        let config = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let text = format!(
            r#"{{"Node":"n","Service":{{"Service":"p","Proxy":{{"Config":{{"a":{config}}}}}}}}}"#
        );
        let mut form: RegisterForm = super::read(text.as_bytes()).unwrap();
        let service = serde_json::to_string(&Service::from(*form.service.take().unwrap())).unwrap();
        let kept = format!("{}{service}{}", "[".repeat(AROUND), "]".repeat(AROUND));
        serde_json::from_str::<serde_json::Value>(&kept).unwrap();
        let deeper = text.replace("[]", "[[]]");
        assert!(super::read::<RegisterForm>(deeper.as_bytes()).is_none());
    }
}
