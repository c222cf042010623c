//! Auth methods: what may be created and what may be changed, but for what only the network can tell.

use proconsul_anchors::acl::AuthMethod;
use proconsul_anchors::duration;
use proconsul_anchors::index::Index;
use proconsul_anchors::interpolate::{self, FillError, Names};
use proconsul_anchors::sealed::SealedSecret;
use serde_json::Value;

use crate::acl::names;
use crate::acl::token::TTL_MIN;
use crate::login::settings::{AWS_IAM, JWT, KUBERNETES, Settings};
use crate::reject::acl::AclReject;
use crate::wire::acl::auth_method::{AuthMethodForm, settings};

/// The pattern of token names where none is given.
const TOKEN_NAMES: &str = "${auth_method_type}-${auth_method_name}";

/// A method that may be kept when its settings prove to work.
pub(crate) struct Draft {
    pub(crate) method: AuthMethod,
    pub(crate) settings: Settings,
}

/// The method that a form writes.
pub(crate) fn write(
    index: &Index,
    form: AuthMethodForm,
    seal: impl FnOnce(&str) -> SealedSecret,
) -> Result<Draft, AclReject> {
    if form.name.is_empty() {
        return Err(AclReject::NoMethodName);
    }
    if !names::is_method(&form.name) {
        return Err(AclReject::MethodName);
    }
    let kind = kind_of(index, &form)?;
    let max_token_ttl = check_ttl(form.max_token_ttl.0)?;
    let format = if form.token_name_format.is_empty() {
        TOKEN_NAMES.to_owned()
    } else {
        fill_name(&form.token_name_format, &kind, &form.name)
            .map_err(|fault| AclReject::TokenNameFormat(fault.to_string()))?;
        form.token_name_format
    };
    if !matches!(form.token_locality.as_str(), "" | "local" | "global") {
        return Err(AclReject::TokenLocality);
    }
    if kind == AWS_IAM {
        return Err(AclReject::AwsIam);
    }
    let config = settings(form.config);
    let settings = Settings::read(&kind, &config).map_err(AclReject::MethodSettings)?;
    let method = AuthMethod {
        name: form.name.into(),
        kind: kind.into(),
        display_name: form.display_name.into(),
        description: form.description.into(),
        max_token_ttl,
        token_locality: form.token_locality.into(),
        token_name_format: format.into(),
        config: seal(&config.to_string()),
    };
    Ok(Draft { method, settings })
}

/// The type of a method, for ever.
fn kind_of(index: &Index, form: &AuthMethodForm) -> Result<String, AclReject> {
    let before = index.record::<AuthMethod>(&form.name.to_lowercase());
    let kind = match before {
        Some(row) if form.kind.is_empty() => row.record.kind.to_string(),
        Some(row) if *row.record.kind != *form.kind => return Err(AclReject::MethodKindChanged),
        _ => form.kind.clone(),
    };
    if [JWT, KUBERNETES, AWS_IAM].contains(&kind.as_str()) {
        Ok(kind)
    } else {
        Err(AclReject::MethodKind)
    }
}

fn check_ttl(nanos: i64) -> Result<u64, AclReject> {
    let ttl = u64::try_from(nanos).unwrap_or(0);
    if nanos == 0 || u128::from(ttl) >= TTL_MIN.as_nanos() {
        return Ok(ttl);
    }
    Err(AclReject::MaxTokenTtl { ttl: duration::show(nanos), min: duration::show_wait(TTL_MIN) })
}

/// The name of a token from a method, without the number that ends it.
pub(crate) fn fill_name(format: &str, kind: &str, name: &str) -> Result<String, FillError> {
    let value = |of: &str| match of {
        "auth_method_type" => Some(kind.to_owned()),
        "auth_method_name" => Some(name.to_owned()),
        _ => None,
    };
    interpolate::fill(format, &Names { value: &value, matches: None })
}

/// The settings of a method, unsealed.
pub(crate) fn config(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
