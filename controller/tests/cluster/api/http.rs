//! The REST side.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;

use super::store::{Key, Refusal, Write};
use super::{Call, Shared, admission, status};

type Body = BoxBody<Bytes, Infallible>;

/// Serves until the runtime ends.
pub async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(answer(shared, request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// What a path asks for.
struct Target {
    key: Key,
    subresource: Option<String>,
    query: HashMap<String, String>,
}

fn parse(path: &str, query: Option<&str>) -> Option<Target> {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let group = match *parts.first()? {
        "api" => {
            parts.drain(..2);
            ""
        }
        "apis" if parts.len() > 2 => {
            let group = parts[1];
            parts.drain(..3);
            group
        }
        _ => return None,
    };
    let namespace = if parts.len() >= 3 && parts[0] == "namespaces" {
        let namespace = parts[1];
        parts.drain(..2);
        namespace
    } else {
        ""
    };
    let plural = *parts.first()?;
    let name = parts.get(1).copied().unwrap_or_default();
    let decode = |text: &str| text.replace("%2C", ",").replace("%3D", "=").replace("%2F", "/");
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    Some(Target {
        key: (group.into(), plural.into(), namespace.into(), name.into()),
        subresource: parts.get(2).map(|part| (*part).to_owned()),
        query: pairs.map(|(key, value)| (key.to_owned(), decode(value))).collect(),
    })
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    match handle(shared, request).await {
        Ok(response) => response,
        Err((code, reason, message)) => json_response(code, &status(code, reason, &message)),
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let header =
        |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (token, accept, content) = (
        header("authorization").trim_start_matches("Bearer ").to_owned(),
        header("accept"),
        header("content-type"),
    );
    let not_found = || (404, "NotFound", "the server could not find the requested resource".to_owned());
    let target = parse(request.uri().path(), request.uri().query()).ok_or_else(not_found)?;
    let watches = target.query.get("watch").is_some_and(|w| w == "true" || w == "1");
    let has_name = !target.key.3.is_empty();
    let method = request.method().clone();
    let verb = match (&method, has_name, watches) {
        (&Method::GET, _, true) => "watch",
        (&Method::GET, true, _) => "get",
        (&Method::GET, false, _) => "list",
        (&Method::POST, _, _) => "create",
        (&Method::PUT, _, _) => "update",
        (&Method::PATCH, _, _) => "patch",
        (&Method::DELETE, _, _) => "delete",
        _ => return Err((405, "MethodNotAllowed", "no".into())),
    };
    authorize(&shared, &token, verb, &target)?;
    let body =
        request.into_body().collect().await.map_err(|e| (400, "BadRequest", e.to_string()))?.to_bytes();
    let meta_only = accept.contains("as=PartialObjectMetadata");
    match verb {
        "watch" => Ok(watch(shared, target, meta_only)),
        "list" => list(&shared, &target, meta_only),
        "get" => {
            let store = shared.store.lock().unwrap();
            let object = store.objects.get(&target.key).ok_or((
                404,
                "NotFound",
                format!("{} not found", target.key.3),
            ))?;
            Ok(json_response(200, object))
        }
        "delete" => {
            let object = shared.store.lock().unwrap().delete(&target.key)?;
            shared.changed.send_modify(|n| *n += 1);
            Ok(json_response(200, &object))
        }
        _ => write(&shared, target, verb, &content, &body).await,
    }
}

fn authorize(shared: &Shared, token: &str, verb: &str, target: &Target) -> Result<(), Refusal> {
    let (group, plural, namespace, name) = target.key.clone();
    let resource = match &target.subresource {
        Some(subresource) => format!("{plural}/{subresource}"),
        None => plural,
    };
    let optional = |text: String| (!text.is_empty()).then_some(text);
    let call = Call {
        user: token.to_owned(),
        verb: verb.to_owned(),
        group,
        resource,
        namespace: optional(namespace),
        name: optional(name),
    };
    let allowed = shared.access.lock().unwrap().get(token).is_none_or(|access| access.allows(&call));
    let refusal =
        format!("{token} cannot {verb} resource \"{}\" in API group \"{}\"", call.resource, call.group);
    shared.calls.lock().unwrap().push(call);
    if allowed { Ok(()) } else { Err((403, "Forbidden", refusal)) }
}

async fn write(
    shared: &Shared,
    mut target: Target,
    verb: &str,
    content: &str,
    body: &[u8],
) -> Result<Response<Body>, Refusal> {
    let mut body: Json = serde_json::from_slice(body).map_err(|e| (400, "BadRequest", e.to_string()))?;
    if target.key.1 == "tokenreviews" {
        body["status"] = token_review(&body["spec"]);
    }
    if verb == "create" {
        let name = body["metadata"]["name"].as_str().map(str::to_owned);
        let generated = || {
            let prefix = body["metadata"]["generateName"].as_str().unwrap_or("object-");
            format!("{prefix}{}", shared.store.lock().unwrap().version())
        };
        target.key.3 = name.unwrap_or_else(generated);
    }
    let write = match (verb, content) {
        ("create", _) => Write::Create(body),
        ("update", _) => Write::Replace(body),
        (_, "application/apply-patch+yaml") => {
            let manager = target.query.get("fieldManager").cloned();
            Write::Apply(body, manager.ok_or((400, "BadRequest", "no fieldManager".to_owned()))?)
        }
        (_, "application/merge-patch+json" | "application/strategic-merge-patch+json") => Write::Merge(body),
        (_, other) => return Err((415, "UnsupportedMediaType", other.to_owned())),
    };
    let subresource = target.subresource.as_deref();
    if subresource.is_none() && target.key.0 == "vedette.dev" {
        let (old, new) = shared.store.lock().unwrap().prepare(&target.key, None, &write)?;
        let operation = if old.is_some() { "UPDATE" } else { "CREATE" };
        admission::ask(shared, &target.key, operation, &new, old.as_ref()).await?;
    }
    let object = shared.store.lock().unwrap().write(&target.key, subresource, write)?;
    shared.changed.send_modify(|n| *n += 1);
    Ok(json_response(if verb == "create" { 201 } else { 200 }, &object))
}

/// What is said about a token: `agent.NODE.token` is that of the agent of a node.
fn token_review(spec: &Json) -> Json {
    let token = spec["token"].as_str().unwrap_or_default();
    match token.strip_prefix("agent.").and_then(|rest| rest.strip_suffix(".token")) {
        None => json!({"authenticated": false}),
        Some(node) => json!({
            "authenticated": true, "audiences": spec["audiences"],
            "user": {
                "username": "system:serviceaccount:vedette:vedette-agent",
                "extra": {"authentication.kubernetes.io/node-name": [node]},
            },
        }),
    }
}

fn selected(target: &Target, key: &Key) -> bool {
    let name = target.query.get("fieldSelector").and_then(|s| s.strip_prefix("metadata.name="));
    (key.0 == target.key.0 && key.1 == target.key.1)
        && (target.key.2.is_empty() || key.2 == target.key.2)
        && (target.key.3.is_empty() || key.3 == target.key.3)
        && name.is_none_or(|name| key.3 == name)
}

fn meta(object: &Json) -> Json {
    json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": object["metadata"]})
}

fn list(shared: &Shared, target: &Target, meta_only: bool) -> Result<Response<Body>, Refusal> {
    let store = shared.store.lock().unwrap();
    let kind = store.kinds.get(&(target.key.0.clone(), target.key.1.clone()));
    let kind =
        kind.ok_or((404, "NotFound", "the server could not find the requested resource".to_owned()))?;
    let found = store.objects.iter().filter(|(key, _)| selected(target, key));
    let items: Vec<Json> = found.map(|(_, o)| if meta_only { meta(o) } else { o.clone() }).collect();
    let (api_version, kind) = match meta_only {
        true => ("meta.k8s.io/v1".to_owned(), "PartialObjectMetadataList".to_owned()),
        false => (kind.api_version.clone(), format!("{}List", kind.kind)),
    };
    let metadata = json!({"resourceVersion": store.version().to_string()});
    Ok(json_response(
        200,
        &json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "items": items}),
    ))
}

/// Streams what has changed since the version, and what changes from now on.
fn watch(shared: Arc<Shared>, target: Target, meta_only: bool) -> Response<Body> {
    let since = target.query.get("resourceVersion").and_then(|v| v.parse::<u64>().ok()).unwrap_or_default();
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Infallible>>(16);
    let (mut changed, mut cuts) = (shared.changed.subscribe(), shared.cuts.subscribe());
    cuts.borrow_and_update();
    tokio::spawn(async move {
        let mut at = since;
        loop {
            changed.borrow_and_update();
            let mut lines = Vec::new();
            {
                let store = shared.store.lock().unwrap();
                for change in store
                    .history
                    .iter()
                    .filter(|change| change.version > at && selected(&target, &change.key))
                {
                    let object = if meta_only { meta(&change.object) } else { change.object.clone() };
                    lines.push(format!("{}\n", json!({"type": change.what, "object": object})));
                }
                at = store.version();
            }
            for line in lines {
                if sender.send(Ok(Frame::data(Bytes::from(line)))).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                changed = changed.changed() => if changed.is_err() { return },
                _ = cuts.changed() => return,
                () = sender.closed() => return,
            }
        }
    });
    let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let body = BoxBody::new(StreamBody::new(stream));
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

fn json_response(code: u16, value: &Json) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).boxed();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}
