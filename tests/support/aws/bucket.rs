//! S3 in path style: objects with versions, a list, a notification for every object.

use super::{Cloud, respond};
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use futures::StreamExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Default)]
pub struct Buckets {
    by_name: BTreeMap<String, Bucket>,
    serial: u64,
}

#[derive(Default)]
struct Bucket {
    /// Every version of an object, the newest last.
    objects: BTreeMap<String, Vec<Object>>,
    has_versions: bool,
    tells: Option<String>,
}

/// Where an object's bytes are.
#[derive(Clone)]
pub enum Contents {
    Bytes(Bytes),
    File { path: PathBuf, size: u64 },
}

impl Contents {
    pub fn file(path: &Path) -> Contents {
        Contents::File { path: path.to_owned(), size: path.metadata().unwrap().len() }
    }

    fn size(&self) -> u64 {
        match self {
            Contents::Bytes(bytes) => bytes.len() as u64,
            Contents::File { size, .. } => *size,
        }
    }

    /// The same for the same contents; a file's name stands for what is in it.
    fn etag(&self) -> String {
        let digest = match self {
            Contents::Bytes(bytes) => Sha256::digest(bytes),
            Contents::File { path, .. } => Sha256::digest(path.to_string_lossy().as_bytes()),
        };
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    fn read(&self) -> Bytes {
        match self {
            Contents::Bytes(bytes) => bytes.clone(),
            Contents::File { path, .. } => std::fs::read(path).unwrap().into(),
        }
    }
}

#[derive(Clone)]
struct Object {
    contents: Contents,
    etag: String,
    version: Option<String>,
    serial: u64,
    /// What goes wrong with its fetches, once it was fetched first.
    ails: Option<Ails>,
}

#[derive(Clone, Copy)]
enum Ails {
    Nothing,
    /// So many more fetches find nothing.
    Missing(u32),
}

/// An object that was stored, and what its bucket tells of it: a queue and a message.
pub struct Stored {
    pub notification: Option<(String, String)>,
    etag: String,
    version: Option<String>,
}

/// The code and the words of a refusal.
type Refusal = (StatusCode, &'static str);

const NO_BUCKET: Refusal = (StatusCode::NOT_FOUND, "NoSuchBucket");
const NO_KEY: Refusal = (StatusCode::NOT_FOUND, "NoSuchKey");

impl Buckets {
    pub fn create(&mut self, name: &str, tells: Option<String>) {
        let bucket = self.by_name.entry(name.to_owned()).or_default();
        bucket.tells = tells.or(bucket.tells.take());
    }

    pub fn put(&mut self, name: &str, key: &str, contents: Contents) -> Result<Stored, Refusal> {
        let etag = contents.etag();
        self.put_as(name, key, contents, etag)
    }

    fn put_as(&mut self, name: &str, key: &str, contents: Contents, etag: String) -> Result<Stored, Refusal> {
        self.serial += 1;
        let serial = self.serial;
        let bucket = self.by_name.get_mut(name).ok_or(NO_BUCKET)?;
        let version = bucket.has_versions.then(|| format!("version-{serial}"));
        let object = Object { contents, etag: etag.clone(), version: version.clone(), serial, ails: None };
        let versions = bucket.objects.entry(key.to_owned()).or_default();
        if !bucket.has_versions {
            versions.clear();
        }
        versions.push(object);
        Ok(Stored { notification: self.told_of(name, key), etag, version })
    }

    /// What is told of an object's newest version, and to whom.
    pub fn told_of(&self, name: &str, key: &str) -> Option<(String, String)> {
        let bucket = self.by_name.get(name)?;
        let Object { contents, etag, version, serial, .. } = bucket.objects.get(key)?.last()?;
        let mut object = json!({
            "key": form_encoded(key), "size": contents.size(), "eTag": etag, "sequencer": format!("{serial:016X}"),
        });
        if let Some(version) = version {
            object["versionId"] = json!(version);
        }
        let message = json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-1",
            "eventTime": "2026-01-05T10:00:00.000Z", "eventName": "ObjectCreated:Put",
            "userIdentity": {"principalId": "AWS:AROAEXAMPLE:CloudTrail"},
            "requestParameters": {"sourceIPAddress": "203.0.113.1"},
            "responseElements": {"x-amz-request-id": format!("{serial:016X}"), "x-amz-id-2": "x"},
            "s3": {
                "s3SchemaVersion": "1.0", "configurationId": "all",
                "bucket": {
                    "name": name, "ownerIdentity": {"principalId": "A1"}, "arn": format!("arn:aws:s3:::{name}"),
                },
                "object": object,
            },
        }]});
        Some((bucket.tells.clone()?, message.to_string()))
    }

    /// The dice are thrown once for each object, at its first fetch: some are not there yet, some were just stored again.
    fn ail(&mut self, cloud: &Cloud, name: &str, key: &str) -> Result<Option<Stored>, Refusal> {
        let versions = self.by_name.get_mut(name).and_then(|bucket| bucket.objects.get_mut(key));
        let Some(object) = versions.and_then(|versions| versions.last_mut()) else { return Ok(None) };
        match object.ails {
            None if cloud.goes_wrong(|faults| faults.missing) => {
                object.ails = Some(Ails::Missing(1));
                return Err(NO_KEY);
            }
            None => object.ails = Some(Ails::Nothing),
            Some(Ails::Missing(left)) if left > 0 => {
                object.ails = Some(Ails::Missing(left - 1));
                return Err(NO_KEY);
            }
            Some(_) => return Ok(None),
        }
        if !cloud.goes_wrong(|faults| faults.changed) {
            return Ok(None);
        }
        let (contents, etag) = (object.contents.clone(), format!("{}-2", object.etag));
        let stored = self.put_as(name, key, contents, etag)?;
        let versions = self.by_name.get_mut(name).and_then(|bucket| bucket.objects.get_mut(key));
        if let Some(object) = versions.and_then(|versions| versions.last_mut()) {
            object.ails = Some(Ails::Nothing);
        }
        Ok(Some(stored))
    }

    fn get(&self, name: &str, key: &str, version: Option<&str>) -> Result<Object, Refusal> {
        let bucket = self.by_name.get(name).ok_or(NO_BUCKET)?;
        let versions = bucket.objects.get(key).ok_or(NO_KEY)?;
        let found = match version {
            None => versions.last(),
            Some(version) => {
                versions.iter().find(|object| object.version.as_deref().unwrap_or("null") == version)
            }
        };
        found.cloned().ok_or((StatusCode::NOT_FOUND, "NoSuchVersion"))
    }

    fn list(&self, name: &str, prefix: &str, after: &str) -> Result<String, Refusal> {
        let bucket = self.by_name.get(name).ok_or(NO_BUCKET)?;
        let mut keys = bucket
            .objects
            .range(after.to_owned()..)
            .filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
        let page: Vec<_> = keys.by_ref().take(1000).collect();
        let mut contents = String::new();
        for (key, versions) in &page {
            let Some(object) = versions.last() else { continue };
            let _ = write!(
                contents,
                "<Contents><Key>{}</Key><LastModified>2026-01-05T10:00:00.000Z</LastModified>\
                 <ETag>&quot;{}&quot;</ETag><Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                escaped(key),
                object.etag,
                object.contents.size(),
            );
        }
        let more = match (keys.next(), page.last()) {
            (Some(_), Some((last, _))) => {
                format!(
                    "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
                    escaped(last)
                )
            }
            _ => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        Ok(format!(
            "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{name}</Name>\
             <Prefix>{}</Prefix><KeyCount>{}</KeyCount><MaxKeys>1000</MaxKeys>{more}{contents}</ListBucketResult>",
            escaped(prefix),
            page.len(),
        ))
    }
}

/// Answers one request; gives bucket and key too.
pub async fn answer(cloud: &Cloud, head: &Parts, body: Bytes) -> (String, Response) {
    let path = decoded(head.uri.path().trim_start_matches('/'));
    let outcome = if cloud.goes_wrong(|faults| faults.unavailable) {
        Err((StatusCode::SERVICE_UNAVAILABLE, "SlowDown"))
    } else if cloud.goes_wrong(|faults| faults.broken) {
        Err((StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
    } else {
        act(cloud, head, &path, body).await
    };
    let response = outcome.unwrap_or_else(|(status, code)| {
        let message =
            format!("<Error><Code>{code}</Code><Message>{code}</Message><RequestId>1</RequestId></Error>");
        respond(status, "application/xml", message)
    });
    (path, response)
}

async fn act(cloud: &Cloud, head: &Parts, path: &str, body: Bytes) -> Result<Response, Refusal> {
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query: BTreeMap<String, String> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect();
    let done = || respond(StatusCode::OK, "application/xml", "");
    match (head.method.as_str(), key) {
        ("PUT", "") if query.contains_key("notification") => {
            let text = String::from_utf8_lossy(&body);
            let queue = text.split("<Queue>").nth(1).and_then(|rest| rest.split("</Queue>").next());
            let queue = queue.and_then(|arn| arn.rsplit(':').next()).map(str::to_owned);
            cloud.buckets.lock().unwrap().create(bucket, queue.clone());
            // As AWS does when a bucket starts to tell a queue.
            let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket});
            let sent = cloud.queues.lock().unwrap().send(
                &queue.unwrap_or_default(),
                &test.to_string(),
                Duration::ZERO,
            );
            sent.map(|_| done()).map_err(|_| (StatusCode::BAD_REQUEST, "InvalidArgument"))
        }
        ("PUT", "") if query.contains_key("versioning") => {
            let mut buckets = cloud.buckets.lock().unwrap();
            buckets.by_name.get_mut(bucket).ok_or(NO_BUCKET)?.has_versions = true;
            Ok(done())
        }
        ("PUT", "") => {
            cloud.buckets.lock().unwrap().create(bucket, None);
            Ok(done())
        }
        ("PUT", key) => {
            let stored =
                cloud.buckets.lock().unwrap().put(bucket, key, Contents::Bytes(unchunked(head, body)))?;
            if let Some((queue, message)) = stored.notification {
                let _ = cloud.queues.lock().unwrap().send(&queue, &message, Duration::ZERO);
                cloud.sent.notify_waiters();
            }
            Ok(with_identity(done(), &stored.etag, stored.version.as_deref()))
        }
        ("GET", "") => {
            let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
            let list =
                cloud.buckets.lock().unwrap().list(bucket, field("prefix"), field("continuation-token"))?;
            Ok(respond(StatusCode::OK, "application/xml", list))
        }
        ("GET" | "HEAD", key) => {
            super::refusal::of(cloud, key)?;
            let version = query.get("versionId").map(String::as_str);
            let told =
                cloud.buckets.lock().unwrap().ail(cloud, bucket, key)?.and_then(|stored| stored.notification);
            if let Some((queue, message)) = told {
                let _ = cloud.queues.lock().unwrap().send(&queue, &message, Duration::ZERO);
                cloud.sent.notify_waiters();
            }
            let object = cloud.buckets.lock().unwrap().get(bucket, key, version)?;
            let wanted = head.headers.get("if-match").and_then(|value| value.to_str().ok());
            if wanted.is_some_and(|wanted| wanted.trim_matches('"') != object.etag) {
                return Err((StatusCode::PRECONDITION_FAILED, "PreconditionFailed"));
            }
            let response = Response::builder()
                .header("content-type", "application/octet-stream")
                .header("content-length", object.contents.size())
                .header("last-modified", "Mon, 05 Jan 2026 10:00:00 GMT")
                .body(if head.method == "HEAD" {
                    Body::empty()
                } else {
                    faulty_body(cloud, &object.contents.read())
                })
                .unwrap();
            Ok(with_identity(response, &object.etag, object.version.as_deref()))
        }
        _ => Err((StatusCode::NOT_IMPLEMENTED, "NotImplemented")),
    }
}

fn with_identity(mut response: Response, etag: &str, version: Option<&str>) -> Response {
    response.headers_mut().insert("etag", format!("\"{etag}\"").parse().unwrap());
    if let Some(version) = version {
        response.headers_mut().insert("x-amz-version-id", version.parse().unwrap());
    }
    response
}

/// An object's bytes, as well as the network is.
fn faulty_body(cloud: &Cloud, bytes: &Bytes) -> Body {
    let is_slow = cloud.goes_wrong(|faults| faults.slow);
    let is_cut = cloud.goes_wrong(|faults| faults.cut);
    let trickle = cloud.faults.lock().unwrap().0.trickle;
    if !trickle.is_zero() {
        return trickling(bytes, trickle);
    }
    let (first, second) = (bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..));
    let rest = async move {
        if is_slow {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        if is_cut { Err(std::io::Error::other("cut")) } else { Ok(second) }
    };
    Body::from_stream(futures::stream::iter([Ok(first)]).chain(futures::stream::once(rest)))
}

/// The bytes in ten pieces over the time.
fn trickling(bytes: &Bytes, over: Duration) -> Body {
    let (bytes, size) = (bytes.clone(), bytes.len().div_ceil(10).max(1));
    let starts = (0..bytes.len()).step_by(size);
    Body::from_stream(futures::stream::iter(starts).then(move |start| {
        let piece = bytes.slice(start..(start + size).min(bytes.len()));
        async move {
            tokio::time::sleep(over / 10).await;
            Ok::<_, std::io::Error>(piece)
        }
    }))
}

/// Uploads come in chunks with a checksum behind them: `<hex length>[;signature]\r\n<bytes>\r\n`, ended by `0`.
fn unchunked(head: &Parts, body: Bytes) -> Bytes {
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_chunked = header("content-encoding").contains("aws-chunked")
        || header("x-amz-content-sha256").starts_with("STREAMING-");
    if !is_chunked {
        return body;
    }
    let (mut whole, mut rest) = (Vec::new(), &body[..]);
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let length =
            std::str::from_utf8(&rest[..end]).unwrap_or_default().split(';').next().unwrap_or_default();
        let length = usize::from_str_radix(length, 16).unwrap_or(0);
        let start = end + 2;
        if length == 0 || rest.len() < start + length + 2 {
            break;
        }
        whole.extend_from_slice(&rest[start..start + length]);
        rest = &rest[start + length + 2..];
    }
    whole.into()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `%41` is `A`; everything else stays.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let hex =
            (byte == b'%').then(|| after.get(..2)).flatten().and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Keys in notifications are form-encoded: a blank is `+`, and a plus is `%2B`.
fn form_encoded(key: &str) -> String {
    let mut encoded = String::new();
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(byte.into())
            }
            b' ' => encoded.push('+'),
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}
