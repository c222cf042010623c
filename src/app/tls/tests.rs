//! Files of all kinds, and what is told of them. What is spoken with good ones is for the tests of the program.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A folder with a certificate, its key, the key of another one, and things that are neither.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("proconsul-tls-{}-{count}", std::process::id()));
        fs::create_dir_all(path.join("empty")).unwrap();
        let folder = Self(path);
        let make = || rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (own, other) = (make(), make());
        folder.write("cert", &own.cert.pem());
        folder.write("key", &own.signing_key.serialize_pem());
        folder.write("other", &other.signing_key.serialize_pem());
        folder.write("text", "neither");
        folder
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// The path of a name; no path of none.
    fn at(&self, name: &str) -> String {
        if name.is_empty() { String::new() } else { self.0.join(name).display().to_string() }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_that_are_not_as_they_should_be_are_told_as_consul_tells_them() {
    let folder = Folder::new();
    let pair = "Failed to load cert/key pair: ";
    for (cert, key, ca, told) in [
        ("none", "key", "", format!("{pair}open {}: no such file or directory", folder.at("none"))),
        ("cert", "other", "", format!("{pair}tls: private key does not match public key")),
        ("key", "key", "", format!("{pair}tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched")),
        ("cert", "cert", "", format!("{pair}tls: found a certificate rather than a key in the PEM for the private key")),
        ("text", "key", "", format!("{pair}tls: failed to find any PEM data in certificate input")),
        ("cert", "text", "", format!("{pair}tls: failed to find any PEM data in key input")),
        ("", "", "none", format!("Error loading from {0}: open {0}: no such file or directory", folder.at("none"))),
        ("", "", "key", format!("failed to parse PEM {}: it holds no certificate", folder.at("key"))),
        ("cert", "key", "", "VerifyIncoming set but no CA certificates were provided".to_owned()),
        ("cert", "", "cert", "VerifyIncoming requires either a Cert and Key pair in the configuration file, or auto_encrypt/auto_config be enabled".to_owned()),
        ("cert", "key", "cert", String::new()),
    ] {
        let part = TlsPart {
            cert_file: folder.at(cert),
            key_file: folder.at(key),
            ca_file: folder.at(ca),
            verify_incoming: true,
            ..TlsPart::default()
        };
        assert_eq!(Files::read(&part).err().unwrap_or_default(), told, "{cert} {key} {ca}");
    }
}

#[test]
fn certificates_to_trust_may_lie_in_a_folder() {
    let folder = Folder::new();
    let read = |path: &str| {
        roots(&TlsPart { ca_path: path.to_owned(), ..TlsPart::default() })
            .map(|roots| roots.map_or(0, |roots| roots.len()))
    };
    let below = folder.0.join("cas/below");
    fs::create_dir_all(&below).unwrap();
    fs::copy(folder.0.join("cert"), below.join("a.pem")).unwrap();
    fs::copy(folder.0.join("cert"), folder.0.join("cas/b.pem")).unwrap();
    assert_eq!(read(&folder.at("cas")), Ok(2));
    assert_eq!(read(""), Ok(0));
    let none = folder.at("none");
    assert_eq!(read(&none), Err(format!("lstat {none}: no such file or directory")));
    let empty = Err("Error loading from CAPath: no CAs found".to_owned());
    assert_eq!(read(&folder.at("empty")), empty);
}

#[test]
fn suites_that_are_named_are_the_only_ones_of_their_version() {
    let names = |suites: &[&str]| {
        let part = TlsPart {
            cipher_suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
            ..TlsPart::default()
        };
        let provider = provider(&part);
        let old = provider.cipher_suites.iter().filter(|suite| suite.version() != &TLS13);
        old.map(|suite| format!("{:?}", suite.suite())).collect::<Vec<_>>()
    };
    let one = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    assert_eq!(names(&[one, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"]), [one]);
    assert_eq!(names(&[]).len(), 6);
    let newest = TlsPart { min_version: "TLSv1_3".to_owned(), ..TlsPart::default() };
    assert_eq!((versions(&newest).len(), versions(&TlsPart::default()).len()), (1, 2));
}
