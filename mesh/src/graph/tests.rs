use std::sync::Arc;

use crate::testing::{Lines, entry};
use crate::{Kind, check_delete, check_write};

const HTTP: &str = r#"{"Kind":"service-defaults","Name":"web","Protocol":"http"}"#;

#[test]
fn writes_that_break_something_are_refused() {
    let cases = [
        (
            "",
            r#"{"Kind":"service-router","Name":"web"}"#,
            "discovery chain \"web\" uses a protocol \"tcp\" that does not permit advanced routing or splitting behavior",
        ),
        (HTTP, r#"{"Kind":"service-router","Name":"web"}"#, ""),
        (
            "",
            r#"{"Kind":"service-defaults","Name":"web","MutualTLSMode":"permissive"}"#,
            "cannot set MutualTLSMode=permissive because AllowEnablingPermissiveMutualTLS=false in the mesh config entry",
        ),
        (
            r#"{"Kind":"mesh","AllowEnablingPermissiveMutualTLS":true}"#,
            r#"{"Kind":"service-defaults","Name":"web","MutualTLSMode":"permissive"}"#,
            "",
        ),
        (
            "",
            r#"{"Kind":"ingress-gateway","Name":"g","Listeners":[{"Port":1,"Protocol":"http","Services":[{"Name":"web"}]}]}"#,
            "service \"web\" has protocol \"tcp\", which does not match defined listener protocol \"http\"",
        ),
        (
            HTTP,
            r#"{"Kind":"ingress-gateway","Name":"g","Listeners":[{"Port":1,"Protocol":"http","Services":[{"Name":"web"}]}]}"#,
            "",
        ),
        (
            r#"{"Kind":"terminating-gateway","Name":"g"}"#,
            r#"{"Kind":"ingress-gateway","Name":"g"}"#,
            "cannot create a \"ingress-gateway\" config entry with name \"g\", a \"terminating-gateway\" config entry with that name already exists",
        ),
        (
            "",
            r#"{"Kind":"service-intentions","Name":"web","Sources":[{"Name":"a","Permissions":[{"Action":"allow","HTTP":{"PathExact":"/x"}}]}]}"#,
            "service \"web\" has protocol \"tcp\", which is incompatible with L7 intentions permissions",
        ),
        (
            "",
            r#"{"Kind":"service-intentions","Name":"web","JWT":{"Providers":[{"Name":"p"}]},"Sources":[{"Name":"a","Action":"allow"}]}"#,
            "1 error occurred:\n\t* Referenced JWT Provider does not exist. Provider Name: p\n\n",
        ),
        (
            r#"{"Kind":"exported-services","Name":"default","Services":[{"Name":"web","Consumers":[{"Peer":"p"}]}]}"#,
            r#"{"Kind":"service-resolver","Name":"web","Redirect":{"Service":"x","Datacenter":"dc2"}}"#,
            "peer exported service \"web\" contains cross-datacenter resolver redirect",
        ),
        (
            r#"{"Kind":"exported-services","Name":"default","Services":[{"Name":"web","Consumers":[{"Peer":"p"}]}]}"#,
            r#"{"Kind":"service-resolver","Name":"web","Redirect":{"Service":"x"}}"#,
            "peer exported service \"web\" uses protocol=\"tcp\" and cannot introduce new discovery chain targets like \"x.default.default.dc1\"",
        ),
    ];
    for (there, written, told) in cases {
        let verdict = check_write(&Lines::of(there), &Arc::new(entry(written).unwrap()), None);
        let reason = verdict.map_or_else(|reason| reason.to_string(), |()| String::new());
        assert_eq!(reason, told, "{written}");
    }
}

#[test]
fn what_others_lean_on_stays() {
    let cases = [
        (
            "{\"Kind\":\"service-defaults\",\"Name\":\"web\",\"Protocol\":\"http\"}\n{\"Kind\":\"service-router\",\"Name\":\"web\"}",
            Kind::ServiceDefaults,
            "web",
            "discovery chain \"web\" uses a protocol \"tcp\" that does not permit advanced routing or splitting behavior",
        ),
        (
            r#"{"Kind":"service-intentions","Name":"web","JWT":{"Providers":[{"Name":"p"}]},"Sources":[{"Name":"a","Action":"allow"}]}"#,
            Kind::JwtProvider,
            "p",
            "cannot delete jwt provider config entry referenced by an intention. Provider name: p, intention name: web",
        ),
        (r#"{"Kind":"service-defaults","Name":"web"}"#, Kind::ServiceDefaults, "web", ""),
    ];
    for (there, kind, name, told) in cases {
        let verdict = check_delete(&Lines::of(there), kind, name);
        let reason = verdict.map_or_else(|reason| reason.to_string(), |()| String::new());
        assert_eq!(reason, told, "{kind} {name}");
    }
}
