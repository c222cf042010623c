//! Why nobody is logged in, in Consul's words.

use proconsul_anchors::clock::Time;
use proconsul_anchors::interpolate::FillError;

use crate::acl::templates::TemplateFault;
use crate::go::text::quote;
use crate::go::time::show_time;
use crate::login::fetch::FetchError;
use crate::login::jwt::JwsFault;

/// A moment as Go's `Time.String` writes it.
fn spoken(time: Time) -> String {
    show_time(time).replace('T', " ").replace('Z', " +0000 UTC")
}

/// Why a bearer token stands for nobody, or a method cannot work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginFault {
    #[error("missing jwt")]
    MissingJwt,
    #[error("error parsing token: {0}")]
    Token(JwsFault),
    #[error("no known key successfully validated the token signature")]
    NoKey,
    #[error("error verifying token: {0}")]
    Verify(KeyFault),
    #[error("failed to unmarshal claims: {0}")]
    Unmarshal(ClaimFault),
    #[error("no issue time, notbefore, or expiration time encoded in token")]
    Timeless,
    #[error("error validating claims: {0}")]
    Claims(ClaimFault),
    #[error("error validating signature: {0}")]
    Oidc(OidcFault),
    #[error("error converting claim '{claim}' to string from unknown type {found}")]
    ClaimType { claim: String, found: &'static str },
    #[error("{} list claim could not be converted to string list", quote(.0))]
    ListClaim(String),
    #[error("value {value} in {} list claim could not be parsed as string", quote(.claim))]
    ListValue { value: String, claim: String },
    #[error("{0}")]
    Kubernetes(KubernetesFault),
    #[error("error checking JWKSCACert: {0}")]
    JwksCa(FetchError),
    #[error("error checking JWKSURL: {0}")]
    Jwks(KeyFault),
    #[error("error checking OIDCDiscoveryCACert: {0}")]
    DiscoveryCa(FetchError),
    #[error("error checking OIDCDiscoveryURL: {0}")]
    Discovery(KeyFault),
    #[error("auth method validator for {} could not be initialized: {fault}", quote(.method))]
    Uninitialized { method: String, fault: String },
    #[error("error interpreting template: {0}")]
    Template(FillError),
    #[error("failed to interpret templated policy variables: {0}")]
    Variables(FillError),
    #[error("failed to generate ACL token name: {0}")]
    TokenName(FillError),
    #[error("invalid bind name: {}", quote(.0))]
    BindName(String),
    #[error("Bind name for templated-policy bind type does not match existing template name: {0}")]
    BindTemplate(String),
    #[error("templated policy failed validation: {0}")]
    BindVariables(TemplateFault),
}

/// Why there are no keys, or none of them signed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFault {
    #[error("oidc: malformed jwt: {0}")]
    Malformed(JwsFault),
    #[error("fetching keys oidc: get keys failed {0}")]
    Fetch(FetchError),
    #[error("fetching keys oidc: get keys failed: {status} {body}")]
    Status { status: String, body: String },
    #[error("fetching keys oidc: failed to decode keys: {fault} {body}")]
    Undecoded { fault: String, body: String },
    #[error("failed to verify id token signature")]
    Unsigned,
    #[error("{0}")]
    Unreachable(FetchError),
    #[error("{status}: {body}")]
    DiscoveryStatus { status: String, body: String },
    #[error("oidc: failed to decode provider discovery object: {0}")]
    DiscoveryUndecoded(String),
    #[error(
        "oidc: issuer did not match the issuer returned by provider, expected {} got {}",
        quote(.expected), quote(.got)
    )]
    Issuer { expected: String, got: String },
}

/// What is wrong with the claims of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClaimFault {
    #[error("go-jose/go-jose/jwt: validation failed, invalid issuer claim (iss)")]
    Issuer,
    #[error("go-jose/go-jose/jwt: validation failed, token not valid yet (nbf)")]
    NotYet,
    #[error("go-jose/go-jose/jwt: validation failed, token is expired (exp)")]
    Expired,
    #[error("go-jose/go-jose/jwt: validation field, token issued in the future (iat)")]
    FromTheFuture,
    #[error("audience claim found in JWT but no audiences are bound")]
    UnboundAudience,
    #[error("aud claim does not match any bound audience")]
    Audience,
    #[error("go-jose/go-jose/jwt: expected number value to unmarshal NumericDate")]
    Date,
    #[error("go-jose/go-jose/jwt: expected string or array value to unmarshal to Audience")]
    AudienceType,
    #[error("json: cannot unmarshal claims into Go value of type jwt.Claims")]
    Shape,
}

/// What is wrong with a token of an OpenID Connect provider.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OidcFault {
    #[error("oidc: malformed jwt: {0}")]
    Malformed(JwsFault),
    #[error("oidc: malformed jwt: oidc: malformed jwt, expected 3 parts got {0}")]
    Parts(usize),
    #[error("oidc: malformed jwt: oidc: malformed jwt payload: {0}")]
    Payload(JwsFault),
    #[error("oidc: failed to unmarshal claims: {0}")]
    Unmarshal(ClaimFault),
    #[error(
        "oidc: id token issued by a different provider, expected {} got {}",
        quote(.expected), quote(.got)
    )]
    Issuer { expected: String, got: String },
    #[error("oidc: token is expired (Token Expiry: {})", spoken(*.0))]
    Expired(Time),
    #[error("oidc: current time {} before the nbf (not before) time: {}", spoken(*.now), spoken(*.from))]
    NotYet { now: Time, from: Time },
    #[error("oidc: malformed jwt: unexpected signature algorithm {}; expected {expected}", quote(.got))]
    Algorithm { got: String, expected: String },
    #[error("failed to verify signature: {0}")]
    Key(KeyFault),
}

/// Why Kubernetes does not vouch for a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KubernetesFault {
    #[error("failed to parse and validate JWT: {0}")]
    Token(JwsFault),
    #[error("{0}")]
    Unreachable(FetchError),
    #[error("{0}")]
    Refused(String),
    #[error("lookup failed: {0}")]
    Lookup(String),
    #[error("lookup failed: service account jwt not valid")]
    Unauthenticated,
    #[error("lookup failed: unexpected username format")]
    UserName,
    #[error("lookup failed: username returned is not a service account")]
    NoServiceAccount,
    #[error("annotation lookup failed: {0}")]
    Annotations(String),
}
