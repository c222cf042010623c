//! The mesh's certificate authority: what is read and what is printed.

use std::collections::BTreeMap;

use proconsul_anchors::clock::Time;
use proconsul_ca::Root;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::go::time::show_time;
use crate::issuer::{Configuration, Issued, Wanted};
use crate::wire::decode::{Ignored, form};
use crate::wire::mesh::Opaque;

/// The body of `PUT /v1/connect/ca/configuration`.
#[derive(Debug, Default)]
pub(crate) struct ConfigurationForm {
    provider: String,
    config: Opaque,
    state: Option<BTreeMap<String, String>>,
    force: bool,
    force_snake: bool,
    ignored: Ignored,
}

const CONFIGURATION_TYPE: &str = "struct { ForceWithoutCrossSigningSnake bool \"json:\\\"force_without_cross_signing\\\"\"; *structs.Alias }";

form!(ConfigurationForm, CONFIGURATION_TYPE, custom, refuse, {
    "Provider" => provider, "Config" => config, "State" => state, "ForceWithoutCrossSigning" => force,
    "CreateIndex" => ignored, "ModifyIndex" => ignored,
} own {
    "force_without_cross_signing" => force_snake,
});

/// The body of `POST /v1/agent/connect/authorize`.
#[derive(Debug, Default)]
pub(crate) struct AuthorizeForm {
    pub(crate) target: String,
    pub(crate) client_uri: String,
    ignored: Ignored,
}

form!(AuthorizeForm, "structs.ConnectAuthorizeRequest", plain "ConnectAuthorizeRequest", refuse, {
    "Target" => target, "ClientCertURI" => client_uri, "ClientCertSerial" => ignored,
});

/// The answer to it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AuthorizedOut<'a> {
    pub(crate) authorized: bool,
    pub(crate) reason: &'a str,
}

impl From<ConfigurationForm> for Wanted {
    fn from(form: ConfigurationForm) -> Self {
        let state = form.state.map(|state| {
            state.into_iter().map(|(key, value)| (key, Value::String(value))).collect()
        });
        Self {
            provider: form.provider,
            config: form.config.0.unwrap_or_default(),
            state,
            force_without_cross_signing: form.force || form.force_snake,
        }
    }
}

/// The authority's configuration.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ConfigurationOut<'a> {
    provider: &'a str,
    config: Map<String, Value>,
    state: Option<&'a Map<String, Value>>,
    force_without_cross_signing: bool,
    create_index: u64,
    modify_index: u64,
}

impl<'a> ConfigurationOut<'a> {
    pub(crate) fn new(
        kept: &'a Configuration,
        config: Map<String, Value>,
        (created, modified): (u64, u64),
    ) -> Self {
        Self {
            provider: &kept.provider,
            config,
            state: kept.state.as_ref(),
            force_without_cross_signing: kept.force_without_cross_signing,
            create_index: created,
            modify_index: modified,
        }
    }
}

/// All roots.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RootsOut<'a> {
    #[serde(rename = "ActiveRootID")]
    pub(crate) active_root_id: &'a str,
    pub(crate) trust_domain: &'a str,
    pub(crate) roots: Vec<RootOut<'a>>,
}

/// One root.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct RootOut<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    name: &'a str,
    serial_number: u64,
    #[serde(rename = "SigningKeyID")]
    signing_key_id: &'a str,
    external_trust_domain: &'a str,
    not_before: String,
    not_after: String,
    root_cert: &'a str,
    intermediate_certs: Option<&'a [Box<str>]>,
    active: bool,
    private_key_type: &'a str,
    private_key_bits: u32,
    create_index: u64,
    modify_index: u64,
}

impl<'a> RootOut<'a> {
    pub(crate) fn new(root: &'a Root, (created, modified): (u64, u64)) -> Self {
        Self {
            id: &root.id,
            name: &root.name,
            serial_number: root.serial_number,
            signing_key_id: &root.signing_key_id,
            external_trust_domain: &root.cluster,
            not_before: moment(root.not_before),
            not_after: moment(root.not_after),
            root_cert: &root.certificate,
            intermediate_certs: Some(&*root.intermediates).filter(|certs| !certs.is_empty()),
            active: root.active,
            private_key_type: &root.key_type,
            private_key_bits: root.key_bits,
            create_index: created,
            modify_index: modified,
        }
    }
}

/// A service's certificate with its key.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct LeafOut<'a> {
    serial_number: &'a str,
    #[serde(rename = "CertPEM")]
    cert_pem: &'a str,
    #[serde(rename = "PrivateKeyPEM")]
    private_key_pem: String,
    service: &'a str,
    #[serde(rename = "ServiceURI")]
    service_uri: &'a str,
    valid_after: String,
    valid_before: String,
    create_index: u64,
    modify_index: u64,
}

impl<'a> LeafOut<'a> {
    pub(crate) fn new(service: &'a str, issued: &'a Issued) -> Self {
        let leaf = &issued.leaf;
        Self {
            serial_number: &leaf.serial_number,
            cert_pem: &leaf.certificate,
            private_key_pem: leaf.key.to_pem(),
            service,
            service_uri: &leaf.uri,
            valid_after: moment(leaf.not_before),
            valid_before: moment(leaf.not_after),
            create_index: issued.index,
            modify_index: issued.index,
        }
    }
}

fn moment(seconds: i64) -> String {
    show_time(Time(u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000)))
}
