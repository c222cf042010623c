//! The settings of auth methods, read as loosely as Consul reads them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::filter::Schema;
use crate::login::jwt::{self, StaticKey};
use crate::login::{JWT_FIELDS, KUBERNETES_FIELDS};

/// The settings of a method, by its type. No `Debug`: they may hold secrets.
#[derive(Clone)]
pub(crate) enum Settings {
    Jwt(Box<JwtSettings>),
    Kubernetes(Box<KubernetesSettings>),
}

/// `jwt`. Leeways are nanoseconds; 0 stands for the usual, less for none.
#[derive(Clone, Default)]
pub(crate) struct JwtSettings {
    pub(crate) algorithms: Vec<String>,
    pub(crate) bound_audiences: Vec<String>,
    pub(crate) claim_mappings: BTreeMap<String, String>,
    pub(crate) list_claim_mappings: BTreeMap<String, String>,
    pub(crate) discovery_url: String,
    pub(crate) discovery_ca: String,
    pub(crate) jwks_url: String,
    pub(crate) jwks_ca: String,
    pub(crate) public_keys: Vec<String>,
    pub(crate) bound_issuer: String,
    pub(crate) expiration_leeway: i64,
    pub(crate) not_before_leeway: i64,
    pub(crate) clock_skew_leeway: i64,
    /// The public keys, read.
    pub(crate) keys: Vec<StaticKey>,
}

/// `kubernetes`.
#[derive(Clone, Default)]
pub(crate) struct KubernetesSettings {
    pub(crate) host: String,
    pub(crate) ca: String,
    pub(crate) account_jwt: String,
}

/// The types of methods that there are.
pub(crate) const JWT: &str = "jwt";
pub(crate) const KUBERNETES: &str = "kubernetes";
pub(crate) const AWS_IAM: &str = "aws-iam";

const ALGORITHMS: [&str; 9] =
    ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

// === impl Settings ===

impl Settings {
    /// Reads the settings of a method of this type.
    ///
    /// # Errors
    /// Consul's words for what cannot be.
    pub(crate) fn read(kind: &str, config: &Value) -> Result<Self, String> {
        match kind {
            JWT => JwtSettings::read(config).map(|settings| Self::Jwt(Box::new(settings))),
            KUBERNETES => KubernetesSettings::read(config)
                .map(|settings| Self::Kubernetes(Box::new(settings))),
            _ => Err(format!("no auth method registered with type: {kind}")),
        }
    }

    /// What selectors may ask.
    pub(crate) fn schema(&self) -> &'static Schema {
        match self {
            Self::Jwt(_) => &JWT_FIELDS,
            Self::Kubernetes(_) => &KUBERNETES_FIELDS,
        }
    }

    /// The variables of bind names.
    pub(crate) fn variables(&self) -> Vec<String> {
        match self {
            Self::Jwt(jwt) => {
                jwt.claim_mappings.values().map(|name| format!("value.{name}")).collect()
            }
            Self::Kubernetes(_) => {
                ["namespace", "name", "uid"].map(|field| format!("serviceaccount.{field}")).into()
            }
        }
    }
}

// === impl JwtSettings ===

impl JwtSettings {
    fn read(config: &Value) -> Result<Self, String> {
        let mut loose = Loose::new(config);
        let settings = Self {
            algorithms: loose.texts("JWTSupportedAlgs"),
            bound_audiences: loose.texts("BoundAudiences"),
            claim_mappings: loose.pairs("ClaimMappings"),
            list_claim_mappings: loose.pairs("ListClaimMappings"),
            discovery_url: loose.text("OIDCDiscoveryURL"),
            discovery_ca: loose.text("OIDCDiscoveryCACert"),
            jwks_url: loose.text("JWKSURL"),
            jwks_ca: loose.text("JWKSCACert"),
            public_keys: loose.texts("JWTValidationPubKeys"),
            bound_issuer: loose.text("BoundIssuer"),
            expiration_leeway: loose.duration("ExpirationLeeway"),
            not_before_leeway: loose.duration("NotBeforeLeeway"),
            clock_skew_leeway: loose.duration("ClockSkewLeeway"),
            keys: Vec::new(),
        };
        loose.end("ssoauth")?;
        settings.check_sources()?;
        let keys = settings.read_keys()?;
        settings.check_rest()?;
        Ok(Self { keys, ..settings })
    }

    /// Keys come from one place.
    fn check_sources(&self) -> Result<(), String> {
        let sources = [
            !self.discovery_url.is_empty(),
            !self.public_keys.is_empty(),
            !self.jwks_url.is_empty(),
        ];
        if sources.into_iter().filter(|given| *given).count() != 1 {
            return Err("exactly one of 'JWTValidationPubKeys', 'JWKSURL', or 'OIDCDiscoveryURL' must be set for type \"jwt\"".to_owned());
        }
        if self.jwks_url.is_empty() && !self.jwks_ca.is_empty() {
            return Err("'JWKSCACert' should not be set unless 'JWKSURL' is set".to_owned());
        }
        Ok(())
    }

    fn read_keys(&self) -> Result<Vec<StaticKey>, String> {
        let read = |(at, pem): (usize, &String)| {
            let fault = || {
                format!(
                    "error parsing public key JWTValidationPubKeys[{at}]: data does not contain any valid RSA, ECDSA, or ED25519 public keys"
                )
            };
            jwt::static_key(pem).ok_or_else(fault)
        };
        self.public_keys.iter().enumerate().map(read).collect()
    }

    fn check_rest(&self) -> Result<(), String> {
        if self.discovery_url.is_empty() && !self.discovery_ca.is_empty() {
            return Err("'OIDCDiscoveryCACert' should not be set unless 'OIDCDiscoveryURL' is set"
                .to_owned());
        }
        if let Some(odd) = self.algorithms.iter().find(|name| !ALGORITHMS.contains(&name.as_str()))
        {
            return Err(format!("Invalid supported algorithm: {odd}"));
        }
        check_targets("ClaimMappings", &self.claim_mappings)?;
        check_targets("ListClaimMappings", &self.list_claim_mappings)
    }
}

fn check_targets(setting: &str, mappings: &BTreeMap<String, String>) -> Result<(), String> {
    let mut names: Vec<&String> = mappings.values().collect();
    names.sort();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!(
            "{setting} contains multiple mappings for key {}",
            crate::go::text::quote(pair[0])
        )),
        None => Ok(()),
    }
}

// === impl KubernetesSettings ===

impl KubernetesSettings {
    fn read(config: &Value) -> Result<Self, String> {
        let mut loose = Loose::new(config);
        let settings = Self {
            host: loose.text("Host"),
            ca: loose.text("CACert"),
            account_jwt: loose.text("ServiceAccountJWT"),
        };
        loose.end("kubeauth")?;
        if settings.host.is_empty() {
            return Err("Config.Host is required".to_owned());
        }
        if settings.ca.is_empty() {
            return Err("Config.CACert is required".to_owned());
        }
        if !jwt::has_certificate(&settings.ca) {
            return Err("error parsing kubernetes ca cert: data does not contain any valid RSA or ECDSA certificates".to_owned());
        }
        if settings.account_jwt.is_empty() {
            return Err("Config.ServiceAccountJWT is required".to_owned());
        }
        jwt::Jws::parse(&settings.account_jwt)
            .map_err(|fault| format!("Config.ServiceAccountJWT is not a valid JWT: {fault}"))?;
        Ok(settings)
    }
}

/// Reads values of nearly the right type, and gathers what is wrong.
struct Loose<'a> {
    config: &'a Value,
    known: Vec<&'static str>,
    faults: Vec<String>,
}

// === impl Loose ===

impl<'a> Loose<'a> {
    fn new(config: &'a Value) -> Self {
        Self { config, known: Vec::new(), faults: Vec::new() }
    }

    /// The value of a key, written in any case; exactly written is taken first.
    fn value(&mut self, key: &'static str) -> &'a Value {
        self.known.push(key);
        let pairs = self.config.as_object();
        let exact = pairs.and_then(|pairs| pairs.get(key));
        let alike = || {
            pairs?.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value)
        };
        exact.or_else(alike).unwrap_or(&Value::Null)
    }

    fn unfit(&mut self, place: &str, expected: &str, value: &Value) {
        let found = go_type(value);
        self.faults.push(format!(
            "'{place}' expected type '{expected}', got unconvertible type '{found}'"
        ));
    }

    fn as_text(&mut self, place: &str, value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            Value::Bool(yes) => u8::from(*yes).to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                self.unfit(place, "string", value);
                String::new()
            }
        }
    }

    fn text(&mut self, key: &'static str) -> String {
        let value = self.value(key);
        self.as_text(key, value)
    }

    /// A list, or one value that stands for a list of one.
    fn texts(&mut self, key: &'static str) -> Vec<String> {
        match self.value(key) {
            Value::Null => Vec::new(),
            Value::Object(pairs) if pairs.is_empty() => Vec::new(),
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(at, item)| self.as_text(&format!("{key}[{at}]"), item))
                .collect(),
            one => vec![self.as_text(&format!("{key}[0]"), one)],
        }
    }

    fn pairs(&mut self, key: &'static str) -> BTreeMap<String, String> {
        match self.value(key) {
            Value::Null => BTreeMap::new(),
            Value::Object(pairs) => pairs
                .iter()
                .map(|(name, value)| (name.clone(), self.as_text(&format!("{key}[{name}]"), value)))
                .collect(),
            other => {
                self.unfit(key, "map[string]string", other);
                BTreeMap::new()
            }
        }
    }

    /// Nanoseconds as a number, or as a text with nothing but a number.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "so does Go with longer leeways than centuries"
    )]
    fn duration(&mut self, key: &'static str) -> i64 {
        match self.value(key) {
            Value::Null => 0,
            Value::Bool(yes) => i64::from(*yes),
            Value::Number(number) => {
                number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or(0.0) as i64)
            }
            Value::String(text) if text.is_empty() => 0,
            Value::String(text) => text.parse().unwrap_or_else(|_| {
                self.faults.push(format!("'{key}' cannot parse value as 'time.Duration': strconv.ParseInt: invalid syntax"));
                0
            }),
            other => {
                self.unfit(key, "time.Duration", other);
                0
            }
        }
    }

    /// What is wrong with all of it, keys that nobody knows among it.
    fn end(mut self, package: &str) -> Result<(), String> {
        let pairs = self.config.as_object();
        let odd: Vec<&str> = pairs
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .filter(|name| !self.known.iter().any(|known| known.eq_ignore_ascii_case(name)))
            .collect();
        if !odd.is_empty() {
            self.faults.push(format!("'{package}.Config' has invalid keys: {}", odd.join(", ")));
        }
        if self.faults.is_empty() {
            return Ok(());
        }
        let faults = self.faults.join("\n");
        Err(format!(
            "error decoding config: decoding failed due to the following error(s):\n\n{faults}"
        ))
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, config: Value, told: &str) {
        let read = Settings::read(kind, &config).map(drop);
        assert_eq!(read, Err(told.to_owned()), "{config}");
    }

    #[test]
    fn settings_are_refused_in_consuls_words() {
        let one = "exactly one of 'JWTValidationPubKeys', 'JWKSURL', or 'OIDCDiscoveryURL' must be set for type \"jwt\"";
        let decoding = "error decoding config: decoding failed due to the following error(s):\n\n";
        let jwks = "http://127.0.0.1:1";
        check("jwt", json!(null), one);
        check("jwt", json!({"JWKSURL": jwks, "OIDCDiscoveryURL": jwks}), one);
        check(
            "jwt",
            json!({"Foo": 1, "Bar": 2}),
            &format!("{decoding}'ssoauth.Config' has invalid keys: Bar, Foo"),
        );
        check(
            "jwt",
            json!({"BoundIssuer": ["x"], "ClaimMappings": 3, "ExpirationLeeway": "x"}),
            &format!(
                "{decoding}'ClaimMappings' expected type 'map[string]string', got unconvertible type 'float64'\n'BoundIssuer' expected type 'string', got unconvertible type '[]interface {{}}'\n'ExpirationLeeway' cannot parse value as 'time.Duration': strconv.ParseInt: invalid syntax"
            ),
        );
        check(
            "jwt",
            json!({"JWTSupportedAlgs": 3, "BoundAudiences": {"a": 1}}),
            &format!(
                "{decoding}'BoundAudiences[0]' expected type 'string', got unconvertible type 'map[string]interface {{}}'"
            ),
        );
        check(
            "jwt",
            json!({"JWTValidationPubKeys": "x"}),
            "error parsing public key JWTValidationPubKeys[0]: data does not contain any valid RSA, ECDSA, or ED25519 public keys",
        );
        check(
            "jwt",
            json!({"JWKSURL": jwks, "JWTSupportedAlgs": ["none"]}),
            "Invalid supported algorithm: none",
        );
        check(
            "jwt",
            json!({"JWKSURL": jwks, "ClaimMappings": {"a": "x", "b": "x"}}),
            "ClaimMappings contains multiple mappings for key \"x\"",
        );
        check(
            "jwt",
            json!({"OIDCDiscoveryURL": jwks, "JWKSCACert": "x"}),
            "'JWKSCACert' should not be set unless 'JWKSURL' is set",
        );
        check("kubernetes", json!({}), "Config.Host is required");
        check(
            "kubernetes",
            json!({"Host": "x", "CACert": "x"}),
            "error parsing kubernetes ca cert: data does not contain any valid RSA or ECDSA certificates",
        );
    }

    #[test]
    fn one_value_stands_for_a_list() {
        let config = json!({"jwksurl": "http://x", "BoundAudiences": "a", "ExpirationLeeway": 1e9});
        let Ok(Settings::Jwt(settings)) = Settings::read("jwt", &config) else {
            panic!("{config}")
        };
        assert_eq!(settings.bound_audiences, ["a"]);
        assert_eq!(settings.expiration_leeway, 1_000_000_000);
    }
}
