//! A service on loopback that speaks as much of S3 as a store needs, and misbehaves when it is told to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use carstone_store::RemoteObjects;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::{BackoffConfig, RetryConfig};

/// The service. It ends with this value.
pub struct Service {
    state: Arc<State>,
    address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    kept: Mutex<Kept>,
    plan: Mutex<Option<Plan>>,
    is_over: AtomicBool,
}

/// What is done to a request, if anything.
type Plan = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

#[derive(Default)]
struct Kept {
    objects: BTreeMap<String, Vec<u8>>,
    /// Key and parts of each upload that is not over.
    uploads: BTreeMap<u64, (String, BTreeMap<u64, Vec<u8>>)>,
    next: u64,
    /// Whether it lists as WebDAV does; and whether such listings are empty.
    webdav: Option<bool>,
    /// Requests so far.
    requests: u64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This is the answer.
    Status(u16, &'static str),
    /// The connection ends, and nothing was done.
    Lost,
    /// The connection ends when everything was done.
    LostAnswer,
    /// The connection ends in the middle of the answer.
    Cut,
    /// The answer has half of the body, and says that this is all.
    Half,
    /// The whole object comes for a range.
    Whole,
    /// A bit of the object is another.
    Flipped,
    /// What is put is said to be there, and is not.
    Forgotten,
    /// The page of the listing is said not to be the last, and does not say what comes next.
    NoNext,
    /// The object is said to be elsewhere, where it is.
    Moved,
}

/// A request.
#[derive(Debug)]
pub struct Request {
    /// `GET` and its like.
    pub method: String,
    /// What it is about; empty if that is the bucket.
    pub key: String,
    /// What stands behind the question mark.
    pub query: BTreeMap<String, String>,
    range: Option<(usize, usize)>,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Request {
    /// Whether it asks for a listing.
    pub fn is_list(&self) -> bool {
        self.query.contains_key("list-type")
    }

    /// Whether it is a part of an upload.
    pub fn is_part(&self) -> bool {
        self.method == "PUT" && self.query.contains_key("uploadId")
    }

    /// Whether it ends an upload.
    pub fn is_complete(&self) -> bool {
        self.method == "POST" && self.query.contains_key("uploadId")
    }

    /// Whether it gives bytes of an object.
    pub fn is_get(&self) -> bool {
        self.method == "GET" && !self.is_list()
    }
}

impl Service {
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        let serving = thread::spawn(move || {
            thread::scope(|scope| {
                for stream in listener.incoming() {
                    if own.is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    // What becomes of a connection is the client's to see.
                    let Ok(stream) = stream else { continue };
                    scope.spawn(|| own.serve(stream));
                }
            });
        });
        Self { state, address, serving: Some(serving) }
    }

    /// Its objects, as a program sees them that tries each request so many times more.
    pub fn objects(&self, retries: usize) -> Arc<RemoteObjects> {
        Arc::new(of(self.client(retries)))
    }

    /// The same, which goes on with uploads of 16 MiB and more.
    pub fn resumable(&self) -> Arc<RemoteObjects> {
        let service = self.client(0);
        Arc::new(of(Arc::clone(&service)).resumable(service, 16 << 20))
    }

    fn client(&self, retries: usize) -> Arc<AmazonS3> {
        let backoff = BackoffConfig {
            init_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(4),
            base: 2.0,
        };
        let retry = RetryConfig { backoff, max_retries: retries, ..RetryConfig::default() };
        let service = AmazonS3Builder::new()
            .with_bucket_name("bucket")
            .with_endpoint(format!("http://{}", self.address))
            .with_allow_http(true)
            .with_region("none")
            .with_access_key_id("key")
            .with_secret_access_key("secret")
            .with_retry(retry)
            .build();
        Arc::new(service.expect("all is said"))
    }

    /// Where its objects are for whoever reads them without keys.
    pub fn url(&self) -> String {
        format!("http://{}/bucket/store", self.address)
    }

    /// It answers listings of WebDAV from now on, with nothing if so.
    pub fn speak_webdav(&self, is_empty: bool) {
        self.state.kept().webdav = Some(is_empty);
    }

    /// What goes wrong from now on.
    pub fn plan(&self, plan: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        *self.state.plan.lock().expect("no plan panicked") = Some(Box::new(plan));
    }

    /// Nothing goes wrong from now on.
    pub fn behave(&self) {
        *self.state.plan.lock().expect("no plan panicked") = None;
    }

    /// The objects, by their whole keys.
    pub fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        self.state.kept().objects.clone()
    }

    /// Changes the objects, behind everybody's back.
    pub fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        change(&mut self.state.kept().objects);
    }

    /// Uploads that are neither done nor given up.
    pub fn open_uploads(&self) -> usize {
        self.state.kept().uploads.len()
    }

    /// Ends all uploads, as a service does by a rule.
    pub fn end_uploads(&self) {
        self.state.kept().uploads.clear();
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.state.kept().requests
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        // It waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(serving) = self.serving.take() {
            let ended = serving.join();
            assert!(thread::panicking() || ended.is_ok(), "the service panicked");
        }
    }
}

impl State {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no request panicked")
    }

    /// Answers the one request of a connection.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(&stream);
        let Ok(Some(request)) = read_request(&mut reader) else { return };
        let fault = match &mut *self.plan.lock().expect("no plan panicked") {
            Some(plan) => plan(&request),
            None => None,
        };
        self.kept().requests += 1;
        let _ = self.answer(&request, fault, &stream);
    }

    fn answer(
        &self,
        request: &Request,
        fault: Option<Fault>,
        mut stream: &TcpStream,
    ) -> io::Result<()> {
        let mut answer = match fault {
            Some(Fault::Lost) => return Ok(()),
            Some(Fault::Status(status, code)) => {
                let body = format!("<Error><Code>{code}</Code><Message>{code}</Message></Error>");
                Answer { status, headers: String::new(), body: body.into_bytes() }
            }
            Some(Fault::Forgotten) => empty(200),
            Some(Fault::Moved) => {
                let mut answer = empty(307);
                let _ = write!(answer.headers, "location: /bucket/{}?moved\r\n", request.key);
                answer
            }
            _ => self.kept().answer(request, fault),
        };
        if matches!(fault, Some(Fault::LostAnswer)) {
            return Ok(());
        }
        let mut len = answer.body.len();
        match fault {
            Some(Fault::Cut) => answer.body.truncate(len / 2),
            Some(Fault::Half) => {
                len /= 2;
                answer.body.truncate(len);
            }
            _ => {}
        }
        let Answer { status, headers, body } = answer;
        write!(
            stream,
            "HTTP/1.1 {status} -\r\ncontent-length: {len}\r\nconnection: close\r\n{headers}\r\n"
        )?;
        // Only the length of the body belongs to the answer here.
        if request.method != "HEAD" {
            stream.write_all(&body)?;
        }
        stream.flush()
    }
}

impl Kept {
    fn answer(&mut self, request: &Request, fault: Option<Fault>) -> Answer {
        let Request { method, key, query, body, .. } = request;
        let upload = query.get("uploadId").and_then(|id| id.parse::<u64>().ok());
        let part = query.get("partNumber").and_then(|number| number.parse::<u64>().ok());
        match (&method[..], upload) {
            _ if request.is_list() => self.list(query, fault),
            ("PROPFIND", _) if self.webdav.is_some() => self.list_webdav(key),
            ("GET" | "HEAD", _) => self.get(request, fault),
            ("PUT", None) => {
                self.objects.insert(key.clone(), body.clone());
                empty(200)
            }
            ("PUT", Some(upload)) => match (self.uploads.get_mut(&upload), part) {
                (Some((_, parts)), Some(part)) => {
                    parts.insert(part, body.clone());
                    let mut answer = empty(200);
                    answer.headers = format!("etag: \"{}\"\r\n", tag_of(body));
                    answer
                }
                _ => empty(404),
            },
            ("POST", None) if query.contains_key("uploads") => {
                self.next += 1;
                self.uploads.insert(self.next, (key.clone(), BTreeMap::new()));
                let id = self.next;
                xml(&format!(
                    "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                ))
            }
            ("POST", None) => {
                let asked = String::from_utf8_lossy(body);
                let mut done = String::new();
                for part in asked.split("<Key>").skip(1) {
                    let key = part.split("</Key>").next().unwrap_or_default();
                    self.objects.remove(key);
                    let _ = write!(done, "<Deleted><Key>{key}</Key></Deleted>");
                }
                xml(&format!("<DeleteResult>{done}</DeleteResult>"))
            }
            ("POST", Some(upload)) => match self.uploads.remove(&upload) {
                Some((key, parts)) if !names_parts(body, &parts) => {
                    self.uploads.insert(upload, (key, parts));
                    empty(400)
                }
                Some((key, parts)) => {
                    self.objects.insert(key, parts.into_values().flatten().collect());
                    xml(
                        "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>",
                    )
                }
                None => empty(404),
            },
            ("DELETE", Some(upload)) => {
                self.uploads.remove(&upload);
                empty(204)
            }
            _ => empty(400),
        }
    }

    fn get(&self, request: &Request, fault: Option<Fault>) -> Answer {
        let Some(object) = self.objects.get(&request.key) else { return empty(404) };
        let mut object = object.clone();
        let len = object.len();
        if matches!(fault, Some(Fault::Flipped)) {
            object.iter_mut().for_each(|byte| *byte ^= 1);
        }
        let range = request.range.filter(|_| !matches!(fault, Some(Fault::Whole)));
        match range {
            Some((start, _)) if start >= len => empty(416),
            Some((start, last)) => {
                let end = len.min(last.saturating_add(1));
                let mut answer = empty(206);
                let _ = write!(
                    answer.headers,
                    "content-range: bytes {start}-{}/{len}\r\n",
                    end.saturating_sub(1)
                );
                answer.body = object[start..end].to_vec();
                answer
            }
            None => Answer { body: object, ..empty(200) },
        }
    }

    /// A listing as WebDAV has it.
    fn list_webdav(&self, below: &str) -> Answer {
        let mut text = String::from(r#"<?xml version="1.0"?><D:multistatus xmlns:D="DAV:">"#);
        let is_below =
            |key: &str| key.strip_prefix(below).is_some_and(|rest| rest.starts_with('/'));
        let listed = self.objects.iter().filter(|_| self.webdav == Some(false));
        for (key, object) in listed.filter(|(key, _)| is_below(key)) {
            let size = object.len();
            let _ = write!(
                text,
                "<D:response><D:href>/bucket/{key}</D:href><D:propstat><D:prop>\
                 <D:getlastmodified>Thu, 01 Jan 2026 00:00:00 GMT</D:getlastmodified>\
                 <D:getcontentlength>{size}</D:getcontentlength><D:resourcetype/></D:prop>\
                 <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
            );
        }
        text.push_str("</D:multistatus>");
        Answer { status: 207, ..xml(&text) }
    }

    /// A page of a listing.
    fn list(&self, query: &BTreeMap<String, String>, fault: Option<Fault>) -> Answer {
        let prefix = query.get("prefix").map_or("", String::as_str);
        let behind = query.get("continuation-token").map_or("", String::as_str);
        let all = self.objects.iter().filter(|(key, _)| key.starts_with(prefix));
        let left: Vec<_> = all.filter(|(key, _)| key.as_str() > behind).collect();
        let page = &left[..left.len().min(PAGE)];
        let mut text = String::from("<ListBucketResult>");
        for (key, object) in page {
            let size = object.len();
            let _ = write!(
                text,
                "<Contents><Key>{key}</Key><LastModified>{MADE}</LastModified><ETag>\"e\"</ETag><Size>{size}</Size></Contents>"
            );
        }
        let is_cut = left.len() > page.len();
        let _ = write!(text, "<IsTruncated>{is_cut}</IsTruncated>");
        if let Some((last, _)) = page.last().filter(|_| is_cut)
            && !matches!(fault, Some(Fault::NoNext))
        {
            let _ = write!(text, "<NextContinuationToken>{last}</NextContinuationToken>");
        }
        text.push_str("</ListBucketResult>");
        xml(&text)
    }
}

fn of(service: Arc<AmazonS3>) -> RemoteObjects {
    RemoteObjects::new(service, "store", "s3://bucket/store").expect("a key")
}

/// What a part is told by, which is another for other bytes.
fn tag_of(body: &[u8]) -> String {
    let sum = body.iter().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte));
    format!("{sum:x}-{}", body.len())
}

/// Whether what ends an upload names all of its parts, in their order.
fn names_parts(body: &[u8], parts: &BTreeMap<u64, Vec<u8>>) -> bool {
    let asked = String::from_utf8_lossy(body).into_owned();
    let named = asked.split("<ETag>").skip(1);
    let named: Vec<_> = named.filter_map(|text| text.split("</ETag>").next()).collect();
    let tags: Vec<_> = parts.values().map(|part| tag_of(part)).collect();
    let is_named = |(named, tag): (&&str, &String)| named.contains(&tag[..]);
    named.len() == tags.len() && named.iter().zip(&tags).all(is_named)
}

fn empty(status: u16) -> Answer {
    let headers = "etag: \"e\"\r\nlast-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n".to_owned();
    Answer { status, headers, body: Vec::new() }
}

fn xml(text: &str) -> Answer {
    Answer { body: text.as_bytes().to_vec(), ..empty(200) }
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.trim_start_matches("/bucket");
    let query = query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
    let query = query.map(|(name, value)| (name.to_owned(), decoded(value))).collect();
    let (mut len, mut range) = (0, None);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match &name.to_lowercase()[..] {
            "content-length" => len = value.trim().parse().unwrap_or(0),
            "range" => {
                let ends = value.trim().trim_start_matches("bytes=").split_once('-');
                range = ends.and_then(|(start, last)| {
                    Some((start.parse().ok()?, last.parse().unwrap_or(usize::MAX)))
                });
            }
            _ => {}
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    let key = decoded(path.trim_start_matches('/'));
    Ok(Some(Request { method: method.to_owned(), key, query, range, body }))
}

/// Text with its percent signs resolved.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at(2.min(part.len()));
        plain.extend(u8::from_str_radix(code, 16).ok());
        plain.extend(rest.as_bytes());
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Objects of a page of a listing.
const PAGE: usize = 3;
const MADE: &str = "2026-01-01T00:00:00.000Z";
