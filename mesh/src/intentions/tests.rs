use serde_json::json;

use super::{
    Draft, Mutation, Shown, Side, allowed, by_id, create, delete, delete_by_id, exact, list,
    matching, update, upsert,
};
use crate::testing::Lines;

const ID: &str = "11111111-2222-3333-4444-555555555555";
const NOW: &str = "2026-01-02T03:04:05Z";

const ENTRIES: &str = r#"
{"Kind":"service-intentions","Name":"api","Sources":[{"Name":"*","Action":"deny"},{"Name":"web","Action":"allow"},{"Name":"far","Peer":"p","Action":"allow"}]}
{"Kind":"service-intentions","Name":"*","Sources":[{"Name":"web","Action":"deny"},{"Name":"*","Action":"allow"}]}
"#;

fn shown(intentions: &[Shown]) -> Vec<String> {
    let one =
        |i: &Shown| format!("{} {} {} {}", i.0.source, i.0.destination, i.0.action, i.0.precedence);
    intentions.iter().map(one).collect()
}

fn draft(source: &str, destination: &str, action: &str) -> Draft {
    Draft {
        source: source.to_owned(),
        destination: destination.to_owned(),
        action: action.to_owned(),
        ..Draft::default()
    }
}

fn written(mutation: Mutation) -> String {
    match mutation {
        Mutation::Put(entry) => entry.stored(),
        Mutation::Delete(name) => format!("delete {name}"),
        Mutation::Nothing => "nothing".to_owned(),
    }
}

#[test]
fn the_more_exact_ones_come_first() {
    let library = Lines::of(ENTRIES);
    let all = ["web api allow 9", "far api allow 9", "* api deny 8", "web * deny 6", "* * allow 5"];
    assert_eq!(shown(&list(&library)), all);
    let none = |_: &str| false;
    let of_web = ["web api allow 9", "* api deny 8", "web * deny 6", "* * allow 5"];
    assert_eq!(shown(&matching(&library, Side::Source, "web", &none)), of_web);
    let to_db = ["web * deny 6", "* * allow 5"];
    assert_eq!(shown(&matching(&library, Side::Destination, "db", &none)), to_db);
    assert!(
        exact(&library, "far", "p", "api").is_some() && exact(&library, "far", "", "api").is_none()
    );
}

#[test]
fn the_first_that_applies_decides() {
    let library = Lines::of(ENTRIES);
    for (source, destination, default, decision) in [
        ("web", "api", false, true),
        ("db", "api", true, false),
        ("web", "db", true, false),
        ("db", "db", false, true),
    ] {
        let decided = allowed(&library, source, destination, default, &|_| false);
        assert_eq!(decided, decision, "{source} {destination}");
    }
    assert!(allowed(&Lines::of(""), "a", "b", true, &|_| false));
}

#[test]
fn intentions_are_written_by_their_names() {
    let library = Lines::of(ENTRIES);
    let entry = written(upsert(&library, draft("db", "api", "allow")).unwrap());
    assert!(
        entry.contains(r#"{"Name":"db","Action":"allow","Precedence":9,"Type":"consul"}"#),
        "{entry}"
    );
    assert_eq!(written(delete(&library, "db", "api").unwrap()), "nothing");
    let one = Lines::of(
        r#"{"Kind":"service-intentions","Name":"b","Sources":[{"Name":"a","Action":"deny"}]}"#,
    );
    assert_eq!(written(delete(&one, "a", "b").unwrap()), "delete b");
    let meta = Draft { meta: [("a".to_owned(), "b".to_owned())].into(), ..draft("a", "x", "deny") };
    let told = upsert(&one, meta).unwrap_err().to_string();
    assert_eq!(told, "Meta must not be specified");
    let permissions = json!([{"Action": "allow", "HTTP": {"PathExact": "x"}}]);
    let told = upsert(&one, Draft { permissions, action: String::new(), ..draft("a", "x", "") });
    let expected = "Sources[0].Permissions[0].HTTP.PathExact doesn't start with '/': \"x\"";
    assert_eq!(told.unwrap_err().to_string(), expected);
}

#[test]
fn intentions_with_ids_stay_among_themselves() {
    let none = Lines::of("");
    let entry = written(create(&none, draft("a", "b", "deny"), ID, NOW).unwrap());
    assert!(entry.contains(&format!(r#""LegacyID":"{ID}""#)) && entry.contains(NOW), "{entry}");
    let there = Lines::of(ENTRIES);
    let told = "cannot use legacy intention API to edit intentions with a destination of \"api\" after editing them via a service-intentions config entry";
    assert_eq!(create(&there, draft("x", "api", "deny"), ID, NOW).unwrap_err().to_string(), told);
    let told = format!("Cannot modify non-existent intention: '{ID}'");
    assert_eq!(update(&there, draft("x", "api", "deny"), ID, NOW).unwrap_err().to_string(), told);
    let told = format!("Cannot delete non-existent intention: '{ID}'");
    assert_eq!(delete_by_id(&there, ID).unwrap_err().to_string(), told);
    assert!(by_id(&there, ID).is_none() && by_id(&there, "").is_none());
    let told = "2 errors occurred:\n\t* SourceName: wildcard character '*' cannot be used with partial values\n\t* Action must be set to 'allow' or 'deny'\n\n";
    assert_eq!(create(&none, draft("a*", "b", ""), ID, NOW).unwrap_err().to_string(), told);
}
