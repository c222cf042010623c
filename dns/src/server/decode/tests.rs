use super::*;

/// `web.service.consul A`, number 7, recursion desired.
const QUERY: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x07service\x06consul\x00\x00\x01\x00\x01";

fn with(bits: u16, counts: [u8; 4], more: &[u8]) -> Vec<u8> {
    let mut bytes = QUERY.to_vec();
    bytes[2..4].copy_from_slice(&bits.to_be_bytes());
    for (at, count) in counts.into_iter().enumerate() {
        bytes[5 + 2 * at] = count;
    }
    bytes.extend_from_slice(more);
    bytes
}

fn edns(size: u16, options: &[u8]) -> Vec<u8> {
    let length = u16::try_from(options.len()).unwrap();
    [b"\0\0\x29", size.to_be_bytes().as_slice(), &[0; 4], &length.to_be_bytes(), options].concat()
}

fn asker(bytes: &[u8]) -> Asker {
    match decode(bytes, Transport::Udp) {
        Incoming::Query { asker, .. } => asker,
        other => panic!("{other:?}"),
    }
}

fn rejected(bytes: &[u8]) -> (Rcode, u8, bool) {
    match decode(bytes, Transport::Udp) {
        Incoming::Reject(reply) => {
            (reply.header.rcode, reply.header.opcode, reply.question.is_some())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_no_query_stays_unanswered() {
    assert_eq!(decode(&QUERY[..11], Transport::Udp), Incoming::Noise);
    assert_eq!(decode(&with(0x8100, [1, 0, 0, 0], b""), Transport::Udp), Incoming::Noise);
}

#[test]
fn what_is_not_done_or_not_understood_is_said() {
    assert_eq!(rejected(&with(0x2900, [1, 0, 0, 0], b"")), (Rcode::NotImp, 5, false));
    for counts in [[0, 0, 0, 0], [2, 0, 0, 0], [1, 2, 0, 0], [1, 0, 2, 0], [1, 0, 0, 3]] {
        assert_eq!(rejected(&with(0x0100, counts, b"")), (Rcode::FormErr, 0, false), "{counts:?}");
    }
    assert_eq!(rejected(&QUERY[..20]), (Rcode::FormErr, 0, false));
    let strange = edns(1232, b"\0\x08\0\x04\0\x09\x00\x00");
    assert_eq!(rejected(&with(0x0100, [1, 0, 0, 1], &strange)), (Rcode::FormErr, 0, true));
}

#[test]
fn what_others_refuse_is_accepted() {
    assert!(asker(&with(0x0100, [1, 1, 1, 2], b"")).edns.is_none());
    let two = [edns(4096, b""), edns(700, b"")].concat();
    assert_eq!(asker(&with(0x0100, [1, 0, 0, 2], &two)).edns.unwrap().udp_size, 700);
    let Incoming::Query { question: None, .. } = decode(&QUERY[..12], Transport::Udp) else {
        panic!("no question")
    };
    let notification = asker(&with(0x2100, [1, 0, 0, 0], b"junk"));
    assert_eq!((notification.opcode, notification.recursion_desired), (4, true));
}

#[test]
fn a_subnet_is_cut_to_its_bits() {
    let subnet = |bytes: &[u8]| {
        asker(&with(0x0100, [1, 0, 0, 1], &edns(0, bytes))).edns.unwrap().subnet.unwrap()
    };
    let v4 = subnet(b"\0\x08\0\x07\0\x01\x15\0\xc6\x33\xff");
    assert_eq!((v4.family, v4.source, v4.address.as_ref()), (1, 21, b"\xc6\x33\xf8".as_slice()));
    let none = subnet(b"\0\x08\0\x04\0\0\0\0");
    assert_eq!((none.family, none.address.len()), (0, 0));
}

#[test]
fn names_may_jump_but_not_in_circles() {
    let jump = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\xc0\x16\0\x01\0\x01\x07service\x06consul\0";
    let Incoming::Query { question: Some(question), .. } = decode(jump, Transport::Udp) else {
        panic!("a question")
    };
    assert_eq!(question.name.to_string(), "web.service.consul.");
    let circle = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x03web\xc0\x0c\0\x01\0\x01";
    assert_eq!(rejected(circle), (Rcode::FormErr, 0, false));
}
