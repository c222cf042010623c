//! What is told upwards, what comes back, and what is kept.

use super::world::check;

#[test]
fn sync_writes_what_differs_and_nothing_else() {
    check(
        "
        > service web web tags=a check=c:ttl:10s
        ok
        > check n ttl:10s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register [n=critical]
        register web [c=critical]
        > sync
        nothing
        > service web web tags=a check=c:ttl:10s
        ok
        > sync
        nothing
        > ttl c passing fine
        ok
        > sync
        register [c=passing fine]
        > service web web tags=a,b check=c:ttl:10s
        ok
        > sync
        register web [c=passing fine]
        > drop check c
        ok
        > sync
        remove check c
        > drop service web
        ok
        > drop check n
        ok
        > sync
        remove check n
        remove service web
        > sync
        nothing
        ",
    );
}

#[test]
fn checks_show_the_service_that_they_came_with() {
    check(
        "
        > service a web tags=x check=c:ttl:10s check=d:ttl:10s
        ok
        > sync
        register node, consul [serfHealth=passing]
        register a [c=critical d=critical]
        > service a db tags=x check=c:ttl:10s
        ok
        > sync
        register a [c=critical]
        > service a db tags=y check=c:ttl:10s
        ok
        > sync
        register a [c=critical]
        > sync
        nothing
        ",
    );
}

#[test]
fn the_agent_is_the_authority_for_its_node() {
    check(
        "
        > sync
        register node, consul [serfHealth=passing]
        > foreign n1 alien alien
        ok
        > foreign n2 alien alien
        ok
        > sync
        remove service alien
        > service Web web
        ok
        > sync
        register Web []
        > foreign n1 WEB web tags=x
        ok
        > sync
        register Web []
        > sync
        nothing
        ",
    );
}

#[test]
fn overridden_tags_flow_back_and_others_are_put_right() {
    check(
        "
        > service free web tags=a override
        ok
        > service held web tags=a
        ok
        > sync
        register node, consul [serfHealth=passing]
        register free []
        register held []
        > foreign n1 free web tags=b,c override
        ok
        > foreign n1 held web tags=b,c
        ok
        > sync
        register held []
        > tags
        free b,c
        held a
        > sync
        nothing
        ",
    );
}

#[test]
fn what_is_kept_comes_back() {
    check(
        "
        > service web web check=t:ttl:10s check=p:http:5s
        ok
        > ttl t passing fine
        ok
        > pass 5s
        nothing
        > due
        p
        > run p passing 200
        web: p
        > maintain node on
        ok
        > restart
        > checks
        _node_maintenance 'Node Maintenance Mode' maintenance critical ''
        p 'Service 'web' check' http of web critical ''
        t 'Service 'web' check' ttl of web passing 'fine'
        > pass 10s
        web: t
        > restart
        > checks
        _node_maintenance 'Node Maintenance Mode' maintenance critical ''
        p 'Service 'web' check' http of web critical ''
        t 'Service 'web' check' ttl of web critical ''
        ",
    );
}
