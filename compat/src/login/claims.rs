//! What a verified token claims: whether it holds now and here, and what of it is mapped for rules.

use std::collections::BTreeMap;

use proconsul_anchors::clock::Time;
use serde_json::{Map, Value};

use crate::login::Identity;
use crate::login::fault::{ClaimFault, LoginFault, OidcFault};
use crate::login::settings::JwtSettings;

/// Without an end, a token holds so many seconds from its start; without a start, it holds so many before its end.
const LEEWAY: i64 = 150;
/// Clocks may differ by so many seconds.
const SKEW: i64 = 60;
/// The same for the start of an OpenID Connect provider's tokens.
const OIDC_SKEW: i64 = 300;

const SECOND: i64 = 1_000_000_000;

/// The claims that every token may have (RFC 7519, 4.1). Moments are seconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Registered {
    pub(crate) issuer: String,
    audience: Vec<String>,
    expires: Option<i64>,
    not_before: Option<i64>,
    issued: Option<i64>,
}

// === impl Registered ===

impl Registered {
    /// Reads them.
    pub(crate) fn of(claims: &Value) -> Result<Self, ClaimFault> {
        let claims = claims.as_object().ok_or(ClaimFault::Shape)?;
        let issuer = match claims.get("iss") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(issuer)) => issuer.clone(),
            Some(_) => return Err(ClaimFault::Shape),
        };
        Ok(Self {
            issuer,
            audience: audience(claims.get("aud"))?,
            expires: date(claims.get("exp"))?,
            not_before: date(claims.get("nbf"))?,
            issued: date(claims.get("iat"))?,
        })
    }

    /// Whether a token with these claims is taken now.
    pub(crate) fn check(&self, settings: &JwtSettings, now: Time) -> Result<(), LoginFault> {
        let (expires, not_before) = self.span(settings).ok_or(LoginFault::Timeless)?;
        let skew = match settings.clock_skew_leeway {
            0 => SKEW * SECOND,
            leeway => leeway.max(0),
        };
        let now = i64::try_from(now.0).unwrap_or(i64::MAX);
        let nanos = |seconds: i64| seconds.saturating_mul(SECOND);
        let fault = if !settings.bound_issuer.is_empty() && settings.bound_issuer != self.issuer {
            Some(ClaimFault::Issuer)
        } else if now.saturating_add(skew) < nanos(not_before) {
            Some(ClaimFault::NotYet)
        } else if now.saturating_sub(skew) > nanos(expires) {
            Some(ClaimFault::Expired)
        } else if now.saturating_add(skew) < nanos(self.issued.unwrap_or(0)) {
            Some(ClaimFault::FromTheFuture)
        } else {
            self.audience_fault(&settings.bound_audiences, true)
        };
        fault.map_or(Ok(()), |fault| Err(LoginFault::Claims(fault)))
    }

    /// End and start of the time in which it holds; nothing when it tells neither of them.
    fn span(&self, settings: &JwtSettings) -> Option<(i64, i64)> {
        let given = |claim: Option<i64>| claim.filter(|seconds| *seconds != 0);
        let (end, start, issued) =
            (given(self.expires), given(self.not_before), given(self.issued));
        end.or(start).or(issued)?;
        let leeway = |nanos: i64| if nanos == 0 { LEEWAY } else { (nanos / SECOND).max(0) };
        let latest = issued.unwrap_or(0).max(start.unwrap_or(0));
        let expires = end.unwrap_or(latest + leeway(settings.expiration_leeway));
        let begins = start.or(issued).unwrap_or(expires - leeway(settings.not_before_leeway));
        Some((expires, begins))
    }

    /// Whether a token of a provider is taken now.
    pub(crate) fn check_oidc(&self, issuer: &str, now: Time) -> Result<(), OidcFault> {
        if self.issuer != issuer {
            let (expected, got) = (issuer.to_owned(), self.issuer.clone());
            return Err(OidcFault::Issuer { expected, got });
        }
        let moment =
            |seconds: i64| Time(u64::try_from(seconds.saturating_mul(SECOND)).unwrap_or(0));
        let expires = moment(self.expires.unwrap_or(0));
        if expires < now {
            return Err(OidcFault::Expired(expires));
        }
        match self.not_before {
            Some(from) if moment(from.saturating_sub(OIDC_SKEW)) > now => {
                Err(OidcFault::NotYet { now, from: moment(from) })
            }
            _ => Ok(()),
        }
    }

    /// What is wrong with the audience. When none is bound, a strict check takes none.
    pub(crate) fn audience_fault(&self, bound: &[String], strict: bool) -> Option<ClaimFault> {
        if bound.is_empty() {
            let unbound = strict && !self.audience.is_empty();
            return unbound.then_some(ClaimFault::UnboundAudience);
        }
        let meant = bound.iter().any(|bound| self.audience.contains(bound));
        (!meant).then_some(ClaimFault::Audience)
    }
}

fn audience(claim: Option<&Value>) -> Result<Vec<String>, ClaimFault> {
    match claim {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(several)) => several
            .iter()
            .map(|one| one.as_str().map(str::to_owned).ok_or(ClaimFault::AudienceType))
            .collect(),
        Some(_) => Err(ClaimFault::AudienceType),
    }
}

fn date(claim: Option<&Value>) -> Result<Option<i64>, ClaimFault> {
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => Ok(Some(whole(number))),
        Some(_) => Err(ClaimFault::Date),
    }
}

/// A number without its fraction.
#[expect(clippy::cast_possible_truncation, reason = "claims beyond 64 bits are no moments of ours")]
fn whole(number: &serde_json::Number) -> i64 {
    number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or(0.0) as i64)
}

/// The claims that the method maps, as rules see them.
pub(crate) fn identity(settings: &JwtSettings, claims: &Value) -> Result<Identity, LoginFault> {
    let mut vars: BTreeMap<String, String> = settings
        .claim_mappings
        .values()
        .map(|name| (format!("value.{name}"), String::new()))
        .collect();
    let mut values = Map::new();
    for (claim, name) in &settings.claim_mappings {
        let Some(value) = find(claims, claim) else { continue };
        let fault = || LoginFault::ClaimType { claim: claim.clone(), found: go_type(value) };
        let text = text(value).ok_or_else(fault)?;
        vars.insert(format!("value.{name}"), text.clone());
        values.insert(name.clone(), Value::String(text));
    }
    let mut lists = Map::new();
    for (claim, name) in &settings.list_claim_mappings {
        let Some(value) = find(claims, claim) else { continue };
        lists.insert(name.clone(), list(claim, value)?);
    }
    let fields = Map::from_iter([
        ("value".to_owned(), Value::Object(values)),
        ("list".to_owned(), Value::Object(lists)),
    ]);
    Ok(Identity { fields: Value::Object(fields), vars })
}

/// A claim by its name, or by a JSON pointer (RFC 6901).
fn find<'a>(claims: &'a Value, claim: &str) -> Option<&'a Value> {
    let found = if claim.starts_with('/') { claims.pointer(claim) } else { claims.get(claim) };
    found.filter(|value| !value.is_null())
}

fn list(claim: &str, value: &Value) -> Result<Value, LoginFault> {
    let one = [value.clone()];
    let items: &[Value] = match value {
        Value::Array(items) => items,
        Value::Object(_) => return Err(LoginFault::ListClaim(claim.to_owned())),
        _ => &one,
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let fault = || LoginFault::ListValue { value: go_value(item), claim: claim.to_owned() };
        let text = text(item).ok_or_else(fault)?;
        if !text.is_empty() {
            texts.push(Value::String(text));
        }
    }
    Ok(Value::Array(texts))
}

/// A text, a boolean, or a number without its fraction, as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Number(number) => Some(whole(number).to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => "<nil>",
    }
}

/// A value as Go prints it with `%v`.
fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(pairs) => {
            let pairs: Vec<String> =
                pairs.iter().map(|(key, value)| format!("{key}:{}", go_value(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_000_000;

    fn settings(settings: JwtSettings) -> JwtSettings {
        JwtSettings { bound_audiences: vec!["us".into()], bound_issuer: "they".into(), ..settings }
    }

    fn check(claims: Value, told: Result<(), &str>) {
        let mut whole = json!({"iss": "they", "aud": "us"});
        for (name, value) in claims.as_object().unwrap() {
            whole[name] = value.clone();
        }
        let now = Time(u64::try_from(NOW * SECOND).unwrap());
        let checked = Registered::of(&whole)
            .map_err(LoginFault::Unmarshal)
            .and_then(|registered| registered.check(&settings(JwtSettings::default()), now));
        assert_eq!(
            checked.map_err(|fault| fault.to_string()),
            told.map_err(str::to_owned),
            "{whole}"
        );
    }

    #[test]
    fn claims_are_judged_as_consul_judges_them() {
        let invalid = |what: &str| {
            format!("error validating claims: go-jose/go-jose/jwt: validation failed, {what}")
        };
        check(json!({"exp": NOW + 1}), Ok(()));
        check(json!({"iat": NOW}), Ok(()));
        check(json!({}), Err("no issue time, notbefore, or expiration time encoded in token"));
        check(json!({"exp": NOW - 61}), Err(&invalid("token is expired (exp)")));
        check(json!({"exp": NOW - 60}), Ok(()));
        check(json!({"iat": NOW - 211}), Err(&invalid("token is expired (exp)")));
        check(
            json!({"nbf": NOW + 61, "exp": NOW + 99}),
            Err(&invalid("token not valid yet (nbf)")),
        );
        check(
            json!({"nbf": NOW, "iat": NOW + 61, "exp": NOW + 99}),
            Err(
                "error validating claims: go-jose/go-jose/jwt: validation field, token issued in the future (iat)",
            ),
        );
        check(json!({"exp": NOW, "iss": "we"}), Err(&invalid("invalid issuer claim (iss)")));
        check(
            json!({"exp": NOW, "aud": ["we"]}),
            Err("error validating claims: aud claim does not match any bound audience"),
        );
        check(json!({"exp": NOW, "aud": ["we", "us"]}), Ok(()));
        check(
            json!({"exp": "x"}),
            Err(
                "failed to unmarshal claims: go-jose/go-jose/jwt: expected number value to unmarshal NumericDate",
            ),
        );
    }

    #[test]
    fn mapped_claims_become_fields_and_variables() {
        let settings = JwtSettings {
            claim_mappings: [("/a/b", "ab"), ("n", "n"), ("gone", "gone")]
                .map(|(claim, name)| (claim.to_owned(), name.to_owned()))
                .into(),
            list_claim_mappings: [("groups".to_owned(), "g".to_owned())].into(),
            ..JwtSettings::default()
        };
        let found =
            identity(&settings, &json!({"a": {"b": true}, "n": 7.9, "groups": ["x", "", 3]}))
                .unwrap();
        assert_eq!(
            found.fields,
            json!({"value": {"ab": "true", "n": "7"}, "list": {"g": ["x", "3"]}})
        );
        assert_eq!(found.vars["value.gone"], "");
        assert_eq!(found.vars["value.n"], "7");
        let fault = identity(&settings, &json!({"n": []})).unwrap_err().to_string();
        assert_eq!(fault, "error converting claim 'n' to string from unknown type []interface {}");
    }
}
