//! Which requests a source may make.

use std::collections::BTreeSet;

use crate::entries::shared::is_http_method;
use crate::text::{Reasons, Verdict, quote, refuse};
use crate::wire::record;

record! {
    /// Requests, and whether they are let through.
    Permission = "IntentionPermission" {
        action: String = "Action" always,
        http: Option<Box<HttpPermission>> = "HTTP" omit,
        jwt: Option<Box<JwtRequirement>> = "JWT" omit,
    }
}

record! {
    /// Which requests.
    HttpPermission = "IntentionHTTPPermission" {
        exact: String = "PathExact" | "path_exact" omit,
        prefix: String = "PathPrefix" | "path_prefix" omit,
        regex: String = "PathRegex" | "path_regex" omit,
        headers: Vec<HeaderPermission> = "Header" omit,
        methods: Vec<String> = "Methods" omit,
    }
}

record! {
    /// A header that they have.
    HeaderPermission = "IntentionHTTPHeaderPermission" {
        name: String = "Name" always,
        present: bool = "Present" omit,
        exact: String = "Exact" omit,
        prefix: String = "Prefix" omit,
        suffix: String = "Suffix" omit,
        contains: String = "Contains" omit,
        regex: String = "Regex" omit,
        invert: bool = "Invert" omit,
        ignore_case: bool = "IgnoreCase" | "ignore_case" omit,
    }
}

record! {
    /// Tokens that must be brought.
    JwtRequirement = "IntentionJWTRequirement" {
        providers: Vec<Provider> = "Providers" omit,
    }
}

record! {
    /// Whose.
    Provider = "IntentionJWTProvider" {
        name: String = "Name" omit,
        claims: Vec<Claim> = "VerifyClaims" | "verify_claims" omit,
    }
}

record! {
    /// What they must say.
    Claim = "IntentionJWTClaimVerification" {
        path: Vec<String> = "Path" omit,
        value: String = "Value" omit,
    }
}

// === impl JwtRequirement ===

impl JwtRequirement {
    pub(crate) fn validate(&self) -> Verdict {
        let mut reasons = Reasons::default();
        for _ in self.providers.iter().filter(|provider| provider.name.is_empty()) {
            reasons.add("JWT provider name is required");
        }
        reasons.verdict()
    }
}

// === impl Permission ===

impl Permission {
    pub(crate) fn validate(&self, place: &str) -> Verdict {
        if !matches!(self.action.as_str(), "allow" | "deny") {
            refuse!("{place}.Action must be set to 'allow' or 'deny'");
        }
        let Some(http) = &self.http else { refuse!("{place}.HTTP is required") };
        http.validate(&format!("{place}.HTTP"))?;
        self.jwt.as_ref().map_or(Ok(()), |jwt| jwt.validate())
    }
}

// === impl HttpPermission ===

impl HttpPermission {
    fn validate(&self, place: &str) -> Verdict {
        for (name, path) in [("PathExact", &self.exact), ("PathPrefix", &self.prefix)] {
            if !path.is_empty() && !path.starts_with('/') {
                refuse!("{place}.{name} doesn't start with '/': {}", quote(path));
            }
        }
        let paths = [&self.exact, &self.prefix, &self.regex];
        let paths = paths.iter().filter(|path| !path.is_empty()).count();
        if paths > 1 {
            refuse!(
                "{place} should only contain at most one of PathExact, PathPrefix, or PathRegex"
            );
        }
        for (at, header) in self.headers.iter().enumerate() {
            header.validate(&format!("{place}.Header[{at}]"))?;
        }
        let mut seen = BTreeSet::new();
        for method in &self.methods {
            if !is_http_method(method) {
                refuse!("{place}.Methods contains an invalid method {}", quote(method));
            }
            if !seen.insert(method) {
                refuse!("{place}.Methods contains {} more than once", quote(method));
            }
        }
        if paths == 0 && self.headers.is_empty() && self.methods.is_empty() {
            refuse!("{place} should not be empty");
        }
        Ok(())
    }
}

// === impl HeaderPermission ===

impl HeaderPermission {
    fn validate(&self, place: &str) -> Verdict {
        if self.name.is_empty() {
            refuse!("{place} missing required Name field");
        }
        let texts = [&self.exact, &self.regex, &self.prefix, &self.suffix, &self.contains];
        let given = texts.iter().filter(|text| !text.is_empty()).count();
        if given + usize::from(self.present) != 1 {
            refuse!(
                "{place} should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex"
            );
        }
        if self.ignore_case && (self.present || !self.regex.is_empty()) {
            refuse!(
                "{place} should set one of Exact, Prefix, Suffix, or Contains when using IgnoreCase"
            );
        }
        Ok(())
    }
}
