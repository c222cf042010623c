//! The keys of `jwt` methods: those of the settings, a JWKS page's, or an OpenID Connect provider's.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use proconsul_anchors::clock::Time;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::login::claims::Registered;
use crate::login::fault::{ClaimFault, KeyFault, LoginFault, OidcFault};
use crate::login::fetch::{Fetch, FetchError, FetchRequest, Fetched};
use crate::login::jwt::{self, FetchedKey, Jws, key_set};
use crate::login::settings::JwtSettings;

/// What a provider tells of itself where tokens are signed by other means when it says nothing.
const DEFAULT_ALGORITHM: &str = "RS256";

/// How much of a page that cannot be read is told, in bytes.
const SHOWN_BYTES_MAX: usize = 4096;

/// The keys of one method as they were fetched last.
pub(super) struct KeySet {
    keys: ArcSwap<Vec<FetchedKey>>,
    provider: ArcSwapOption<Provider>,
    /// One fetches at a time; others wait for what it brings.
    turn: Semaphore,
}

/// What an OpenID Connect provider tells of itself.
struct Provider {
    jwks_url: String,
    algorithms: Vec<String>,
}

/// Whether the method's keys can be had now.
pub(super) async fn probe(fetch: &dyn Fetch, settings: &JwtSettings) -> Result<(), LoginFault> {
    if !settings.jwks_url.is_empty() {
        let keys = fetch_keys(fetch, &settings.jwks_url, &settings.jwks_ca).await;
        keys.map_err(|fault| match fault {
            KeyFault::Fetch(error @ FetchError::Ca) => LoginFault::JwksCa(error),
            fault => LoginFault::Jwks(fault),
        })?;
    }
    if !settings.discovery_url.is_empty() {
        discover(fetch, settings).await.map_err(|fault| match fault {
            KeyFault::Unreachable(error @ FetchError::Ca) => LoginFault::DiscoveryCa(error),
            fault => LoginFault::Discovery(fault),
        })?;
    }
    Ok(())
}

async fn fetch_keys(fetch: &dyn Fetch, url: &str, ca: &str) -> Result<Vec<FetchedKey>, KeyFault> {
    let fetched = fetch.fetch(FetchRequest::get(url, ca)).await.map_err(KeyFault::Fetch)?;
    let body = || shown(&fetched.body);
    if fetched.status != 200 {
        return Err(KeyFault::Status { status: status_line(&fetched), body: body() });
    }
    let set = json(&fetched).map_err(|fault| KeyFault::Undecoded { fault, body: body() })?;
    let shape = || {
        let kind = match &set {
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::Null | Value::Object(_) => "object",
        };
        let fault = undecoded(
            &fetched,
            &format!("json: cannot unmarshal {kind} into Go value of type jose.JSONWebKeySet"),
        );
        KeyFault::Undecoded { fault, body: body() }
    };
    key_set(&set).ok_or_else(shape)
}

async fn discover(fetch: &dyn Fetch, settings: &JwtSettings) -> Result<Provider, KeyFault> {
    let issuer = &settings.discovery_url;
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    let url = format!("{base}/.well-known/openid-configuration");
    let request = FetchRequest::get(&url, &settings.discovery_ca);
    let fetched = fetch.fetch(request).await.map_err(KeyFault::Unreachable)?;
    if fetched.status != 200 {
        let body = shown(&fetched.body);
        return Err(KeyFault::DiscoveryStatus { status: status_line(&fetched), body });
    }
    let told = json(&fetched).map_err(KeyFault::DiscoveryUndecoded)?;
    let text = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let got = text("issuer");
    if got != *issuer {
        return Err(KeyFault::Issuer { expected: issuer.clone(), got });
    }
    let algorithms = told.get("id_token_signing_alg_values_supported").and_then(Value::as_array);
    let names = algorithms.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Ok(Provider { jwks_url: text("jwks_uri"), algorithms: names.collect() })
}

fn json(fetched: &Fetched) -> Result<Value, String> {
    serde_json::from_slice(&fetched.body).map_err(|error| {
        let told = match crate::go::json::parse(&fetched.body) {
            Err(fault) => fault.to_string(),
            Ok(_) => error.to_string(),
        };
        undecoded(fetched, &told)
    })
}

fn undecoded(fetched: &Fetched, told: &str) -> String {
    let media = fetched.content_type.split(';').next().unwrap_or("").trim();
    if media.eq_ignore_ascii_case("application/json") {
        format!("got Content-Type = application/json, but could not unmarshal as JSON: {told}")
    } else {
        let got = crate::go::text::quote(&fetched.content_type);
        format!("expected Content-Type = application/json, got {got}: {told}")
    }
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES_MAX)]).into_owned()
}

fn status_line(fetched: &Fetched) -> String {
    format!("{} {}", fetched.status, fetched.reason)
}

// === impl KeySet ===

impl Default for KeySet {
    fn default() -> Self {
        Self {
            keys: ArcSwap::default(),
            provider: ArcSwapOption::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl KeySet {
    /// The claims of a token that holds now.
    pub(super) async fn verify(
        &self,
        fetch: &dyn Fetch,
        settings: &JwtSettings,
        bearer: &str,
        now: Time,
    ) -> Result<Value, LoginFault> {
        if !settings.discovery_url.is_empty() {
            return self.verify_oidc(fetch, settings, bearer, now).await;
        }
        let (claims, registered) = if settings.jwks_url.is_empty() {
            signed_by_static(settings, bearer)?
        } else {
            let jws =
                Jws::parse(bearer).map_err(KeyFault::Malformed).map_err(LoginFault::Verify)?;
            let (url, ca) = (&settings.jwks_url, &settings.jwks_ca);
            self.check_signature(fetch, &jws, url, ca).await.map_err(LoginFault::Verify)?;
            let claims = jws.claims().map_err(|_| LoginFault::Unmarshal(ClaimFault::Shape))?;
            let registered = Registered::of(&claims).map_err(LoginFault::Unmarshal)?;
            (claims, registered)
        };
        registered.check(settings, now)?;
        Ok(claims)
    }

    async fn verify_oidc(
        &self,
        fetch: &dyn Fetch,
        settings: &JwtSettings,
        bearer: &str,
        now: Time,
    ) -> Result<Value, LoginFault> {
        let provider = match self.provider.load_full() {
            Some(provider) => provider,
            None => {
                let found = discover(fetch, settings).await.map_err(LoginFault::Discovery)?;
                let found = Arc::new(found);
                self.provider.store(Some(Arc::clone(&found)));
                found
            }
        };
        let jws = parse_oidc(bearer).map_err(LoginFault::Oidc)?;
        let unmarshal = |fault| LoginFault::Oidc(OidcFault::Unmarshal(fault));
        let claims = jws.claims().map_err(|_| unmarshal(ClaimFault::Shape))?;
        let registered = Registered::of(&claims).map_err(unmarshal)?;
        registered.check_oidc(&settings.discovery_url, now).map_err(LoginFault::Oidc)?;
        check_algorithm(&jws, settings, &provider).map_err(LoginFault::Oidc)?;
        let (url, ca) = (&provider.jwks_url, &settings.discovery_ca);
        let signed = self.check_signature(fetch, &jws, url, ca).await;
        signed.map_err(OidcFault::Key).map_err(LoginFault::Oidc)?;
        match registered.audience_fault(&settings.bound_audiences, false) {
            Some(fault) => Err(LoginFault::Claims(fault)),
            None => Ok(claims),
        }
    }

    /// Looks for who signed among the keys that are known, then among those that the page has now.
    async fn check_signature(
        &self,
        fetch: &dyn Fetch,
        jws: &Jws,
        url: &str,
        ca: &str,
    ) -> Result<(), KeyFault> {
        let known = self.keys.load_full();
        if jws.is_signed_by_any(&known) {
            return Ok(());
        }
        let _turn = self.turn.acquire().await.expect("nobody closes the semaphore");
        let mut keys = self.keys.load_full();
        // Whoever had the turn before may have fetched them.
        if Arc::ptr_eq(&known, &keys) {
            keys = Arc::new(fetch_keys(fetch, url, ca).await?);
            self.keys.store(Arc::clone(&keys));
        }
        if jws.is_signed_by_any(&keys) { Ok(()) } else { Err(KeyFault::Unsigned) }
    }
}

/// Claims that no key's holder can have meant count as signed by none.
fn signed_by_static(
    settings: &JwtSettings,
    bearer: &str,
) -> Result<(Value, Registered), LoginFault> {
    let jws = Jws::parse(bearer).map_err(LoginFault::Token)?;
    if !settings.keys.iter().any(|key| jws.is_signed_by(key)) {
        return Err(LoginFault::NoKey);
    }
    let claims = jws.claims().map_err(|_| LoginFault::NoKey)?;
    let registered = Registered::of(&claims).map_err(|_| LoginFault::NoKey)?;
    Ok((claims, registered))
}

/// Takes a token apart; its payload is looked at before the rest.
fn parse_oidc(bearer: &str) -> Result<Jws, OidcFault> {
    let parts: Vec<&str> = bearer.split('.').collect();
    let payload = parts.get(1).ok_or(OidcFault::Parts(parts.len()))?;
    jwt::decode(payload).map_err(OidcFault::Payload)?;
    Jws::parse(bearer).map_err(OidcFault::Malformed)
}

fn check_algorithm(
    jws: &Jws,
    settings: &JwtSettings,
    provider: &Provider,
) -> Result<(), OidcFault> {
    let configured = [&settings.algorithms, &provider.algorithms];
    let supported = configured.into_iter().find(|names| !names.is_empty());
    let usual = vec![DEFAULT_ALGORITHM.to_owned()];
    let supported = supported.unwrap_or(&usual);
    if supported.contains(&jws.algorithm) {
        return Ok(());
    }
    let expected: Vec<String> = supported.iter().map(|name| crate::go::text::quote(name)).collect();
    Err(OidcFault::Algorithm {
        got: jws.algorithm.clone(),
        expected: format!("[{}]", expected.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use serde_json::json;

    use super::*;
    use crate::login::Fetching;
    use crate::login::jwt::tests::{public_jwk, signed};
    use crate::login::settings::Settings;

    /// Pages that the test writes, and how often they were asked for.
    #[derive(Default)]
    struct Pages {
        keys: StdMutex<Value>,
        asked: AtomicUsize,
    }

    impl Fetch for Pages {
        fn fetch(&self, request: FetchRequest) -> Fetching<'_> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let told = if request.url.ends_with("/keys") {
                self.keys.lock().unwrap().clone()
            } else {
                json!({"issuer": "http://they", "jwks_uri": "http://they/keys", "id_token_signing_alg_values_supported": ["EdDSA"]})
            };
            let body = Bytes::from(told.to_string());
            let kind = "application/json".to_owned();
            let fetched = Fetched { status: 200, reason: "OK".into(), content_type: kind, body };
            Box::pin(std::future::ready(Ok(fetched)))
        }
    }

    fn settings(config: Value) -> JwtSettings {
        match Settings::read("jwt", &config) {
            Ok(Settings::Jwt(settings)) => *settings,
            _ => panic!("these are settings of JWTs"),
        }
    }

    async fn check(
        keys: &KeySet,
        pages: &Pages,
        settings: &JwtSettings,
        key_id: &str,
        asked: usize,
        told: Result<(), &str>,
    ) {
        let claims = json!({"iss": "http://they", "iat": 900, "exp": 2_000});
        let token = signed(&json!({"alg": "EdDSA", "kid": key_id}), &claims);
        let before = pages.asked.load(Ordering::Relaxed);
        let verified = keys.verify(pages, settings, &token, Time(1_000_000_000_000)).await;
        let verified = verified.map(drop).map_err(|fault| fault.to_string());
        assert_eq!(verified, told.map_err(str::to_owned), "{key_id}");
        assert_eq!(pages.asked.load(Ordering::Relaxed) - before, asked, "{key_id}");
    }

    #[tokio::test]
    async fn keys_are_fetched_when_they_are_new() {
        let (keys, pages) = (KeySet::default(), Pages::default());
        let settings = settings(json!({"JWKSURL": "http://they/keys"}));
        let unsigned = "error verifying token: failed to verify id token signature";
        *pages.keys.lock().unwrap() = json!({"keys": [public_jwk("a")]});
        check(&keys, &pages, &settings, "a", 1, Ok(())).await;
        check(&keys, &pages, &settings, "a", 0, Ok(())).await;
        check(&keys, &pages, &settings, "b", 1, Err(unsigned)).await;
        *pages.keys.lock().unwrap() = json!({"keys": [public_jwk("b")]});
        check(&keys, &pages, &settings, "b", 1, Ok(())).await;
        check(&keys, &pages, &settings, "a", 1, Err(unsigned)).await;
    }

    #[tokio::test]
    async fn a_provider_is_discovered_once() {
        let (keys, pages) = (KeySet::default(), Pages::default());
        let settings = settings(json!({"OIDCDiscoveryURL": "http://they"}));
        *pages.keys.lock().unwrap() = json!({"keys": [public_jwk("a")]});
        check(&keys, &pages, &settings, "a", 2, Ok(())).await;
        check(&keys, &pages, &settings, "a", 0, Ok(())).await;
        let elsewhere = JwtSettings { discovery_url: "http://others".into(), ..settings };
        assert!(probe(&pages, &elsewhere).await.is_err());
    }
}
