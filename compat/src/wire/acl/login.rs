//! Logins.

use std::collections::BTreeMap;

use crate::wire::decode::form;

/// The body of `POST /v1/acl/login`. No `Debug`: it holds a secret.
#[derive(Default)]
pub(crate) struct LoginForm {
    pub(crate) method: String,
    pub(crate) bearer: String,
    pub(crate) meta: BTreeMap<String, String>,
}

form!(LoginForm, "structs.ACLLoginParams", plain "ACLLoginParams", refuse, {
    "AuthMethod" => method, "BearerToken" => bearer, "Meta" => meta,
});
