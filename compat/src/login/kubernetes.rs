//! `kubernetes` methods: a cluster vouches for the tokens of its service accounts.

use bytes::Bytes;
use proconsul_anchors::caller::Secret;
use serde_json::{Value, json};

use crate::login::Identity;
use crate::login::fault::{KubernetesFault, LoginFault};
use crate::login::fetch::{Fetch, FetchRequest, Fetched};
use crate::login::jwt::Jws;
use crate::login::settings::KubernetesSettings;

/// The annotation of a service account that names its service otherwise.
const SERVICE_NAME: &str = "consul.hashicorp.com/service-name";

/// A service account, as the cluster tells of it.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    namespace: String,
    name: String,
    uid: String,
}

/// Whom a token stands for.
pub(super) async fn identify(
    fetch: &dyn Fetch,
    settings: &KubernetesSettings,
    bearer: &str,
) -> Result<Identity, LoginFault> {
    let account = account(fetch, settings, bearer).await.map_err(LoginFault::Kubernetes)?;
    Ok(account.identity())
}

async fn account(
    fetch: &dyn Fetch,
    settings: &KubernetesSettings,
    bearer: &str,
) -> Result<Account, KubernetesFault> {
    Jws::parse(bearer).map_err(KubernetesFault::Token)?;
    let review = json!({
        "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "metadata": {"creationTimestamp": null},
        "spec": {"token": bearer}, "status": {"user": {}},
    });
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let reviewed = ask(fetch, settings, path, Some(review)).await?;
    let mut account = reviewed_account(&reviewed.map_err(KubernetesFault::Refused)?)?;
    let path = format!("/api/v1/namespaces/{}/serviceaccounts/{}", account.namespace, account.name);
    let described = ask(fetch, settings, &path, None).await?;
    let described = described.map_err(KubernetesFault::Annotations)?;
    let annotations = described.get("metadata").and_then(|meta| meta.get("annotations"));
    if let Some(name) = annotations.and_then(|all| all.get(SERVICE_NAME)).and_then(Value::as_str) {
        account.name = name.to_owned();
    }
    Ok(account)
}

/// The answer of the cluster, or what it says instead of one.
async fn ask(
    fetch: &dyn Fetch,
    settings: &KubernetesSettings,
    path: &str,
    body: Option<Value>,
) -> Result<Result<Value, String>, KubernetesFault> {
    let scheme = if settings.host.contains("://") { "" } else { "https://" };
    let request = FetchRequest {
        url: format!("{scheme}{}{path}", settings.host.trim_end_matches('/')),
        ca: Some(settings.ca.clone()),
        bearer: Some(Secret::new(&settings.account_jwt)),
        body: body.map(|body| Bytes::from(body.to_string())),
    };
    let fetched = fetch.fetch(request).await.map_err(KubernetesFault::Unreachable)?;
    Ok(answer(&fetched))
}

fn answer(fetched: &Fetched) -> Result<Value, String> {
    let told: Value = serde_json::from_slice(&fetched.body).unwrap_or(Value::Null);
    if (200..300).contains(&fetched.status) {
        return Ok(told);
    }
    let message = told.get("message").and_then(Value::as_str).unwrap_or(&fetched.reason);
    Err(message.to_owned())
}

/// Of whom a review speaks.
fn reviewed_account(review: &Value) -> Result<Account, KubernetesFault> {
    let status = review.get("status").unwrap_or(&Value::Null);
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_str).unwrap_or("").to_owned()
    };
    let error = text(status, "error");
    if !error.is_empty() {
        return Err(KubernetesFault::Lookup(error));
    }
    if status.get("authenticated") != Some(&Value::Bool(true)) {
        return Err(KubernetesFault::Unauthenticated);
    }
    let user = status.get("user").unwrap_or(&Value::Null);
    let name = text(user, "username");
    let parts: Vec<&str> = name.split(':').collect();
    match parts[..] {
        ["system", "serviceaccount", namespace, name] => Ok(Account {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: text(user, "uid"),
        }),
        [_, _, _, _] => Err(KubernetesFault::NoServiceAccount),
        _ => Err(KubernetesFault::UserName),
    }
}

// === impl Account ===

impl Account {
    fn identity(self) -> Identity {
        let fields = json!({"serviceaccount": {
            "namespace": self.namespace, "name": self.name, "uid": self.uid,
        }});
        let vars = [("namespace", self.namespace), ("name", self.name), ("uid", self.uid)]
            .map(|(field, value)| (format!("serviceaccount.{field}"), value))
            .into();
        Identity { fields, vars }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reviews_are_read() {
        let user = |name: &str| json!({"status": {"authenticated": true, "user": {"username": name, "uid": "u"}}});
        let account = Account { namespace: "ns".into(), name: "web".into(), uid: "u".into() };
        let cases = [
            (user("system:serviceaccount:ns:web"), Ok(account)),
            (
                user("system:node:ns:web"),
                Err("lookup failed: username returned is not a service account"),
            ),
            (user("admin"), Err("lookup failed: unexpected username format")),
            (json!({"status": {"error": "late"}}), Err("lookup failed: late")),
            (json!({"status": {}}), Err("lookup failed: service account jwt not valid")),
        ];
        for (review, told) in cases {
            let found = reviewed_account(&review).map_err(|fault| fault.to_string());
            assert_eq!(found, told.map_err(str::to_owned), "{review}");
        }
    }
}
