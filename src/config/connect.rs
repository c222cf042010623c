//! What a configuration says of the mesh's certificate authority.

use serde_json::{Map, Value as Json};

use super::Config;
use super::raw::Item;

/// The keys of the provider's configuration, as files write them and as the API does.
const CA_KEYS: [(&str, &str); 8] = [
    ("private_key", "PrivateKey"),
    ("root_cert", "RootCert"),
    ("intermediate_cert_ttl", "IntermediateCertTTL"),
    ("leaf_cert_ttl", "LeafCertTTL"),
    ("csr_max_per_second", "CSRMaxPerSecond"),
    ("csr_max_concurrent", "CSRMaxConcurrent"),
    ("private_key_type", "PrivateKeyType"),
    ("private_key_bits", "PrivateKeyBits"),
];

/// The authority as configured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connect {
    /// Whether there is one.
    pub(crate) enabled: bool,
    /// Empty for the built-in one.
    pub(crate) provider: String,
    /// Its configuration, in the API's names.
    pub(crate) ca_config: Map<String, Json>,
    /// The cluster's id, when it was given.
    pub(crate) cluster: Option<String>,
}

impl Config {
    /// The mesh's certificate authority.
    ///
    /// # Errors
    /// A cluster id that is none, in Consul's words.
    pub(crate) fn connect(&self) -> Result<Connect, String> {
        let block = self.raw.block("connect");
        let given = match block.item("ca_config") {
            Some(Item::Free(map)) => map.clone(),
            _ => Map::new(),
        };
        let cluster = match given.get("cluster_id") {
            None => None,
            Some(Json::String(id)) if uuid::Uuid::try_parse(id).is_ok() => Some(id.clone()),
            Some(Json::String(_)) => {
                return Err("cluster_id was supplied but was not a valid UUID".to_owned());
            }
            Some(_) => return Err("cluster_id was supplied but was not a string".to_owned()),
        };
        let implied = self.raw.block("auto_encrypt").flag("allow_tls").unwrap_or(false);
        Ok(Connect {
            enabled: block.flag("enabled").unwrap_or(true) || implied,
            provider: block.text_or_empty("ca_provider"),
            ca_config: given.into_iter().map(|(key, value)| (translated(key), value)).collect(),
            cluster,
        })
    }
}

fn translated(key: String) -> String {
    let known = CA_KEYS.iter().find(|(snake, _)| *snake == key);
    known.map_or(key, |(_, name)| (*name).to_owned())
}
