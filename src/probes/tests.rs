//! The parts of the probes that need no network.

use std::io;

use super::dial::Place;
use super::url::Target;
use super::{Tail, os_words};

#[test]
fn a_place_is_read_as_go_reads_it() {
    let cases = [
        ("127.0.0.1:80", "127.0.0.1 80"),
        ("[::1]:80", "::1 80"),
        (":8080", " 8080"),
        ("web:http", "web 80"),
        ("127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"),
        ("::1:80", "dial tcp: address ::1:80: too many colons in address"),
        ("[::1:80", "dial tcp: address [::1:80: missing ']' in address"),
        ("127.0.0.1:99999", "dial tcp: address 99999: invalid port"),
        ("127.0.0.1:zzz", "dial tcp: lookup tcp/zzz: unknown port"),
    ];
    for (text, expected) in cases {
        let read = match Place::parse(text) {
            Ok(place) => format!("{} {}", place.host, place.port),
            Err(error) => error.to_string(),
        };
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn a_url_is_read_as_go_reads_it() {
    let cases = [
        ("http://a/b?c=d#e", "http a:80 a /b?c=d"),
        ("https://a", "https a:443 a /"),
        ("HTTP://a:81?x", "http a:81 a:81 /?x"),
        ("http://[::1]/", "http [::1]:80 [::1] /"),
        ("http://u:p@a/", "http a:80 a /"),
        ("http://a/b c\"d%20", "http a:80 a /b%20c%22d%20"),
        ("::bad", "missing protocol scheme"),
        ("127.0.0.1:80", "first path segment in URL cannot contain colon"),
        ("a/b", "unsupported protocol scheme \"\""),
        ("ftp://a/", "unsupported protocol scheme \"ftp\""),
        ("http:///x", "http: no Host in request URL"),
        ("http://a/\n", "net/url: invalid control character in URL"),
    ];
    for (text, expected) in cases {
        let read = Target::parse(text)
            .map(|target| shown(&target))
            .unwrap_or_else(|error| error.to_string());
        assert_eq!(read, expected, "{text}");
    }
}

#[test]
fn a_redirect_is_relative_to_where_it_came_from() {
    let from = Target::parse("http://a:81/b/c?d").unwrap();
    let cases = [
        ("/x", "http a:81 a:81 /x"),
        ("x", "http a:81 a:81 /b/x"),
        ("?x", "http a:81 a:81 /b/c?x"),
        ("//z/x", "http z:80 z /x"),
        ("https://z/x", "https z:443 z /x"),
        ("", "http a:81 a:81 /b/c?d"),
    ];
    for (location, expected) in cases {
        assert_eq!(shown(&from.join(location).unwrap()), expected, "{location}");
    }
}

#[test]
fn an_error_of_the_system_is_told_in_go_s_words() {
    assert_eq!(os_words(&io::Error::from_raw_os_error(111)), "connection refused");
    assert_eq!(os_words(&io::Error::from_raw_os_error(101)), "network is unreachable");
}

#[test]
fn a_tail_keeps_the_end_and_counts_all() {
    let mut tail = Tail::new(4);
    for piece in ["a", "bcdefg", "hi"] {
        tail.push(piece.as_bytes());
    }
    assert_eq!((tail.kept.as_slice(), tail.total), (b"fghi".as_slice(), 9));
    let mut none = Tail::new(0);
    none.push(b"abc");
    assert_eq!((none.kept.len(), none.total), (0, 3));
}

fn shown(target: &Target) -> String {
    let scheme = if target.https { "https" } else { "http" };
    format!("{scheme} {} {} {}", target.place(), target.authority, target.path)
}
