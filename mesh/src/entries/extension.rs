//! Whether extensions of Envoy are ones that there are.
//!
//! The arguments of two of them are looked at (`builtin/lua`, `builtin/aws/lambda`); those of the others are for the proxy to judge.

use serde_json::Value;

use crate::entries::shared::EnvoyExtension;
use crate::text::{Reasons, Verdict, quote};

const BUILTIN: [&str; 6] = [
    "builtin/otel-access-logging",
    "builtin/lua",
    "builtin/aws/lambda",
    "builtin/property-override",
    "builtin/wasm",
    "builtin/ext-authz",
];

/// What there is to say against them.
pub(crate) fn check(extensions: &[EnvoyExtension]) -> Reasons {
    let mut reasons = Reasons::default();
    for (at, extension) in extensions.iter().enumerate() {
        let place = format!("invalid EnvoyExtensions[{at}]");
        let name = extension.name.as_str();
        let malformed = |versions: &str| !versions.is_empty() && !is_constraint(versions);
        if name.is_empty() {
            reasons.add(format!("{place}: Name is required"));
        } else if malformed(&extension.envoy_version) {
            let version = &extension.envoy_version;
            reasons.add(format!("{place}.EnvoyVersion: malformed constraint: {version}"));
        } else if malformed(&extension.consul_version) {
            let version = &extension.consul_version;
            reasons.add(format!("{place}.ConsulVersion: malformed constraint: {version}"));
        } else if !BUILTIN.contains(&name) {
            let quoted = quote(name);
            reasons.add(format!("{place}[{name}]: name {quoted} is not a built-in extension"));
        } else if let Err(reason) = check_arguments(extension) {
            reasons.add(format!("{place}[{name}]: {reason}"));
        }
    }
    reasons
}

fn check_arguments(extension: &EnvoyExtension) -> Verdict {
    let argument = |name: &str| -> String {
        let arguments = extension.arguments.0.iter().flatten();
        let mut found = arguments.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        match found.next().map(|(_, value)| &value.0) {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        }
    };
    let mut reasons = Reasons::default();
    match extension.name.as_str() {
        "builtin/lua" => {
            let (proxy, listener) = (argument("ProxyType"), argument("Listener"));
            if argument("Script").is_empty() {
                reasons.add("missing Script value");
            }
            if !matches!(proxy.as_str(), "" | "connect-proxy" | "api-gateway") {
                reasons.add(format!("unexpected ProxyType {}", quote(&proxy)));
            }
            if !matches!(listener.as_str(), "inbound" | "outbound") {
                reasons.add(format!("unexpected Listener {}", quote(&listener)));
            }
        }
        "builtin/aws/lambda" if argument("ARN").is_empty() => reasons.add("ARN is required"),
        _ => {}
    }
    reasons.verdict()
}

/// Whether a text is a list of version constraints: `>= 1.0, < 2`.
fn is_constraint(text: &str) -> bool {
    const OPERATORS: [&str; 8] = [">=", "<=", "!=", "~>", "=", ">", "<", ""];
    text.split(',').all(|part| {
        let part = part.trim();
        let operator = OPERATORS.iter().find(|operator| part.starts_with(**operator));
        let version = part[operator.map_or(0, |operator| operator.len())..].trim_start();
        let version = version.strip_prefix('v').unwrap_or(version);
        let core = version.split(['-', '+']).next().unwrap_or("");
        core.split('.')
            .all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_told_from_words() {
        for (text, fine) in
            [(">= 1.0, < 2", true), ("1.2.3-beta", true), ("bad", false), (">=", false)]
        {
            assert_eq!(is_constraint(text), fine, "{text}");
        }
    }
}
