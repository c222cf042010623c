//! Scripts: a line that starts with `>` is done, the lines below it are what came of it.

mod checks;
mod sync;
mod world;

use self::world::check;

#[test]
fn ids_and_names_follow_from_the_service() {
    check(
        "
        > service web
        ok
        > service web1 web check=:ttl:10s
        ok
        > service web2 web check=:ttl:10s check=own:ttl:10s check=:ttl:10s
        ok
        > checks
        own 'Service 'web' check' ttl of web2 critical ''
        service:web1 'Service 'web' check' ttl of web1 critical ''
        service:web2:1 'Service 'web' check' ttl of web2 critical ''
        service:web2:3 'Service 'web' check' ttl of web2 critical ''
        > check c1 ttl:10s of=web1
        ok
        > check c2 ttl:10s of=nope
        ServiceID \"nope\" does not exist
        > drop service web2
        ok
        > checks
        c1 'c1' ttl of web1 critical ''
        service:web1 'Service 'web' check' ttl of web1 critical ''
        > drop service web2
        Unknown service ID \"web2\". Ensure that the service ID is passed, not the service name.
        > drop check own
        Unknown check ID \"own\". Ensure that the check ID is passed, not the check name.
        ",
    );
}

#[test]
fn again_keeps_the_state_and_replaces_on_demand() {
    check(
        "
        > service web web check=a:ttl:10s check=b:ttl:10s
        ok
        > check c ttl:10s of=web
        ok
        > ttl a passing fine
        ok
        > service web web check=a:ttl:20s
        ok
        > checks
        a 'Service 'web' check' ttl of web passing 'fine'
        b 'Service 'web' check' ttl of web critical ''
        c 'c' ttl of web critical ''
        > service web web check=a:ttl:20s replace
        ok
        > checks
        a 'Service 'web' check' ttl of web passing 'fine'
        ",
    );
}

#[test]
fn addresses_are_told_by_version() {
    check(
        "
        > service a a address=10.0.0.1
        ok
        > service b b address=fd00::1
        ok
        > service c c address=host.example
        ok
        > tagged
        a lan_ipv4=10.0.0.1 wan_ipv4=10.0.0.1
        b lan_ipv6=fd00::1 wan_ipv6=fd00::1
        c
        > service d d address=0.0.0.0
        Invalid service address
        ",
    );
}

#[test]
fn configuration_comes_and_goes() {
    check(
        "
        > configure web db
        ok
        > service api
        ok
        > configure web cache
        ok
        > tags
        api
        cache
        web
        > restart
        > tags
        api
        ",
    );
}

#[test]
fn scripts_need_leave_and_some_kinds_are_refused() {
    check(
        "
        > check s script:5s
        Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true
        > allow scripts
        ok
        > check s script:5s
        ok
        > check d docker:5s
        ok
        > check o os:5s
        not implemented
        > restart
        check/d is refused
        check/s is refused
        ",
    );
}
