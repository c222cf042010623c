//! Where the agent is and who asks it: from flags, files and the environment.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Once;

use base64::Engine as _;
use reqwest::{Certificate, Client, ClientBuilder, Identity};

use super::super::Call;
use super::fault::address_of;
use super::{ADDRESS, Api};
use crate::config::reason;

/// What a flag or else an environment variable says; empty counts as nothing.
fn said(call: &Call, flag: &str, variable: &str) -> Option<String> {
    let flag = call.matches.try_get_one::<String>(flag).ok().flatten().cloned();
    flag.or_else(|| env::var(variable).ok()).filter(|text| !text.is_empty())
}

/// The agent at this address, else the one that flags and environment name.
///
/// # Errors
/// A sentence that names what cannot be used.
pub(super) fn connect(call: &Call, address: Option<String>) -> Result<Api, String> {
    let address = address.or_else(|| said(call, "http-addr", "CONSUL_HTTP_ADDR"));
    let address = address.unwrap_or_else(|| ADDRESS.to_owned());
    let secure = env_flag("CONSUL_HTTP_SSL").unwrap_or(false);
    let (scheme, rest) = match address.split_once("://") {
        None => (if secure { "https" } else { "http" }, address.as_str()),
        Some(("http", rest)) => (if secure { "https" } else { "http" }, rest),
        Some(("https", rest)) => ("https", rest),
        Some(("unix", _)) => ("http", "localhost"),
        Some((other, _)) => return Err(format!("Unknown protocol scheme: {other}")),
    };
    let socket = address.strip_prefix("unix://");
    let (host, prefix) = rest
        .split_once('/')
        .map_or((rest, String::new()), |(host, path)| (host, format!("/{path}")));
    let prefix = prefix.trim_end_matches('/').to_owned();
    let mut common = Vec::new();
    for (flag, variable, name) in [
        ("datacenter", "", "dc"),
        ("namespace", "CONSUL_NAMESPACE", "ns"),
        ("partition", "CONSUL_PARTITION", "partition"),
    ] {
        common.extend(said(call, flag, variable).map(|value| (name.to_owned(), value)));
    }
    if call.matches.try_get_one::<bool>("stale").ok().flatten() == Some(&true) {
        common.push(("stale".to_owned(), String::new()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|fault| fault.to_string())?;
    let basic = env::var("CONSUL_HTTP_AUTH").ok().filter(|pair| !pair.is_empty());
    let basic = basic
        .map(|pair| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)));
    let server_name = said(call, "tls-server-name", "CONSUL_TLS_SERVER_NAME");
    let server_name = server_name.filter(|_| scheme == "https");
    let mut client = client(call)?;
    if let Some(path) = socket {
        client = client.unix_socket(path);
    }
    if let (Some(name), Some(address)) = (&server_name, address_of(host, scheme)) {
        // The name stands in the URL, and leads to the agent's address all the same.
        client = client.resolve(name, address);
    }
    Ok(Api {
        client: client.build().map_err(|fault| fault.to_string())?,
        runtime,
        scheme,
        host: host.to_owned(),
        server_name,
        socket: socket.map(str::to_owned),
        prefix,
        token: token(call)?,
        basic,
        common,
    })
}

/// The token of the flag, of the file, of the environment, in that order.
fn token(call: &Call) -> Result<String, String> {
    if let Some(token) = call.text("token").filter(|token| !token.is_empty()) {
        return Ok(token.to_owned());
    }
    if let Some(path) = said(call, "token-file", "CONSUL_HTTP_TOKEN_FILE") {
        let text = fs::read_to_string(&path).map_err(|fault| {
            format!("Error loading token file {path} : open {path}: {}", reason(&fault))
        })?;
        return Ok(text.trim().to_owned());
    }
    Ok(env::var("CONSUL_HTTP_TOKEN").unwrap_or_default())
}

fn env_flag(name: &str) -> Option<bool> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    let flag = super::super::argv::go_bool(&text);
    if flag.is_none() {
        super::super::print_err(&format!("[WARN] could not parse {name}: {text:?} is no boolean"));
    }
    flag.map(|flag| flag == "true")
}

/// A client with the certificates that flags and environment name.
fn client(call: &Call) -> Result<ClientBuilder, String> {
    static CRYPTO: Once = Once::new();
    CRYPTO.call_once(|| {
        // Another part of the process may have chosen one before: then that one is used.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(env_flag("CONSUL_HTTP_SSL_VERIFY") == Some(false));
    for certificate in authorities(call)? {
        builder = builder.add_root_certificate(certificate);
    }
    if let (Some(certificate), Some(key)) = (
        said(call, "client-cert", "CONSUL_CLIENT_CERT"),
        said(call, "client-key", "CONSUL_CLIENT_KEY"),
    ) {
        let both = [file(&certificate, "client certificate")?, file(&key, "client key")?].concat();
        builder = builder.identity(
            Identity::from_pem(&both)
                .map_err(|fault| format!("Error loading client certificate: {fault}"))?,
        );
    }
    Ok(builder)
}

fn authorities(call: &Call) -> Result<Vec<Certificate>, String> {
    let mut paths = Vec::new();
    if let Some(path) = said(call, "ca-file", "CONSUL_CACERT") {
        paths.push(path);
    } else if let Some(folder) = said(call, "ca-path", "CONSUL_CAPATH") {
        let entries = fs::read_dir(Path::new(&folder))
            .map_err(|fault| format!("Error loading CA Path: open {folder}: {}", reason(&fault)))?;
        paths.extend(entries.flatten().map(|entry| entry.path().display().to_string()));
    }
    let mut authorities = Vec::new();
    for path in paths {
        match Certificate::from_pem_bundle(&file(&path, "CA File")?) {
            Ok(certificates) if !certificates.is_empty() => authorities.extend(certificates),
            _ => return Err(format!("Error loading CA File: Couldn't parse PEM in: {path}")),
        }
    }
    Ok(authorities)
}

fn file(path: &str, what: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|fault| format!("Error loading {what}: open {path}: {}", reason(&fault)))
}
