//! What becomes of checks: results, maintenance, aliases.

use super::world::check;

#[test]
fn a_ttl_runs_out_once_and_comes_back() {
    check(
        "
        > check t ttl:10s
        ok
        > pass 9s
        nothing
        > pass 1s
        nothing
        > checks
        t 't' ttl critical 'TTL expired'
        > pass 60s
        nothing
        > ttl t passing all well
        ok
        > pass 9s
        nothing
        > ttl t passing all well
        ok
        > pass 9s
        nothing
        > pass 1s
        node: t
        > checks
        t 't' ttl critical 'TTL expired (last output before timeout follows): all well'
        > check p http:5s
        ok
        > ttl p passing x
        CheckID \"p\" does not have associated TTL
        ",
    );
}

#[test]
fn a_probe_is_due_once_an_interval() {
    check(
        "
        > check p http:5s
        ok
        > pass 5s
        nothing
        > due
        p
        > pass 60s
        nothing
        > due
        > run p passing HTTP GET: 200 OK
        node: p
        > pass 4s
        nothing
        > due
        > check p http:5s
        ok
        > pass 1s
        nothing
        > due
        p
        > run p passing HTTP GET: 200 OK
        nothing
        > checks
        p 'p' http passing 'HTTP GET: 200 OK'
        > check p http:7s
        ok
        > checks
        p 'p' http passing 'HTTP GET: 200 OK'
        ",
    );
}

#[test]
fn a_result_of_an_older_definition_is_dropped() {
    check(
        "
        > check p http:5s
        ok
        > pass 5s
        nothing
        > due
        p
        > check p http:6s
        ok
        > run p passing too late
        nothing
        > checks
        p 'p' http critical ''
        ",
    );
}

#[test]
fn output_alone_is_held_back_and_a_status_is_not() {
    check(
        "
        > check p http:5s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register [p=critical]
        > pass 5s
        nothing
        > due
        p
        > run p critical refused
        nothing
        > sync
        nothing
        > pass 2m
        nothing
        > sync
        nothing
        > due
        p
        > run p passing fine
        node: p
        > sync
        register [p=passing fine]
        > pass 5s
        nothing
        > due
        p
        > run p passing finer
        nothing
        > pass 8m
        node: p
        > sync
        register [p=passing finer]
        ",
    );
}

#[test]
fn a_service_that_is_critical_for_too_long_goes() {
    check(
        "
        > service web web check=c:ttl:10s,reap:1s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register web [c=critical]
        > pass 10s
        nothing
        > pass 50s
        nothing
        > checks
        c 'Service 'web' check' ttl of web critical 'TTL expired'
        > pass 60s
        web: service c
        > checks
        > sync
        remove service web
        ",
    );
}

#[test]
fn maintenance_is_a_check() {
    check(
        "
        > service web
        ok
        > maintain web on
        ok
        > maintain web on other
        ok
        > maintain node on move
        ok
        > health web
        maintenance
        > checks
        _node_maintenance 'Node Maintenance Mode' maintenance critical ''
        _service_maintenance:web 'Service Maintenance Mode' maintenance of web critical ''
        > maintain web off
        ok
        > maintain web off
        ok
        > maintain node off
        ok
        > health web
        passing
        > maintain nope on
        Unknown service ID \"nope\". Ensure that the service ID is passed, not the service name.
        ",
    );
}

#[test]
fn aliases_follow_at_once() {
    check(
        "
        > service web web check=w:ttl:10s
        ok
        > service side side check=s:alias:web check=t:alias:side
        ok
        > checks
        s 'Service 'side' check' alias of side critical 'Aliased check \"Service 'web' check\" failing: '
        t 'Service 'side' check' alias of side critical 'Aliased check \"Service 'side' check\" failing: '
        w 'Service 'web' check' ttl of web critical ''
        > drop check t
        ok
        > ttl w passing x
        ok
        > checks
        s 'Service 'side' check' alias of side passing 'All checks passing.'
        w 'Service 'web' check' ttl of web passing 'x'
        > ttl w warning y
        ok
        > checks
        s 'Service 'side' check' alias of side warning 'Aliased check \"Service 'web' check\" failing: y'
        w 'Service 'web' check' ttl of web warning 'y'
        > drop service web
        ok
        > checks
        s 'Service 'side' check' alias of side critical 'Service web could not be found on node '
        > service web
        ok
        > checks
        s 'Service 'side' check' alias of side passing 'No checks found.'
        ",
    );
}

#[test]
fn an_alias_follows_a_node_of_the_catalog() {
    check(
        "
        > check a alias@other:web
        ok
        > tell a
        > checks
        a 'a' alias passing 'No checks found.'
        > foreign other web web
        ok
        > tell a
        > checks
        a 'a' alias passing 'No checks found.'
        > foreign other db db
        ok
        > check b alias@other:nope
        ok
        > tell b
        > checks
        a 'a' alias passing 'No checks found.'
        b 'b' alias critical 'Service nope could not be found on node other'
        ",
    );
}
