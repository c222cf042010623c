use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

use super::*;
use crate::encoding::hex;

/// The specification's own example (protocol.md, "Test Vectors"): ECDSA over P-256 with SHA-256.
const EXAMPLE: &str = r#"{"payload": "aGVsbG8gd29ybGQ=", "payloadType": "http://example.com/HelloWorld", "signatures": [{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}"#;
/// The key of the example: an uncompressed point.
const EXAMPLE_KEY: &str = "04\
    67cd390f77aa359cb08c2235f652270493a9ed832b0abcc01f70954c0390d238\
    0c782bd54e269125a44f4433aff1432ce94e12bca73aa67ac80cea12608ddf74";

const TYPE: &str = "application/vnd.proconsul.test+json";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

#[test]
fn the_encoding_is_the_specifications() {
    let cases: [(&str, &[u8], &[u8]); 3] = [
        (
            "http://example.com/HelloWorld",
            b"hello world",
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        ),
        ("", b"", b"DSSEv1 0  0 "),
        // Lengths are those of bytes.
        ("ä", b"\xff", b"DSSEv1 2 \xc3\xa4 1 \xff"),
    ];
    for (payload_type, payload, expected) in cases {
        assert_eq!(pae(payload_type, payload), expected, "{payload_type:?}");
    }
}

#[test]
fn the_specifications_example_verifies() {
    let example = Envelope::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(example.payload, b"hello world");
    let point: [u8; 65] = hex::decode(EXAMPLE_KEY).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    let signed = pae(&example.payload_type, &example.payload);
    key.verify(&signed, &example.signatures[0].sig).unwrap();
}

/// RFC 8037, appendix A.
#[test]
fn a_key_is_called_by_its_thumbprint() {
    let seed =
        hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let key = SigningKey::from_bytes(&seed).verifying_key();
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    assert_eq!(jwk(&key), format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
    assert_eq!(&*keyid(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_statement_is_believed_from_its_signers_only() {
    let envelope = sign(TYPE, b"{}".to_vec(), &key(1)).and_signed_by(&key(2));
    let again = Envelope::parse(envelope.to_json().as_bytes()).unwrap();
    assert_eq!(again, envelope);
    for (seed, signed) in [(1, true), (2, true), (3, false)] {
        let verified = verify(&again, TYPE, &key(seed).verifying_key());
        assert_eq!(verified.is_ok(), signed, "{seed}");
    }
    let other = verify(&again, "text/plain", &key(1).verifying_key());
    assert!(matches!(other, Err(DsseFault::PayloadType { .. })));
}

/// A key's id is a hint only: one that is missing hides nothing, and one that is another's helps nobody.
#[test]
fn a_keys_id_is_not_trusted() {
    let mut envelope = sign(TYPE, b"{}".to_vec(), &key(1));
    envelope.signatures[0].keyid = "".into();
    assert!(envelope.is_signed_by(&key(1).verifying_key()));
    envelope.signatures[0].keyid = keyid(&key(2).verifying_key());
    assert!(!envelope.is_signed_by(&key(2).verifying_key()));
}

#[test]
fn base64_is_read_in_either_alphabet_and_padding() {
    for payload in ["+/8=", "+/8", "-_8=", "-_8"] {
        let json = format!(
            r#"{{"payload":"{payload}","payloadType":"t","more":1,"signatures":[{{"sig":""}}]}}"#
        );
        assert_eq!(Envelope::parse(json.as_bytes()).unwrap().payload, [0xfb, 0xff], "{payload}");
    }
}

#[test]
fn what_is_no_envelope_is_named() {
    type Is = fn(&DsseFault) -> bool;
    let many = format!("[{}]", vec![r#"{"sig":""}"#; SIGNATURES_MAX + 1].join(","));
    let with = |payload: &str, signatures: &str| {
        format!(r#"{{"payload":{payload},"payloadType":"t","signatures":{signatures}}}"#)
    };
    let cases: [(String, Is); 8] = [
        ("".into(), |f| matches!(f, DsseFault::Malformed(_))),
        ("[]".into(), |f| matches!(f, DsseFault::Malformed(_))),
        (with("7", "[]"), |f| matches!(f, DsseFault::Malformed(_))),
        (with("\"\"", "[]"), |f| *f == DsseFault::Signatures(0)),
        (with("\"\"", &many), |f| *f == DsseFault::Signatures(SIGNATURES_MAX + 1)),
        (with("\"!\"", r#"[{"sig":""}]"#), |f| *f == DsseFault::NotBase64("payload")),
        (with("\"\"", r#"[{"sig":"!"}]"#), |f| *f == DsseFault::NotBase64("signatures.sig")),
        ("[".repeat(ENVELOPE_BYTES_MAX + 1), |f| matches!(f, DsseFault::TooLarge { .. })),
    ];
    for (json, is) in cases {
        let fault = Envelope::parse(json.as_bytes()).unwrap_err();
        assert!(is(&fault), "{fault} for {:.80}", json);
    }
}

/// One flipped bit of what is signed, of its type or of the signature, and nobody signed it.
#[test]
fn a_flipped_bit_is_found() {
    let whole = sign("t/x", b"{\"a\":1}".to_vec(), &key(1));
    let parts: [fn(&mut Envelope) -> &mut [u8]; 2] =
        [|of| &mut of.payload, |of| &mut of.signatures[0].sig];
    for part in parts {
        for bit in (0..8 * part(&mut whole.clone()).len()).step_by(5) {
            let mut touched = whole.clone();
            part(&mut touched)[bit / 8] ^= 1 << (bit % 8);
            assert!(!touched.is_signed_by(&key(1).verifying_key()), "{bit}");
        }
    }
    for payload_type in ["u/x", "t/y", "t/xx", ""] {
        let touched = Envelope { payload_type: payload_type.into(), ..whole.clone() };
        assert!(!touched.is_signed_by(&key(1).verifying_key()), "{payload_type}");
    }
}
